"""The application: its routes, the headers of all responses, and its start and stop."""

import contextlib
import mimetypes
import pathlib
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, JSONResponse
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field, ValidationError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from concurrent_log import __version__
from concurrent_log.collector.server.auth import AccessControl
from concurrent_log.collector.server.client_script import add_client_script
from concurrent_log.collector.server.errors import Problem, add_error_handlers, documented
from concurrent_log.collector.server.ingest import endpoint
from concurrent_log.collector.server.managed_store import ManagedStore
from concurrent_log.collector.server.openapi_page import add_openapi_page
from concurrent_log.collector.server.query import endpoints
from concurrent_log.collector.server.settings import ServerSettings
from concurrent_log.collector.server.unread_answers import AnswerLimit, UnreadAnswers
from concurrent_log.collector.store.factory import create_store
from concurrent_log.collector.store.interface import Store

_WEB = pathlib.Path(__file__).parent.parent / "web"
_MAX_LOGIN_SIZE = 8192  # bytes
_HEALTH_CACHE_TIME = 1.0  # seconds

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_DESCRIPTION = """Stores the records of many processes and machines, and lets you query them.

If the server has a token, every request except `GET /health` needs the header `Authorization: Bearer TOKEN`."""


class LoginRequest(BaseModel):
    """The token that a user entered in the page."""

    token: str = Field(max_length=1000)


class SessionResponse(BaseModel):
    """The session of the page."""

    token_needed: bool = Field(description="Whether the server has a token.")
    logged_in: bool = Field(description="Whether the page may send requests now.")


class HealthResponse(BaseModel):
    """The health of the server."""

    status: str = Field(examples=["ok"])


def create_app(settings: ServerSettings, store: Store | None = None) -> FastAPI:
    """Return the application, which opens the store when it starts and closes it when it stops.

    The routes read from ``app.state``: ``settings``, ``access``, ``managed_store``, ``receiver``, and what
    `query.endpoints.add_state` adds.
    """
    store = create_store(settings.database) if store is None else store
    managed_store, access = ManagedStore(store, settings.retention_days), AccessControl(settings)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await managed_store.start()
        app.state.receiver = endpoint.BatchReceiver(settings, access, managed_store)
        yield
        app.state.receiver.close()
        await app.state.reader.close()
        await managed_store.stop()

    app = FastAPI(
        title="concurrent_log",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings, app.state.access, app.state.managed_store = settings, access, managed_store
    managed_store.on_commit = endpoints.add_state(app, store).notify
    add_error_handlers(app)
    mimetypes.add_type("text/javascript", ".js")  # On Windows, another program may have registered another type.
    _add_routes(app)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Content-Encoding"],
            expose_headers=["Retry-After"],
        )
    app.add_middleware(_DefaultHeaders)
    app.state.unread_answers = UnreadAnswers()
    app.add_middleware(AnswerLimit, unread=app.state.unread_answers)
    return app


def require_read_access(request: Request) -> None:
    """Raise `Problem` or `StoreUnavailable` unless the request may read, and the store is open."""
    access: AccessControl = request.app.state.access
    access.refuse_other_sites(request)
    if not access.has_bearer(request) and not access.has_session(request):
        raise Problem(401, "the token is missing or wrong: send Authorization: Bearer TOKEN")
    request.app.state.managed_store.require_open()


_READ_ACCESS: list[Any] = [Depends(HTTPBearer(auto_error=False)), Depends(require_read_access)]


def _add_routes(app: FastAPI) -> None:
    app.include_router(endpoint.router, dependencies=[Depends(HTTPBearer(auto_error=False))])
    app.include_router(endpoints.router, dependencies=_READ_ACCESS)
    _add_session(app)
    _add_health(app)
    _add_page(app)
    add_client_script(app)
    add_openapi_page(app)


def _add_session(app: FastAPI) -> None:
    @app.get("/session", tags=["page"], summary="Return the state of the session", response_model=SessionResponse)
    async def session(request: Request) -> SessionResponse:
        access: AccessControl = request.app.state.access
        return SessionResponse(token_needed=access.needs_token, logged_in=access.has_session(request))

    body = {"required": True, "content": {"application/json": {"schema": LoginRequest.model_json_schema()}}}

    @app.post(
        "/login",
        tags=["page"],
        summary="Begin a session",
        status_code=204,
        responses=documented(401, 403, 413, 422),
        openapi_extra={"requestBody": body},
    )
    async def login(request: Request) -> Response:
        access: AccessControl = request.app.state.access
        access.refuse_other_sites(request)
        if not access.is_token(await _read_token(request)):
            raise Problem(401, "the token is wrong")
        response = Response(status_code=204)
        access.begin_session(request, response)
        return response

    @app.post("/logout", tags=["page"], summary="End a session", status_code=204, responses=documented(403))
    async def logout(request: Request) -> Response:
        access: AccessControl = request.app.state.access
        access.refuse_other_sites(request)
        response = Response(status_code=204)
        access.end_session(response)
        return response


async def _read_token(request: Request) -> str:
    """Return the token in the body; stop reading a body that is too large."""
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > _MAX_LOGIN_SIZE:
            raise Problem(413, f"the body has more than {_MAX_LOGIN_SIZE:,} bytes")
    try:
        return LoginRequest.model_validate_json(content).token
    except ValidationError as error:
        raise Problem(422, f"the body must be an object with the token: {error.errors()[0]['msg']}") from None


def _add_health(app: FastAPI) -> None:
    cached: list[Any] = [float("-inf"), False]

    @app.get(
        "/health",
        tags=["health"],
        summary="Check that the server can store records",
        response_model=HealthResponse,
        responses=documented(503),
    )
    async def health(request: Request) -> Response:
        if cached[0] + _HEALTH_CACHE_TIME < time.monotonic():
            cached[:] = time.monotonic(), await request.app.state.managed_store.is_ready()
        if not cached[1]:
            raise Problem(503, "the database is unavailable", retry_after=2)
        return JSONResponse({"status": "ok"})


def _add_page(app: FastAPI) -> None:
    if not (_WEB / "index.html").exists():
        return
    app.mount("/static", StaticFiles(directory=_WEB), name="static")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(_WEB / "index.html", headers={"Cache-Control": "no-cache"})


class _DefaultHeaders:
    """Adds headers to every response, unless the response has them already."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                more = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
                # Browsers revalidate the page's files each time, so that all of them are of one version.
                is_file = scope["path"].startswith("/static/")
                more.append((b"cache-control", b"no-cache" if is_file else b"no-store"))
                message["headers"] = [*message["headers"], *(each for each in more if each[0] not in present)]
            await send(message)

        await self._app(scope, receive, send_with_headers)

"""The application: its routes, and what holds for all of them."""

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
from concurrent_log.collector.server.auth import Access
from concurrent_log.collector.server.client_script import add_client
from concurrent_log.collector.server.errors import Problem, answer_problems, documented
from concurrent_log.collector.server.ingest import endpoint
from concurrent_log.collector.server.managed_store import KeptStore
from concurrent_log.collector.server.openapi_page import add_documentation
from concurrent_log.collector.server.query import endpoints
from concurrent_log.collector.server.settings import Settings
from concurrent_log.collector.store import Store, store_of

_WEB = pathlib.Path(__file__).parent.parent / "web"
_LARGEST_LOGIN = 8192  # bytes
_HEALTH = 1.0  # seconds for which an answer about the database holds

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_DESCRIPTION = """Takes the records of many processes and machines, and answers who asks for them.

Where the server has a token, every request but `GET /health` says `Authorization: Bearer TOKEN`."""


class Token(BaseModel):
    """The token, from the page."""

    token: str = Field(max_length=1000)


class Session(BaseModel):
    """Whether the page may ask."""

    token_needed: bool = Field(description="whether the server has a token")
    logged_in: bool = Field(description="whether this page may ask now")


class Health(BaseModel):
    """Whether the database answers."""

    status: str = Field(examples=["ok"])


def create_app(settings: Settings, store: Store | None = None) -> FastAPI:
    """Return the application; it opens the store when it starts, and closes it when it ends.

    What routes need is in ``app.state``: ``settings``, ``access``, ``store``, which is to be asked after
    ``kept.require()``, and ``intake``.
    """
    store = store_of(settings.database) if store is None else store
    kept, access = KeptStore(store, settings.retention_days), Access(settings)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await kept.begin()
        app.state.intake = endpoint.Intake(settings, access, kept)
        yield
        app.state.intake.close()
        await app.state.reader.close()
        await kept.end()

    app = FastAPI(
        title="concurrent_log",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings, app.state.access, app.state.store, app.state.kept = settings, access, store, kept
    kept.told = endpoints.provide(app, store).tell
    answer_problems(app)
    mimetypes.add_type("text/javascript", ".js")  # On Windows, any program may have set another one.
    _add_routes(app)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Content-Encoding"],
            expose_headers=["Retry-After"],
        )
    app.add_middleware(_Headers)
    return app


def may_read(request: Request) -> None:
    """Raise `Problem` unless the request may read: for the routes that do."""
    access: Access = request.app.state.access
    access.refuse_other_sites(request)
    if not access.has_bearer(request) and not access.has_session(request):
        raise Problem(401, "the token is missing or wrong: send Authorization: Bearer TOKEN")
    request.app.state.kept.require()


_READING: list[Any] = [Depends(HTTPBearer(auto_error=False)), Depends(may_read)]


def _add_routes(app: FastAPI) -> None:
    app.include_router(endpoint.router, dependencies=[Depends(HTTPBearer(auto_error=False))])
    app.include_router(endpoints.router, dependencies=_READING)
    _add_session(app)
    _add_health(app)
    _add_page(app)
    add_client(app)
    add_documentation(app)


def _add_session(app: FastAPI) -> None:
    @app.get("/session", tags=["page"], summary="Say whether the page needs the token", response_model=Session)
    async def session(request: Request) -> Session:
        access: Access = request.app.state.access
        return Session(token_needed=access.needs_token, logged_in=access.has_session(request))

    body = {"required": True, "content": {"application/json": {"schema": Token.model_json_schema()}}}

    @app.post(
        "/login",
        tags=["page"],
        summary="Begin a session",
        status_code=204,
        responses=documented(401, 403, 413, 422),
        openapi_extra={"requestBody": body},
    )
    async def login(request: Request) -> Response:
        access: Access = request.app.state.access
        access.refuse_other_sites(request)
        if not access.is_token(await _given_token(request)):
            raise Problem(401, "the token is wrong")
        response = Response(status_code=204)
        access.begin_session(request, response)
        return response

    @app.post("/logout", tags=["page"], summary="End a session", status_code=204, responses=documented(403))
    async def logout(request: Request) -> Response:
        access: Access = request.app.state.access
        access.refuse_other_sites(request)
        response = Response(status_code=204)
        access.end_session(response)
        return response


async def _given_token(request: Request) -> str:
    """Return the token that the body has; of anything larger, no more is held."""
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > _LARGEST_LOGIN:
            raise Problem(413, f"the body has more than {_LARGEST_LOGIN:,} bytes")
    try:
        return Token.model_validate_json(content).token
    except ValidationError as error:
        raise Problem(422, f"the body is an object with the token: {error.errors()[0]['msg']}") from None


def _add_health(app: FastAPI) -> None:
    known: list[Any] = [float("-inf"), False]

    @app.get(
        "/health",
        tags=["health"],
        summary="Say whether the server can store records",
        response_model=Health,
        responses=documented(503),
    )
    async def health(request: Request) -> Response:
        if known[0] + _HEALTH < time.monotonic():
            known[:] = time.monotonic(), await request.app.state.kept.is_ready()
        if not known[1]:
            raise Problem(503, "the database is away", wait=2)
        return JSONResponse({"status": "ok"})


def _add_page(app: FastAPI) -> None:
    if not (_WEB / "index.html").exists():
        return
    app.mount("/static", StaticFiles(directory=_WEB), name="static")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(_WEB / "index.html", headers={"Cache-Control": "no-cache"})


class _Headers:
    """Adds the headers that every answer has."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                more = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
                # The files of the page are asked for each time, so that all of them are of one version.
                is_file = scope["path"].startswith("/static/")
                more.append((b"cache-control", b"no-cache" if is_file else b"no-store"))
                message["headers"] = [*message["headers"], *(each for each in more if each[0] not in present)]
            await send(message)

        await self._app(scope, receive, send_with_headers)

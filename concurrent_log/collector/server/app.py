"""The application: its routes, the headers of all responses, and its start and stop."""

import contextlib
import mimetypes
import pathlib
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from concurrent_log import __version__
from concurrent_log.collector.server import deletion
from concurrent_log.collector.server.access import key_routes, session_routes
from concurrent_log.collector.server.access.control import AccessControl
from concurrent_log.collector.server.access.origins import KeyOriginsMiddleware
from concurrent_log.collector.server.access.rules import authorize
from concurrent_log.collector.server.access.trusted_proxy import PeerMiddleware
from concurrent_log.collector.server.background_tasks import TaskState
from concurrent_log.collector.server.client_script import add_client_script
from concurrent_log.collector.server.errors import Problem, add_error_handlers, documented
from concurrent_log.collector.server.ingest import elasticsearch, endpoint
from concurrent_log.collector.server.ingest.loki import endpoint as loki_endpoint
from concurrent_log.collector.server.ingest.otlp import endpoint as otlp_endpoint
from concurrent_log.collector.server.ingest.receiver import BatchReceiver
from concurrent_log.collector.server.managed_store import ManagedStore
from concurrent_log.collector.server.openapi_page import add_openapi_page
from concurrent_log.collector.server.query import endpoints
from concurrent_log.collector.server.retention import Retention
from concurrent_log.collector.server.settings import ServerSettings
from concurrent_log.collector.server.unread_answers import AnswerLimit, UnreadAnswers
from concurrent_log.collector.store.factory import create_store
from concurrent_log.collector.store.interface import Store
from concurrent_log.collector.store.reader import iso_time

_WEB = pathlib.Path(__file__).parent.parent / "web"
_HEALTH_CACHE_TIME = 1.0  # seconds
_LOCAL_PROXIES = ["127.0.0.1", "::1"]  # trusted to name the client's address, unless others are configured

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_DESCRIPTION = """Stores the records of many processes and machines, and lets you query them.

If the server has a token or keys, every request except `GET /health` needs the header `Authorization: Bearer KEY`: a
send key for `POST /logs`, a read key to read, an admin key for everything."""


class TaskResponse(BaseModel):
    """A task in the background."""

    ok: bool = Field(description="Whether it did not fail the last time; why it failed is on the server's stderr.")
    last_success: str | None = Field(description="The time of its last success.")


class HealthResponse(BaseModel):
    """The health of the server."""

    status: str = Field(examples=["ok"])
    tasks: dict[str, TaskResponse]


def create_app(settings: ServerSettings, store: Store | None = None) -> FastAPI:
    """Return the application, which opens the store when it starts and closes it when it stops.

    The routes read from ``app.state``: ``settings``, ``access``, ``managed_store``, ``receiver``, and what
    `query.endpoints.add_state` adds.
    """
    store = create_store(settings.database) if store is None else store
    retention = Retention(settings.retention_days, settings.retention_size, settings.service_retention)
    managed_store = ManagedStore(store, retention)
    access = AccessControl(settings, managed_store)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await managed_store.start()
        app.state.receiver = BatchReceiver(settings, access, managed_store)
        yield
        app.state.receiver.close()
        await app.state.reader.close()
        await access.directory.close()
        await managed_store.stop()

    app = FastAPI(
        title="concurrent_log",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        dependencies=[Depends(authorize)],
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings, app.state.access, app.state.managed_store = settings, access, managed_store
    managed_store.on_commit = endpoints.add_state(app, store).notify
    own_errors = {otlp_endpoint.PATH: otlp_endpoint.respond, loki_endpoint.PATH: loki_endpoint.respond}
    add_error_handlers(app, own_errors | dict.fromkeys(elasticsearch.PATHS, elasticsearch.respond))
    mimetypes.add_type("text/javascript", ".js")  # On Windows, another program may have registered another type.
    _add_routes(app, settings)
    app.add_middleware(
        KeyOriginsMiddleware,
        directory=access.directory,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type", "Content-Encoding"],
        expose_headers=["Retry-After"],
    )
    app.add_middleware(_DefaultHeaders)
    app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(settings.trusted_proxies) or _LOCAL_PROXIES)
    app.add_middleware(PeerMiddleware)
    app.state.unread_answers = UnreadAnswers()
    app.add_middleware(AnswerLimit, unread=app.state.unread_answers)
    return app


_BEARER: list[Any] = [Depends(HTTPBearer(auto_error=False))]  # for the OpenAPI document
_OF_OTHERS = {
    elasticsearch.NAME: elasticsearch.router,
    loki_endpoint.NAME: loki_endpoint.router,
}  # formats that can be disabled


def _add_routes(app: FastAPI, settings: ServerSettings) -> None:
    app.include_router(endpoint.router, dependencies=_BEARER)
    app.include_router(otlp_endpoint.router, dependencies=_BEARER)
    for name, router in _OF_OTHERS.items():
        if name not in settings.disabled_formats:
            app.include_router(router, dependencies=_BEARER)
    app.include_router(endpoints.router, dependencies=_BEARER)
    app.include_router(session_routes.router)
    app.include_router(key_routes.router, dependencies=_BEARER)
    app.include_router(deletion.router, dependencies=_BEARER)
    _add_health(app)
    _add_front(app, elasticsearch.NAME not in settings.disabled_formats)
    add_client_script(app)
    add_openapi_page(app)


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
        managed_store: ManagedStore = request.app.state.managed_store
        if not cached[1]:
            raise Problem(503, managed_store.problem, retry_after=2)
        states = managed_store.tasks.states.items()
        return JSONResponse({"status": "ok", "tasks": {name: _describe_task(state) for name, state in states}})


def _describe_task(state: TaskState) -> dict[str, Any]:
    last_success = None if state.last_success is None else iso_time(int(state.last_success * 1_000_000))
    return {"ok": state.error is None, "last_success": last_success}


def _add_front(app: FastAPI, is_product: bool) -> None:
    """Add what is at ``/``: the page, and for the clients of Elasticsearch the product that they ask for."""
    page = _WEB / "index.html"
    if page.exists():
        app.mount("/static", StaticFiles(directory=_WEB), name="static")

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def front(request: Request) -> Response:
        if is_product and (elasticsearch.asks_for_product(request) or request.method == "HEAD"):
            return elasticsearch.product()
        if not page.exists():
            raise Problem(404, "this installation has no page")
        return FileResponse(page, headers={"Cache-Control": "no-cache"})


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

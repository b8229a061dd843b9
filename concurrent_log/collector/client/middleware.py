"""ASGI and WSGI middleware that adds the trace id, path, method and client address to all records of a request.

It has no dependencies: wrap the application, or use the framework's own way to add middleware.
"""

import contextvars
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any

from concurrent_log.collector.client.context import begin_request, new_trace_id, request_scope
from concurrent_log.internal.lifecycle import flush_all

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_AsgiApp = Callable[[_Message, _Receive, _Send], Awaitable[None]]
_WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_TRACE_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")  # Untrusted input, which the response repeats.
_RESPONSE_HEADER = "X-Trace-Id"
_REQUEST_HEADERS = ("traceparent", "x-trace-id", "x-request-id")


class RequestContextMiddleware:
    """Adds ``path``, ``method``, ``ip`` and ``trace_id`` to every record of a request to an ASGI application.

    The trace id comes from the request's ``traceparent``, ``X-Trace-Id`` or ``X-Request-ID``, in this order; without
    these headers it is new. The response contains it as ``X-Trace-Id``. Fields that `set_user_context` sets during the
    request end with it.

    When the server shuts down, queued records are sent, because some servers, such as uvicorn, then end the process
    with the signal that they received.

    In FastAPI and Starlette: ``app.add_middleware(RequestContextMiddleware)``; elsewhere wrap the application:
    ``app = RequestContextMiddleware(app)``.

    Args:
        app: The ASGI 3 application.
    """

    def __init__(self, app: _AsgiApp) -> None:
        self.app = app

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Serve one connection, or the lifespan of the server."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, _flush_at_shutdown(send))
            return
        trace_id = _trace_id(_asgi_headers(scope))

        async def send_with_id(message: _Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                message = {**message, "headers": _add_trace_id(message.get("headers", ()), trace_id)}
            await send(message)

        with request_scope(trace_id, _asgi_fields(scope)):
            await self.app(scope, receive, send_with_id)


class WsgiRequestContextMiddleware:
    """Does for a WSGI application what `RequestContextMiddleware` does for an ASGI application.

    ``app.wsgi_app = WsgiRequestContextMiddleware(app.wsgi_app)`` in Flask,
    ``application = WsgiRequestContextMiddleware(get_wsgi_application())`` in Django.

    Args:
        app: The WSGI application.
    """

    def __init__(self, app: _WsgiApp) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request."""
        # In a separate context: the body may be generated after this returns, when the thread serves other requests.
        context = contextvars.copy_context()
        body = context.run(self._begin, environ, start_response)
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(body, (list, tuple)) or (isinstance(wrapper, type) and isinstance(body, wrapper)):
            return body  # complete, or a type that the server sends in a faster way
        return _ContextBody(body, context)

    def _begin(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        headers = {name: environ.get(f"HTTP_{name.upper().replace('-', '_')}", "") for name in _REQUEST_HEADERS}
        trace_id = _trace_id(headers)

        def start_with_id(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            if not any(name.lower() == _RESPONSE_HEADER.lower() for name, _ in headers):
                headers = [*headers, (_RESPONSE_HEADER, trace_id)]
            return start_response(status, headers, *rest)

        begin_request(trace_id, _wsgi_fields(environ))
        return self.app(environ, start_with_id)


class _ContextBody:
    """The body of a response; each part is generated in the context of its request."""

    def __init__(self, body: Iterable[bytes], context: contextvars.Context) -> None:
        self._body = body
        self._parts: Iterator[bytes] = context.run(iter, body)
        self._context = context

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return self._context.run(next, self._parts)

    def close(self) -> None:
        """Close the body; the server calls this at the end, also after the client disconnected."""
        close = getattr(self._body, "close", None)
        if close is not None:
            self._context.run(close)


def _flush_at_shutdown(send: _Send) -> _Send:
    async def flush_and_send(message: _Message) -> None:
        if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            flush_all()  # This blocks the loop, but all requests have ended.
        await send(message)

    return flush_and_send


def _trace_id(headers: Mapping[str, str]) -> str:
    """Return the trace id of the request, or a new one."""
    parent = _TRACEPARENT.fullmatch(headers.get("traceparent", "").strip())
    if parent:
        return parent[1]
    for name in _REQUEST_HEADERS[1:]:
        if _TRACE_ID.fullmatch(headers.get(name, "")):
            return headers[name]
    return new_trace_id()


def _asgi_headers(scope: _Message) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _asgi_fields(scope: _Message) -> dict[str, Any]:
    client = scope.get("client")
    return _without_empty(path=scope["path"], method=scope.get("method"), ip=client and client[0])


def _wsgi_fields(environ: Mapping[str, Any]) -> dict[str, Any]:
    # PEP 3333: the strings contain bytes, decoded as latin-1.
    path = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1").decode("utf-8", "replace")
    return _without_empty(path=path, method=environ["REQUEST_METHOD"], ip=environ.get("REMOTE_ADDR"))


def _without_empty(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _add_trace_id(headers: Iterable[tuple[bytes, bytes]], trace_id: str) -> list[tuple[bytes, bytes]]:
    headers = list(headers)
    key = _RESPONSE_HEADER.lower().encode()
    if not any(name.lower() == key for name, _ in headers):
        headers.append((key, trace_id.encode()))
    return headers

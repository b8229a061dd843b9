"""Middleware that tells every record which request it belongs to, for ASGI and for WSGI.

Without dependencies: an application is wrapped, or added to by its framework's own means.
"""

import contextvars
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any

from concurrent_log.collector.client.context import begin_request, new_trace_id, serving
from concurrent_log.internal.lifecycle import flush_all

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_AsgiApp = Callable[[_Message, _Receive, _Send], Awaitable[None]]
_WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_TRACE_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")  # Anybody may send anything, and it is sent back.
_ANSWER = "X-Trace-Id"
_ASKED = ("traceparent", "x-trace-id", "x-request-id")


class RequestContextMiddleware:
    """Puts ``path``, ``method``, ``ip`` and ``trace_id`` on every record of a request to an ASGI application.

    The trace id is that of the request's ``traceparent``, else its ``X-Trace-Id`` or ``X-Request-ID``, else a new one;
    the answer tells it as ``X-Trace-Id``. What `set_user_context` sets meanwhile ends with the request.

    When the server ends, what waits is sent: some, such as uvicorn, then end the process with the signal they got.

    In FastAPI and Starlette: ``app.add_middleware(RequestContextMiddleware)``; elsewhere wrap the
    application, as in ``app = RequestContextMiddleware(app)``.

    Args:
        app: The application, of ASGI 3.
    """

    def __init__(self, app: _AsgiApp) -> None:
        self.app = app

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Serve one connection, or the life of the server."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, _flushing(send))
            return
        trace_id = _trace_id(_asgi_headers(scope))

        async def send_with_id(message: _Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                message = {**message, "headers": _with_id(message.get("headers", ()), trace_id)}
            await send(message)

        with serving(trace_id, _asgi_fields(scope)):
            await self.app(scope, receive, send_with_id)


class WsgiRequestContextMiddleware:
    """Does for a WSGI application what `RequestContextMiddleware` does for one of ASGI.

    ``app.wsgi_app = WsgiRequestContextMiddleware(app.wsgi_app)`` in Flask,
    ``application = WsgiRequestContextMiddleware(get_wsgi_application())`` in Django.

    Args:
        app: The application.
    """

    def __init__(self, app: _WsgiApp) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request."""
        # A context of its own, since the body may be made after this returned, and the thread serves others then.
        context = contextvars.copy_context()
        body = context.run(self._begin, environ, start_response)
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(body, (list, tuple)) or (isinstance(wrapper, type) and isinstance(body, wrapper)):
            return body  # made already, or known to the server, which sends it its own way
        return _Body(body, context)

    def _begin(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        trace_id = _trace_id({name: environ.get(f"HTTP_{name.upper().replace('-', '_')}", "") for name in _ASKED})

        def start_with_id(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            if not any(name.lower() == _ANSWER.lower() for name, _ in headers):
                headers = [*headers, (_ANSWER, trace_id)]
            return start_response(status, headers, *rest)

        begin_request(trace_id, _wsgi_fields(environ))
        return self.app(environ, start_with_id)


class _Body:
    """The body of an answer, each part of which is made in the context of its request."""

    def __init__(self, body: Iterable[bytes], context: contextvars.Context) -> None:
        self._body = body
        self._parts: Iterator[bytes] = context.run(iter, body)
        self._context = context

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return self._context.run(next, self._parts)

    def close(self) -> None:
        """Close the body; the server calls this in the end, also where the client went away."""
        close = getattr(self._body, "close", None)
        if close is not None:
            self._context.run(close)


def _flushing(send: _Send) -> _Send:
    async def send_last(message: _Message) -> None:
        if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            flush_all()  # Nothing else runs any more that would have to wait.
        await send(message)

    return send_last


def _trace_id(headers: Mapping[str, str]) -> str:
    """Return the trace that the request belongs to, or a new one."""
    parent = _TRACEPARENT.fullmatch(headers.get("traceparent", "").strip())
    if parent:
        return parent[1]
    for name in _ASKED[1:]:
        if _TRACE_ID.fullmatch(headers.get(name, "")):
            return headers[name]
    return new_trace_id()


def _asgi_headers(scope: _Message) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _asgi_fields(scope: _Message) -> dict[str, Any]:
    client = scope.get("client")
    return _present(path=scope["path"], method=scope.get("method"), ip=client and client[0])


def _wsgi_fields(environ: Mapping[str, Any]) -> dict[str, Any]:
    # PEP 3333: bytes, as far as they go into latin-1
    path = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1").decode("utf-8", "replace")
    return _present(path=path, method=environ["REQUEST_METHOD"], ip=environ.get("REMOTE_ADDR"))


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _with_id(headers: Iterable[tuple[bytes, bytes]], trace_id: str) -> list[tuple[bytes, bytes]]:
    headers = list(headers)
    name = _ANSWER.lower().encode()
    if not any(found.lower() == name for found, _ in headers):
        headers.append((name, trace_id.encode()))
    return headers

"""The health of services over HTTP: ``/health``, ``/ready``, ``/live`` and ``/metrics``.

`asgi_app` and `wsgi_app` are mounted in the program's own web application, or are one by themselves. `serve` is for a
program without a web server. None of them checks anything: they say what the monitor knows.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from concurrent_log.health.endpoints.responses import answer
from concurrent_log.health.endpoints.server import EndpointServer
from concurrent_log.health.monitor import ServiceMonitor

__all__ = ["EndpointServer", "asgi_app", "serve", "wsgi_app"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Message, Receive, Send], Awaitable[None]]
WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def asgi_app(monitor: ServiceMonitor) -> ASGIApp:
    """Return an ASGI application for what ``monitor`` knows.

    As the whole application of a server, it starts monitoring with the server, unless that has been done, and stops
    with the server what it has started. Where it is mounted in another application, it is not told when the server
    starts: there, the program starts the monitor.
    """

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _respond(monitor, scope, send)
        elif scope["type"] == "lifespan":
            await _live_with_server(monitor, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            raise ValueError(f"the health endpoints speak HTTP, not {scope['type']!r}")

    return app


def wsgi_app(monitor: ServiceMonitor) -> WSGIApp:
    """Return a WSGI application for what ``monitor`` knows; the program starts the monitor, in each process."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        status, headers, body = answer(monitor, method, path, environ.get("HTTP_ACCEPT", ""))
        start_response(f"{status.value} {status.phrase}", headers)
        return [body]

    return app


def serve(monitor: ServiceMonitor, port: int, host: str = "127.0.0.1") -> EndpointServer:
    """Answer at ``port`` of ``host``, in a thread that keeps no program from ending; its ``close()`` ends that.

    The program starts the monitor. Port 0 takes a free one; ``port`` of what is returned says which. There is no
    password: at any other address than this machine's own, everybody who reaches it may ask. A child process, after a
    fork, does not answer.

    Raises:
        OSError: It is not possible to listen there.
        OverflowError: There is no such port.
    """
    return EndpointServer(wsgi_app(monitor), host, port)


async def _respond(monitor: ServiceMonitor, scope: Message, send: Send) -> None:
    accept = next((value for name, value in scope["headers"] if name == b"accept"), b"").decode("latin-1")
    status, headers, body = answer(monitor, scope["method"], _path_below_mount(scope), accept)
    encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": status.value, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


def _path_below_mount(scope: Message) -> str:
    """Return the path without that of the mount, which some frameworks have taken off already."""
    path, mount = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    return path[len(mount) :] if path.startswith(f"{mount}/") else path


async def _live_with_server(monitor: ServiceMonitor, receive: Receive, send: Send) -> None:
    await receive()
    starts_here = not monitor.is_running
    if starts_here:
        await monitor.start_monitoring()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    if starts_here:
        await monitor.stop_monitoring()
    await send({"type": "lifespan.shutdown.complete"})

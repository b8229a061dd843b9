"""HTTP endpoints for the health of services: ``/health``, ``/ready``, ``/live`` and ``/metrics``.

Mount `asgi_app` or `wsgi_app` in a web application, or serve it alone. `serve` is for a program without a web server.
The endpoints run no checks: they return the state of the monitor.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from concurrent_log.health.endpoints.responses import respond
from concurrent_log.health.endpoints.server import EndpointServer
from concurrent_log.health.monitor import ServiceMonitor

__all__ = ["EndpointServer", "asgi_app", "serve", "wsgi_app"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Message, Receive, Send], Awaitable[None]]
WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def asgi_app(monitor: ServiceMonitor) -> ASGIApp:
    """Return an ASGI application with the endpoints of ``monitor``.

    Served alone, it starts the monitor with the server, unless it is running, and stops it with the server. Mounted in
    another application, it receives no lifespan events: there, the program must start the monitor.
    """

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _send_response(monitor, scope, send)
        elif scope["type"] == "lifespan":
            await _handle_lifespan(monitor, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            raise ValueError(f"the health endpoints support HTTP, not {scope['type']!r}")

    return app


def wsgi_app(monitor: ServiceMonitor) -> WSGIApp:
    """Return a WSGI application with the endpoints of ``monitor``, which the program must start in each process."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        status, headers, body = respond(monitor, method, path, environ.get("HTTP_ACCEPT", ""))
        start_response(f"{status.value} {status.phrase}", headers)
        return [body]

    return app


def serve(monitor: ServiceMonitor, port: int, host: str = "127.0.0.1") -> EndpointServer:
    """Serve the endpoints at ``host`` and ``port`` in a daemon thread, until ``close()`` of the returned server.

    The program must start the monitor. Port 0 selects a free port, which the attribute ``port`` of the server holds.
    There is no authentication: at any address other than the loopback address, every client that reaches the port can
    read the health. A forked child process does not serve.

    Raises:
        OSError: The server cannot listen there.
        OverflowError: The port is out of range.
    """
    return EndpointServer(wsgi_app(monitor), host, port)


async def _send_response(monitor: ServiceMonitor, scope: Message, send: Send) -> None:
    accept = next((value for name, value in scope["headers"] if name == b"accept"), b"").decode("latin-1")
    status, headers, body = respond(monitor, scope["method"], _path_below_mount(scope), accept)
    encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": status.value, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


def _path_below_mount(scope: Message) -> str:
    """Return the path without the path of the mount, which some frameworks have already removed."""
    path, mount = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    return path[len(mount) :] if path.startswith(f"{mount}/") else path


async def _handle_lifespan(monitor: ServiceMonitor, receive: Receive, send: Send) -> None:
    await receive()
    is_owner = not monitor.is_running
    if is_owner:
        await monitor.start_monitoring()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    if is_owner:
        await monitor.stop_monitoring()
    await send({"type": "lifespan.shutdown.complete"})

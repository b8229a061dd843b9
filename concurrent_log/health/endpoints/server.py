"""A small HTTP server in a thread, for programs without a web server."""

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from socketserver import TCPServer, ThreadingMixIn
from types import TracebackType
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

_REQUEST_TIMEOUT = 10.0  # seconds for a client to send its request and to read the response
_MAX_CONNECTIONS = 32  # and threads, one for each; beyond them, the oldest connection is closed
_PLACE_TIMEOUT = 1.0  # seconds for the thread of a closed connection to end
_POLL_INTERVAL = 0.1  # seconds within which the server reacts to `close`


class EndpointServer:
    """Serves a WSGI application until `close`. It is also a context manager.

    Args:
        app: The application.
        host: The address to listen on.
        port: The port; 0 selects a free one.

    Attributes:
        host: The address.
        port: The actual port.
    """

    def __init__(self, app: Callable[..., Any], host: str, port: int) -> None:
        self._server = _EndpointWSGIServer(host, port)
        self._server.set_app(app)
        self.host, self.port = host, int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            args=(_POLL_INTERVAL,),
            name="concurrent_log health endpoints",
            daemon=True,
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving, and release the port. A second call does nothing."""
        if self._thread.is_alive():  # A forked child has no such thread, and shutdown() would block.
            self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> "EndpointServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()


class _RequestHandler(WSGIRequestHandler):
    timeout = _REQUEST_TIMEOUT

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - as in the standard library
        """Log no requests: probes arrive every few seconds."""


class _EndpointWSGIServer(ThreadingMixIn, WSGIServer):
    """Has a thread for each connection; slow clients lose theirs, so that others are served."""

    daemon_threads = True
    request_queue_size = 128  # A probe must not wait until slow clients are accepted.
    # On Windows, this would allow two servers on one port.
    allow_reuse_address = os.name == "posix"
    allow_reuse_port = False

    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._places = threading.Semaphore(_MAX_CONNECTIONS)
        self._begins: dict[socket.socket, float] = {}  # the oldest first
        self._lock = threading.Lock()
        super().__init__((host, port), _RequestHandler)

    def server_bind(self) -> None:
        """Bind without resolving the host name, which the standard library does and which may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread; if there are too many, end the oldest first."""
        if not self._places.acquire(blocking=False):
            with self._lock:
                oldest = next(iter(self._begins), None)
            if oldest is not None:
                _end(oldest)
            if not self._places.acquire(timeout=_PLACE_TIMEOUT):
                TCPServer.shutdown_request(self, request)
                return
        with self._lock:
            self._begins[request] = time.monotonic()
        try:
            super().process_request(request, client_address)
        except BaseException:  # such as no more threads
            self.shutdown_request(request)
            raise

    def shutdown_request(self, request: Any) -> None:
        """Close a connection, and release its place."""
        with self._lock:
            is_served = self._begins.pop(request, None) is not None
        super().shutdown_request(request)
        if is_served:
            self._places.release()

    def service_actions(self) -> None:
        """End connections whose time is over: a client may send, or read, a byte at a time."""
        before = time.monotonic() - _REQUEST_TIMEOUT
        with self._lock:
            late = [request for request, begin in self._begins.items() if begin < before]
        for request in late:
            _end(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore disconnected clients."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def _end(request: socket.socket) -> None:
    """Let the thread of a connection end; it closes the connection."""
    with contextlib.suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)

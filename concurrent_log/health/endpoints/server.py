"""A small HTTP server in a thread, for programs without a web server."""

import os
import socket
import sys
import threading
from collections.abc import Callable
from socketserver import TCPServer, ThreadingMixIn
from types import TracebackType
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

_REQUEST_TIMEOUT = 10.0  # seconds for a client to send its request
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
    daemon_threads = True
    # On Windows, this would allow two servers on one port.
    allow_reuse_address = os.name == "posix"
    allow_reuse_port = False

    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _RequestHandler)

    def server_bind(self) -> None:
        """Bind without resolving the host name, which the standard library does and which may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore disconnected clients."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

"""A small HTTP server in a thread, for a program that has none."""

import os
import socket
import sys
import threading
from collections.abc import Callable
from socketserver import TCPServer, ThreadingMixIn
from types import TracebackType
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

_PATIENCE = 10.0  # seconds for a client to send its request
_POLL = 0.1  # seconds until `close` is noticed


class EndpointServer:
    """Serves a WSGI application, from now until `close`; also a context manager.

    Args:
        app: What answers.
        host: The address to listen at.
        port: The port; 0 takes a free one.

    Attributes:
        host: Where it listens.
        port: The port, also where 0 was asked for.
    """

    def __init__(self, app: Callable[..., Any], host: str, port: int) -> None:
        self._server = _Server(host, port)
        self._server.set_app(app)
        self.host, self.port = host, int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL,), name="concurrent_log health endpoints", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Answer no more, and give the port back; a second call does nothing."""
        if self._thread.is_alive():  # In a forked child, there is none, and this would wait for it.
            self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> "EndpointServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()


class _Handler(WSGIRequestHandler):
    timeout = _PATIENCE

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - as in the standard library
        """Say nothing of requests: a probe comes every few seconds."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    # On Windows, a port with this could be taken twice.
    allow_reuse_address = os.name == "posix"
    allow_reuse_port = False

    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Bind, and look up no name of the machine, as the standard library does: that may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that has gone."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

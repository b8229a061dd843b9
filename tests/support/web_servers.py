"""Small HTTP and mail servers in threads of the test, with any kind of certificate."""

import contextlib
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from support.private_services import PASSWORD, USER, authority


def server_context(*names: str, ends_in_days: float = 365, ca: trustme.CA | None = None) -> ssl.SSLContext:
    """Return a TLS context for a server; its certificate defaults to one of the authority of the services."""
    ends = datetime.now(timezone.utc) + timedelta(days=ends_in_days)
    begins = ends - timedelta(days=1000)
    issued = (ca or authority()).issue_cert(*(names or ("localhost", "127.0.0.1")), not_after=ends, not_before=begins)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    return context


class WebServer:
    """An HTTP server. Use it in a ``with`` statement.

    Attributes:
        url: Its URL.
        responses: Status, headers and body for each path; other paths return 404.
        requests: Path and headers of each request; the names of the headers are in lower case.
        release: ``/slow`` responds only after this is set.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.responses: dict[str, tuple[int, dict[str, str], bytes]] = {"/": (200, {}, b"all is ok\n")}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.release = threading.Event()
        self._server = _HttpServer(("127.0.0.1", 0), _Handler)
        self._server.web = self
        if context is not None:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = int(self._server.server_address[1])
        self.url = f"{'http' if context is None else 'https'}://127.0.0.1:{self.port}"

    def __enter__(self) -> "WebServer":
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *reason: object) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()

    def respond(self, path: str, status: int = 200, body: object = b"", **headers: str) -> None:
        """Set the response for a path. A body that is not bytes is sent as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = {} if isinstance(body, bytes) else {"Content-Type": "application/json"}
        self.responses[path] = (status, {**kind, **headers}, content)


class _HttpServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    web: WebServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that reject the certificate and disconnect."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _HttpServer

    def do_GET(self) -> None:
        """Send the response for the path."""
        web = self.server.web
        web.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        if self.path == "/slow":
            web.release.wait()
        if self.path == "/drip":
            return self._drip()
        status, headers, body = web.responses.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        return None

    do_HEAD = do_POST = do_GET  # noqa: N815 - names that the base class requires

    def _drip(self) -> None:
        """Send single bytes indefinitely."""
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Long: ")
        with contextlib.suppress(OSError):
            while not self.server.web.release.wait(0.02):
                self.wfile.write(b"x")

    def log_message(self, *arguments: Any) -> None:
        """Log nothing."""


class _NoMail:
    """Accepts no mail."""


def _authenticate(server: Any, session: Any, envelope: Any, mechanism: str, login: Any) -> AuthResult:
    return AuthResult(success=(login.login, login.password) == (USER.encode(), PASSWORD.encode()), handled=False)


class _Controller(Controller):
    def __init__(self, starttls: ssl.SSLContext | None, **options: Any) -> None:
        self._starttls = starttls
        super().__init__(_NoMail(), hostname="127.0.0.1", port=0, **options)

    def factory(self) -> SMTP:
        return SMTP(
            self.handler, authenticator=_authenticate, auth_require_tls=False, tls_context=self._starttls,
            require_starttls=self._starttls is not None,
        )  # fmt: skip

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextlib.contextmanager
def mail_server(*, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Yield the port of a mail server with `USER` that uses implicit TLS, STARTTLS, or no TLS."""
    controller = _Controller(starttls, ssl_context=tls)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()

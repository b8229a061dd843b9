"""Small servers of HTTP and of mail, in threads of the test, with certificates of any kind."""

import contextlib
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from support.private_services import PASSWORD, USER, authority


def context_of(folder: Path, *names: str, ends_in_days: float = 365, ca: trustme.CA | None = None) -> ssl.SSLContext:
    """Return what a server with such a certificate needs, by default from the authority of the services."""
    ends = datetime.now(timezone.utc) + timedelta(days=ends_in_days)
    begins = ends - timedelta(days=1000)
    issued = (ca or authority()).issue_cert(*(names or ("localhost", "127.0.0.1")), not_after=ends, not_before=begins)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    return context


class Web:
    """A server of HTTP; to be used with ``with``.

    Attributes:
        url: Where it is.
        answers: The status, the headers and the body of each path; others are not found.
        requests: The path and the headers of each request, with their names in lower case.
        go_on: Until it is set, there is no answer at ``/slow``.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {"/": (200, {}, b"all is ok\n")}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.go_on = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.web = self
        if context is not None:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = int(self._server.server_address[1])
        self.url = f"{'http' if context is None else 'https'}://127.0.0.1:{self.port}"

    def __enter__(self) -> "Web":
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *reason: object) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, status: int = 200, body: object = b"", **headers: str) -> None:
        """Let it answer like that from now on."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = {} if isinstance(body, bytes) else {"Content-Type": "application/json"}
        self.answers[path] = (status, {**kind, **headers}, content)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    web: Web

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that do not trust us go away."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """Answer."""
        web = self.server.web
        web.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        if self.path == "/slow":
            web.go_on.wait()
        if self.path == "/drip":
            return self._drip()
        status, headers, body = web.answers.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        return None

    do_HEAD = do_POST = do_GET  # noqa: N815 - the names that the base class looks for

    def _drip(self) -> None:
        """Send one byte after the other, without end."""
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Long: ")
        with contextlib.suppress(OSError):
            while not self.server.web.go_on.wait(0.02):
                self.wfile.write(b"x")

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


class _Mail:
    """Takes no mail."""


def _authenticate(server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
    return AuthResult(success=(given.login, given.password) == (USER.encode(), PASSWORD.encode()), handled=False)


class _Controller(Controller):
    def __init__(self, starttls: ssl.SSLContext | None, **options: Any) -> None:
        self._starttls = starttls
        super().__init__(_Mail(), hostname="127.0.0.1", port=0, **options)

    def factory(self) -> SMTP:
        return SMTP(
            self.handler, authenticator=_authenticate, auth_require_tls=False, tls_context=self._starttls,
            require_starttls=self._starttls is not None,
        )  # fmt: skip

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextlib.contextmanager
def mail(*, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Give the port of a mail server with `USER`, which speaks TLS from the first byte, changes to it, or does not."""
    controller = _Controller(starttls, ssl_context=tls)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()

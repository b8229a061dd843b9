"""One HTTP request on new connections, within a time limit, that follows safe redirects."""

import contextlib
import ssl
import time
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urljoin

from concurrent_log.health.checks.address import Address, parse_address
from concurrent_log.health.checks.client_library import client_library
from concurrent_log.health.checks.muted_libraries import mute_in_checks
from concurrent_log.health.failure_reasons import describe_http_status
from concurrent_log.health.status import CheckFailed

_MAX_BODY = 2**20  # bytes; the rest is not read
_MAX_REDIRECTS = 5
_SUCCESS = range(200, 400)


class HttpResponse(NamedTuple):
    """The response to a request.

    Attributes:
        status: The HTTP status.
        body: The first part of the body; empty if it was not read.
        certificate_expires: Expiry of the server's certificate in seconds since 1970; None without TLS.
        location: Target of a redirect; None if the response is none.
    """

    status: int
    body: bytes
    certificate_expires: float | None
    location: str | None


def web_address(url: str) -> Address:
    """Return the parts of an HTTP URL, for a request. It needs urllib3.

    Raises:
        TypeError: ``url`` is not a string.
        ValueError: ``url`` is not an HTTP URL.
    """
    address = parse_address(url, "https://USER:PASSWORD@HOST:PORT/PATH", "http", "https", allows_query=True)
    with client_library("urllib3", "a URL"):
        import urllib3  # noqa: F401 - raises here if it is missing
    mute_in_checks("urllib3.connection", "urllib3.connectionpool", "urllib3.response")
    return address


@dataclass(frozen=True, repr=False)
class HttpRequest:
    """A request.

    Attributes:
        address: The URL. A user and a password in it are sent as basic authentication.
        context: Trusted certificate authorities.
        expected: The expected statuses; None means 200 to 399, after redirects. A redirect whose status is expected is
            not followed.
        method: The HTTP method. Redirects are followed for GET and HEAD only.
        headers: Headers of the request. They are not sent to another server after a redirect.
        reads_body: Whether to read the body.
    """

    address: Address
    context: ssl.SSLContext
    expected: Container[int] | None = None
    method: str = "GET"
    headers: Mapping[str, str] | None = None
    reads_body: bool = True

    def send(self, timeout: float) -> HttpResponse:
        """Send the request, and return the response; raise `CheckFailed` if its status is not expected."""
        deadline = time.monotonic() + timeout
        address, headers = self.address, self._headers()
        for _ in range(_MAX_REDIRECTS + 1):
            response = self._send(address, headers, deadline)
            location, is_expected = response.location, response.status in (self.expected or ())
            if location is None or is_expected or self.method not in ("GET", "HEAD"):
                return self._check_status(response)
            target = _redirect_target(address, location)
            # Another server must not receive the headers and the password.
            headers = headers if _origin(target) == _origin(self.address) else {}
            address = target
        raise CheckFailed(f"more than {_MAX_REDIRECTS} redirects")

    def _headers(self) -> dict[str, str]:
        from urllib3.util import make_headers

        user, password = self.address.user, self.address.password
        auth = {} if user is None else make_headers(basic_auth=f"{user}:{password or ''}")
        return {"User-Agent": "concurrent-log", **auth, **(self.headers or {})}

    def _check_status(self, response: HttpResponse) -> HttpResponse:
        if response.status not in (_SUCCESS if self.expected is None else self.expected):
            raise CheckFailed(describe_http_status(response.status))
        return response

    def _send(self, address: Address, headers: dict[str, str], deadline: float) -> HttpResponse:
        target = address.path or "/"
        with contextlib.closing(self._connection(address, _remaining(deadline))) as connection:
            connection.connect()
            connection.timeout = _remaining(deadline)
            expires = _certificate_expiry(connection.sock)
            connection.request(
                self.method, f"{target}?{address.query}" if address.query else target, headers=headers,
                preload_content=False,
            )  # fmt: skip
            with contextlib.closing(connection.getresponse()) as response:
                body = response.read(_MAX_BODY, decode_content=True) if self.reads_body else b""
                return HttpResponse(response.status, body, expires, response.get_redirect_location() or None)

    def _connection(self, address: Address, timeout: float) -> Any:
        from concurrent_log.internal.http_deadline import HTTPConnection, HTTPSConnection

        if address.scheme == "http":
            return HTTPConnection(address.host, address.port, timeout=timeout)
        return HTTPSConnection(address.host, address.port, timeout=timeout, ssl_context=self.context)


def _remaining(deadline: float) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    return remaining


def _certificate_expiry(sock: Any) -> float | None:
    if not isinstance(sock, ssl.SSLSocket):
        return None
    certificate: Any = sock.getpeercert()
    return ssl.cert_time_to_seconds(certificate["notAfter"])


def _redirect_target(address: Address, location: str) -> Address:
    source = f"{address.scheme}://{address.netloc}{address.path}"
    try:
        target = parse_address(urljoin(source, location).partition("#")[0], "", "http", "https", allows_query=True)
    except ValueError:
        raise CheckFailed("the redirect leads to an invalid URL") from None
    if (address.scheme, target.scheme) == ("https", "http"):
        raise CheckFailed("the redirect leads from TLS to an unencrypted connection")
    return target


def _origin(address: Address) -> tuple[str, str, int | None]:
    return address.scheme, address.host, address.port or {"http": 80, "https": 443}[address.scheme]

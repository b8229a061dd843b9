"""One request of HTTP on connections of its own, all of it in time, which follows redirects as far as that is safe."""

import contextlib
import ssl
import time
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urljoin

from concurrent_log.health.checks.address import Address, address_of
from concurrent_log.health.checks.client_library import needed
from concurrent_log.health.checks.library_logging import keep_quiet
from concurrent_log.health.failure_reasons import status_words
from concurrent_log.health.status import CheckFailed

_LONGEST_BODY = 2**20  # bytes; what comes after them is not read
_MOST_REDIRECTS = 5
_SUCCESS = range(200, 400)


class Answer(NamedTuple):
    """What came of a request.

    Attributes:
        status: The status of HTTP.
        body: The first part of the body; empty where it was not to be read.
        certificate_ends: When the server's certificate ends, in seconds since 1970; None without TLS.
        location: Where the server sends us; None where it does not.
    """

    status: int
    body: bytes
    certificate_ends: float | None
    location: str | None


def web_address(url: str) -> Address:
    """Return the parts of a URL of HTTP, for a request; it needs urllib3.

    Raises:
        TypeError: It is not a text.
        ValueError: It is not such a URL.
    """
    address = address_of(url, "https://USER:PASSWORD@HOST:PORT/PATH", "http", "https", takes_query=True)
    with needed("urllib3", "a URL"):
        import urllib3  # noqa: F401 - for all that comes
    keep_quiet("urllib3.connection", "urllib3.connectionpool", "urllib3.response")
    return address


@dataclass(frozen=True, repr=False)
class Request:
    """What is to be asked.

    Attributes:
        address: Where; a user and a password in it are sent as basic authentication.
        expected: The statuses that are well; where one of a redirect is among them, it is not followed. None is 200 to
            399, after redirects.
        method: The method of HTTP; redirects of others than GET and HEAD are not followed.
        headers: What is sent with it, but to no other server to which a redirect leads.
        context: Whose certificates are trusted.
        reads_body: Whether the body is of interest.
    """

    address: Address
    context: ssl.SSLContext
    expected: Container[int] | None = None
    method: str = "GET"
    headers: Mapping[str, str] | None = None
    reads_body: bool = True

    def send(self, timeout: float) -> Answer:
        """Return the answer; raise `CheckFailed` where its status is not expected."""
        give_up_at = time.monotonic() + timeout
        address, headers = self.address, self._headers()
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._ask(address, headers, give_up_at)
            if answer.location is None or self.method not in ("GET", "HEAD") or answer.status in (self.expected or ()):
                return self._expected(answer)
            found = _led_to(address, answer.location)
            # Another server is not to learn what this one is told.
            headers = headers if _origin(found) == _origin(self.address) else {}
            address = found
        raise CheckFailed(f"the answer is more than {_MOST_REDIRECTS} redirects away")

    def _headers(self) -> dict[str, str]:
        from urllib3.util import make_headers

        user, password = self.address.user, self.address.password
        auth = {} if user is None else make_headers(basic_auth=f"{user}:{password or ''}")
        return {"User-Agent": "concurrent-log", **auth, **(self.headers or {})}

    def _expected(self, answer: Answer) -> Answer:
        if answer.status not in (_SUCCESS if self.expected is None else self.expected):
            raise CheckFailed(status_words(answer.status))
        return answer

    def _ask(self, address: Address, headers: dict[str, str], give_up_at: float) -> Answer:
        target = address.path or "/"
        with contextlib.closing(self._connection(address, _left(give_up_at))) as connection:
            connection.connect()
            connection.timeout = _left(give_up_at)
            ends = _end_of_certificate(connection.sock)
            connection.request(
                self.method, f"{target}?{address.query}" if address.query else target, headers=headers,
                preload_content=False,
            )  # fmt: skip
            with contextlib.closing(connection.getresponse()) as response:
                body = response.read(_LONGEST_BODY, decode_content=True) if self.reads_body else b""
                return Answer(response.status, body, ends, response.get_redirect_location() or None)

    def _connection(self, address: Address, timeout: float) -> Any:
        from concurrent_log.internal.http_deadline import HTTPConnection, HTTPSConnection

        if address.scheme == "http":
            return HTTPConnection(address.host, address.port, timeout=timeout)
        return HTTPSConnection(address.host, address.port, timeout=timeout, ssl_context=self.context)


def _left(give_up_at: float) -> float:
    left = give_up_at - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _end_of_certificate(sock: Any) -> float | None:
    if not isinstance(sock, ssl.SSLSocket):
        return None
    certificate: Any = sock.getpeercert()
    return ssl.cert_time_to_seconds(certificate["notAfter"])


def _led_to(address: Address, location: str) -> Address:
    """Return where a redirect leads."""
    here = f"{address.scheme}://{address.netloc}{address.path}"
    try:
        found = address_of(urljoin(here, location).partition("#")[0], "", "http", "https", takes_query=True)
    except ValueError:
        raise CheckFailed("it redirects to what is not a URL of HTTP") from None
    if (address.scheme, found.scheme) == ("https", "http"):
        raise CheckFailed("it redirects from TLS to a plain connection")
    return found


def _origin(address: Address) -> tuple[str, str, int | None]:
    return address.scheme, address.host, address.port or {"http": 80, "https": 443}[address.scheme]

"""Check of a web page or an HTTP API."""

import re
import time
from collections.abc import Iterable, Mapping
from os import PathLike

from concurrent_log.health.checks.http_request import HttpRequest, HttpResponse, web_address
from concurrent_log.health.checks.probes import TIMEOUT, Check, check_timeout, make_check
from concurrent_log.health.checks.tls import tls_context
from concurrent_log.health.status import CheckFailed, Degraded

_DAY = 86400.0  # seconds


def http(
    url: str,
    *,
    status: int | Iterable[int] | None = None,
    body: "str | re.Pattern[str] | None" = None,
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
    certificate_days: float | None = 14,
    ca_file: "str | PathLike[str] | None" = None,
    timeout: float = TIMEOUT,
) -> Check:
    """Return a check that sends one request. It needs urllib3.

    It follows at most five redirects, for GET and HEAD only, and never from TLS to an unencrypted connection. Another
    server receives neither ``headers`` nor the password.

    Args:
        url: ``https://HOST:PORT/PATH``. A user and a password in it are sent as basic authentication.
        status: The expected status or statuses. Defaults to 200 to 399, after redirects.
        body: A string or compiled pattern that the first megabyte of the body must contain.
        headers: Headers of the request.
        method: The HTTP method.
        certificate_days: Days for which the certificate must still be valid; otherwise the result is `Degraded`. None
            for no limit.
        ca_file: File with the trusted certificate authorities.
        timeout: Seconds for the whole check, except the name resolution.
    """
    check_timeout(timeout)
    pattern = body.pattern if isinstance(body, re.Pattern) else body
    if pattern is not None and not isinstance(pattern, str):
        raise TypeError(f"body must be a string or a compiled pattern of a string, not of {type(pattern).__name__}")
    expected = None if status is None else frozenset([status] if isinstance(status, int) else status)
    if expected is not None and not all(isinstance(each, int) for each in expected):
        raise TypeError(f"status={status!r} must be a number or several numbers")
    request = HttpRequest(
        web_address(url), tls_context(ca_file), expected, method.upper(), dict(headers or {}), body is not None
    )

    def probe() -> None:
        response = request.send(timeout)
        _check_body(response, body)
        _check_certificate(response, certificate_days)

    return make_check("http", probe)


def _check_body(response: HttpResponse, body: "str | re.Pattern[str] | None") -> None:
    if body is None:
        return
    text = response.body.decode("utf-8", "replace")
    if not (body in text if isinstance(body, str) else body.search(text)):
        raise CheckFailed("the response does not contain the expected text")


def _check_certificate(response: HttpResponse, days: float | None) -> None:
    if days is None or response.certificate_expires is None:
        return
    remaining = (response.certificate_expires - time.time()) / _DAY
    if remaining < days:
        raise Degraded(f"the certificate expires in {remaining:.1f} days")

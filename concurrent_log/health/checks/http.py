"""Whether a URL answers as it should."""

import re
import time
from collections.abc import Iterable, Mapping
from os import PathLike

from concurrent_log.health.checks.http_request import Answer, Request, web_address
from concurrent_log.health.checks.probes import TIMEOUT, Check, check_of, seconds
from concurrent_log.health.checks.tls import trusted
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
    """Return a check that sends one request; it needs urllib3.

    At most five redirects are followed, for GET and HEAD only, never from TLS to a plain connection; another server
    gets neither ``headers`` nor the password.

    Args:
        url: ``https://HOST:PORT/PATH``; a user and a password in it are sent as basic authentication.
        status: The status or statuses that are well. By default, these are 200 to 399, after redirects.
        body: What must be in the first megabyte of the body: a text, or a compiled pattern.
        headers: What to send along.
        method: The method of HTTP.
        certificate_days: The certificate must be valid for as many days more, or it is `Degraded`; None for no limit.
        ca_file: Whose certificates are trusted.
        timeout: In seconds, for all of it but the look-up of the host's name.
    """
    seconds(timeout)
    pattern = body.pattern if isinstance(body, re.Pattern) else body
    if pattern is not None and not isinstance(pattern, str):
        raise TypeError(f"body must be a text or a compiled pattern of text, not of {type(pattern).__name__}")
    expected = None if status is None else frozenset([status] if isinstance(status, int) else status)
    if expected is not None and not all(isinstance(each, int) for each in expected):
        raise TypeError(f"status={status!r} must be a number, or some of them")
    request = Request(
        web_address(url), trusted(ca_file), expected, method.upper(), dict(headers or {}), reads_body=body is not None
    )

    def probe() -> None:
        answer = request.send(timeout)
        _look_at_body(answer, body)
        _look_at_certificate(answer, certificate_days)

    return check_of("http", probe)


def _look_at_body(answer: Answer, body: "str | re.Pattern[str] | None") -> None:
    if body is None:
        return
    text = answer.body.decode("utf-8", "replace")
    if not (body in text if isinstance(body, str) else body.search(text)):
        raise CheckFailed("the answer does not have the text in it that it should have")


def _look_at_certificate(answer: Answer, days: float | None) -> None:
    if days is None or answer.certificate_ends is None:
        return
    left = (answer.certificate_ends - time.time()) / _DAY
    if left < days:
        raise Degraded(f"the certificate ends in {left:.1f} days")

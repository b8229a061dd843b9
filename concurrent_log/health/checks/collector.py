"""Check of a log collector of this package."""

from dataclasses import replace
from os import PathLike

from concurrent_log.health.checks.http_request import HttpRequest, web_address
from concurrent_log.health.checks.probes import TIMEOUT, Check, check_timeout, make_check
from concurrent_log.health.checks.tls import tls_context
from concurrent_log.health.status import CheckFailed


def collector(
    url: str,
    token: str | None = None,
    *,
    ca_file: "str | PathLike[str] | None" = None,
    timeout: float = TIMEOUT,
) -> Check:
    """Return a check of a collector's server and its database. It needs urllib3.

    Args:
        url: ``https://HOST:PORT`` of the server.
        token: If given, the check also requests one record, which fails if the token is wrong.
        ca_file: File with the trusted certificate authorities.
        timeout: Seconds for each of the one or two requests.
    """
    check_timeout(timeout)
    context = tls_context(ca_file)
    address = web_address(url)
    if address.query:
        raise ValueError("url must be of the form https://HOST:PORT, without a query")
    path = address.path.rstrip("/")
    health = HttpRequest(replace(address, path=f"{path}/health"), context, expected={200, 503})
    logs = HttpRequest(
        replace(address, path=f"{path}/logs", query="limit=1"),
        context,
        expected={200, 401},
        headers={"Authorization": f"Bearer {token}"},
        reads_body=False,
    )

    def probe() -> None:
        response = health.send(timeout)
        if response.status == 503:
            raise CheckFailed("the database of the collector is unavailable")
        if b'"ok"' not in response.body:
            raise CheckFailed("the server is not a collector")
        if token is not None and logs.send(timeout).status == 401:
            raise CheckFailed("the token was rejected")

    return make_check("collector", probe)

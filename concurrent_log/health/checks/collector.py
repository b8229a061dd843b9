"""Whether our own collector can store records."""

from dataclasses import replace
from os import PathLike

from concurrent_log.health.checks.http_request import Request, web_address
from concurrent_log.health.checks.probes import TIMEOUT, Check, check_of, seconds
from concurrent_log.health.checks.tls import trusted
from concurrent_log.health.status import CheckFailed


def collector(
    url: str,
    token: str | None = None,
    *,
    ca_file: "str | PathLike[str] | None" = None,
    timeout: float = TIMEOUT,
) -> Check:
    """Return a check that asks a collector's server whether its database answers; it needs urllib3.

    Args:
        url: ``https://HOST:PORT``, where the server is.
        token: With it, the check also asks for a record, which the server refuses where the token is wrong.
        ca_file: Whose certificates are trusted.
        timeout: In seconds, for each of the one or two requests.
    """
    seconds(timeout)
    context = trusted(ca_file)
    address = web_address(url)
    if address.query:
        raise ValueError("url must be of the form https://HOST:PORT, without a part after ?")
    path = address.path.rstrip("/")
    health = Request(replace(address, path=f"{path}/health"), context, expected={200, 503})
    logs = Request(
        replace(address, path=f"{path}/logs", query="limit=1"),
        context,
        expected={200, 401},
        headers={"Authorization": f"Bearer {token}"},
        reads_body=False,
    )

    def probe() -> None:
        answer = health.send(timeout)
        if answer.status == 503:
            raise CheckFailed("the database of the collector is away")
        if b'"ok"' not in answer.body:
            raise CheckFailed("the answer is not that of a collector")
        if token is not None and logs.send(timeout).status == 401:
            raise CheckFailed("the token is refused")

    return check_of("collector", probe)

"""Whether a cluster of OpenSearch has all that it should have."""

import contextlib
from os import PathLike
from typing import Any

from concurrent_log.health.checks.address import address_of
from concurrent_log.health.checks.client_library import needed
from concurrent_log.health.checks.library_logging import keep_quiet
from concurrent_log.health.checks.probes import TIMEOUT, Check, check_of, seconds
from concurrent_log.health.checks.tls import trusted
from concurrent_log.health.status import CheckFailed, Degraded


def opensearch(url: str, *, ca_file: "str | PathLike[str] | None" = None, timeout: float = TIMEOUT) -> Check:
    """Return a check of the cluster: yellow is `Degraded`, red has failed; it needs opensearch-py.

    Args:
        url: ``https://USER:PASSWORD@HOST:PORT``, also with a path.
        ca_file: Whose certificates are trusted.
        timeout: In seconds, for each of connecting and receiving.
    """
    address = address_of(url, "https://USER:PASSWORD@HOST:PORT", "http", "https")
    is_secure = address.scheme == "https"
    host = {
        "host": address.host,
        "port": address.port or (443 if is_secure else 80),
        "use_ssl": is_secure,
        "url_prefix": address.path.strip("/"),
    }
    options: dict[str, Any] = {"hosts": [host], "timeout": seconds(timeout), "max_retries": 0}
    if address.user is not None:
        options["http_auth"] = (address.user, address.password or "")
    if is_secure:
        options["ssl_context"] = trusted(ca_file)
    with needed("opensearch-py", "a cluster of OpenSearch"):
        from opensearchpy import OpenSearch
    keep_quiet("opensearch", "opensearchpy.trace")

    def probe() -> None:
        with contextlib.closing(OpenSearch(**options)) as client:
            _look_at(client.cluster.health())

    return check_of("opensearch", probe)


def _look_at(answer: Any) -> None:
    colour = answer.get("status") if isinstance(answer, dict) else None
    if colour == "yellow":
        raise Degraded("the cluster is yellow: copies of some shards are missing")
    if colour == "red":
        raise CheckFailed("the cluster is red: some shards are missing")
    if colour != "green":
        raise CheckFailed("the answer is not that of a cluster of OpenSearch")

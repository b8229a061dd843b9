"""Check of the status of an OpenSearch cluster."""

import contextlib
from os import PathLike
from typing import Any

from concurrent_log.health.checks.address import parse_address
from concurrent_log.health.checks.client_library import client_library
from concurrent_log.health.checks.muted_libraries import mute_in_checks
from concurrent_log.health.checks.probes import TIMEOUT, Check, check_timeout, make_check
from concurrent_log.health.checks.tls import tls_context
from concurrent_log.health.status import CheckFailed, Degraded


def opensearch(url: str, *, ca_file: "str | PathLike[str] | None" = None, timeout: float = TIMEOUT) -> Check:
    """Return a check of the cluster: yellow is `Degraded`, red is `CheckFailed`. It needs opensearch-py.

    Args:
        url: ``https://USER:PASSWORD@HOST:PORT``, optionally with a path.
        ca_file: File with the trusted certificate authorities.
        timeout: Seconds for each of connecting and receiving.
    """
    address = parse_address(url, "https://USER:PASSWORD@HOST:PORT", "http", "https")
    is_secure = address.scheme == "https"
    host = {
        "host": address.host,
        "port": address.port or (443 if is_secure else 80),
        "use_ssl": is_secure,
        "url_prefix": address.path.strip("/"),
    }
    options: dict[str, Any] = {"hosts": [host], "timeout": check_timeout(timeout), "max_retries": 0}
    if address.user is not None:
        options["http_auth"] = (address.user, address.password or "")
    if is_secure:
        options["ssl_context"] = tls_context(ca_file)
    with client_library("opensearch-py", "an OpenSearch cluster"):
        from opensearchpy import OpenSearch
    mute_in_checks("opensearch", "opensearchpy.trace")

    def probe() -> None:
        with contextlib.closing(OpenSearch(**options)) as client:
            _check_cluster(client.cluster.health())

    return make_check("opensearch", probe)


def _check_cluster(health: Any) -> None:
    status = health.get("status") if isinstance(health, dict) else None
    if status == "yellow":
        raise Degraded("the cluster is yellow: some replica shards are missing")
    if status == "red":
        raise CheckFailed("the cluster is red: some primary shards are missing")
    if status != "green":
        raise CheckFailed("the server is not an OpenSearch cluster")

"""Checks of a Redis server: a key and a lock."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from os import PathLike
from typing import TYPE_CHECKING, Any

from concurrent_log.health.checks.address import parse_address
from concurrent_log.health.checks.client_library import client_library
from concurrent_log.health.checks.muted_libraries import mute_in_checks
from concurrent_log.health.checks.probes import TIMEOUT, AsyncCheck, check_timeout, make_async_check
from concurrent_log.health.checks.tls import require_tls, tls_context
from concurrent_log.health.status import CheckFailed

if TYPE_CHECKING:
    from redis.asyncio import Redis

_PREFIX = "concurrent_log:health"


def redis(url: str, *, ca_file: "str | PathLike[str] | None" = None, timeout: float = TIMEOUT) -> AsyncCheck:
    """Return a check that writes a key, reads it and deletes it. It needs redis.

    Args:
        url: ``redis://USER:PASSWORD@HOST:PORT/NUMBER``, or ``rediss://`` for TLS.
        ca_file: File with the trusted certificate authorities.
        timeout: Seconds for the whole check.
    """
    options = _options(url, ca_file, timeout)

    async def probe() -> None:
        key, value = f"{_PREFIX}:{uuid.uuid4()}", uuid.uuid4().hex.encode()
        async with _connected(url, options) as client:
            await client.set(key, value, ex=int(timeout) + 60)  # It expires if the check is killed before the deletion.
            found = await client.get(key)
            await client.delete(key)
        if found != value:
            raise CheckFailed("the key that was written could not be read")

    return make_async_check("redis", probe, timeout)


def redis_lock(
    url: str,
    name: str = f"{_PREFIX}:lock",
    *,
    ca_file: "str | PathLike[str] | None" = None,
    timeout: float = TIMEOUT,
) -> AsyncCheck:
    """Return a check that acquires a lock in Redis and releases it. It needs redis.

    Args:
        url: ``redis://USER:PASSWORD@HOST:PORT/NUMBER``, or ``rediss://`` for TLS.
        name: Name of the lock. Only checks use the default name.
        ca_file: File with the trusted certificate authorities.
        timeout: Seconds for the whole check. It waits for the lock for half of this time.
    """
    options = _options(url, ca_file, timeout)

    async def probe() -> None:
        async with _connected(url, options) as client:
            lock = client.lock(name, timeout=timeout + 60)  # It expires if the check is killed before the release.
            # Half of the time, so that a held lock is reported as such before the check itself times out.
            if not await lock.acquire(blocking_timeout=timeout / 2):
                raise CheckFailed("the lock is already held")
            await lock.release()

    return make_async_check("redis_lock", probe, timeout)


def _options(url: str, ca_file: "str | PathLike[str] | None", timeout: float) -> dict[str, Any]:
    form = "redis://USER:PASSWORD@HOST:PORT/NUMBER"
    address = parse_address(url, form, "redis", "rediss", allows_query=True)
    if address.name and not address.name.isdecimal():  # The library would use database 0.
        raise ValueError(f"url must be of the form {form}: the database of Redis is a number")
    options: dict[str, Any] = {"socket_timeout": check_timeout(timeout), "socket_connect_timeout": timeout}
    if ca_file is not None:
        tls_context(ca_file)  # It validates the file.
        require_tls(ca_file, address.scheme == "rediss", "rediss")
        options["ssl_ca_certs"] = str(ca_file)
    with client_library("redis", "a Redis server"):
        import redis.asyncio  # noqa: F401 - raises here if it is missing
    mute_in_checks("redis.lock", "redis.asyncio.lock")
    return options


@asynccontextmanager
async def _connected(url: str, options: dict[str, Any]) -> "AsyncIterator[Redis]":
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    client = Redis.from_url(url, retry=Retry(NoBackoff(), 0), **options)
    try:
        yield client
    finally:
        await client.aclose()

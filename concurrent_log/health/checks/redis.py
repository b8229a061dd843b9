"""Whether a Redis server takes a key and gives it back, and whether it gives a lock."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from os import PathLike
from typing import TYPE_CHECKING, Any

from concurrent_log.health.checks.address import address_of
from concurrent_log.health.checks.client_library import needed
from concurrent_log.health.checks.library_logging import keep_quiet
from concurrent_log.health.checks.probes import TIMEOUT, AsyncCheck, async_check_of, seconds
from concurrent_log.health.checks.tls import needs_tls, trusted
from concurrent_log.health.status import CheckFailed

if TYPE_CHECKING:
    from redis.asyncio import Redis

_PREFIX = "concurrent_log:health"


def redis(url: str, *, ca_file: "str | PathLike[str] | None" = None, timeout: float = TIMEOUT) -> AsyncCheck:
    """Return a check that writes a key, reads it back and deletes it; it needs redis.

    Args:
        url: ``redis://USER:PASSWORD@HOST:PORT/NUMBER``, or ``rediss://`` for TLS.
        ca_file: Whose certificates are trusted.
        timeout: In seconds, for all of it.
    """
    options = _options(url, ca_file, timeout)

    async def probe() -> None:
        key, value = f"{_PREFIX}:{uuid.uuid4()}", uuid.uuid4().hex.encode()
        async with _connected(url, options) as client:
            await client.set(key, value, ex=int(timeout) + 60)  # It goes by itself, should we be ended before.
            found = await client.get(key)
            await client.delete(key)
        if found != value:
            raise CheckFailed("a key that was written could not be read back")

    return async_check_of("redis", probe, timeout)


def redis_lock(
    url: str,
    name: str = f"{_PREFIX}:lock",
    *,
    ca_file: "str | PathLike[str] | None" = None,
    timeout: float = TIMEOUT,
) -> AsyncCheck:
    """Return a check that takes a lock in Redis and releases it; it needs redis.

    Args:
        url: ``redis://USER:PASSWORD@HOST:PORT/NUMBER``, or ``rediss://`` for TLS.
        name: The name of the lock. By default it is one that only such checks take.
        ca_file: Whose certificates are trusted.
        timeout: In seconds, for all of it.
    """
    options = _options(url, ca_file, timeout)

    async def probe() -> None:
        async with _connected(url, options) as client:
            lock = client.lock(name, timeout=timeout + 60)  # It goes by itself, should we be ended before.
            if not await lock.acquire(blocking_timeout=timeout):
                raise CheckFailed("the lock is held by another")
            await lock.release()

    return async_check_of("redis_lock", probe, timeout)


def _options(url: str, ca_file: "str | PathLike[str] | None", timeout: float) -> dict[str, Any]:
    form = "redis://USER:PASSWORD@HOST:PORT/NUMBER"
    address = address_of(url, form, "redis", "rediss", takes_query=True)
    if address.name and not address.name.isdecimal():  # The library would take it for 0.
        raise ValueError(f"url must be of the form {form}: the database of Redis is a number")
    options: dict[str, Any] = {"socket_timeout": seconds(timeout), "socket_connect_timeout": timeout}
    if ca_file is not None:
        trusted(ca_file)
        needs_tls(ca_file, address.scheme == "rediss", "rediss")
        options["ssl_ca_certs"] = str(ca_file)
    with needed("redis", "a Redis server"):
        import redis.asyncio  # noqa: F401 - for all that comes
    keep_quiet("redis.lock", "redis.asyncio.lock")
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

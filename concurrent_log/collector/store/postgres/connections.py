"""Connections to PostgreSQL that leave nothing in their session, so that a pooler such as PgBouncer may share it.

A pooler in transaction mode gives each transaction any of its sessions. So every setting ends with its transaction, no
statement is prepared in one transaction and run in another, and startup parameters are only those that poolers know.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg

from concurrent_log.collector.store.postgres.errors import SCHEMA, UNAVAILABLE

_CONNECT_TIMEOUT = 10  # seconds
_CLOSE_TIMEOUT = 10.0  # seconds for the work that is pending
_MAX_AGE = 600.0  # seconds until connections are replaced, so that a balancer's new server gets its share
_POSTGRES_EPOCH = 946_684_800_000_000  # microseconds from 1970 to 2000
_STARTUP_PARAMETERS = {"application_name": SCHEMA}


class _Connection(asyncpg.Connection):  # type: ignore[misc]  # it has no types
    """A connection that its pool does not reset: nothing is set, locked or listened to beyond a transaction.

    The pool still rolls back a transaction that was interrupted.
    """

    def get_reset_query(self) -> str:
        """Return no query, which saves a round trip for each use; asyncpg calls this from version 0.30 on."""
        return ""


class _SharedConnection(_Connection):
    """A connection to a pooler. Statements have no names, which another client of the same session might use, too."""

    def _get_unique_id(self, prefix: str) -> str:
        return "" if prefix == "stmt" else str(super()._get_unique_id(prefix))


class Connections:
    """Up to a number of connections, each of which is replaced when it is old.

    Args:
        pool: The pool of asyncpg.
        clock: Returns a time in seconds that never jumps.
    """

    def __init__(self, pool: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._clock = clock
        self._renew_at = clock() + _MAX_AGE

    async def acquire(self, timeout: float | None = None) -> Any:
        """Return a connection for `release`; raise `asyncio.TimeoutError` if none is idle in time."""
        if self._renew_at <= self._clock():
            self._renew_at = self._clock() + _MAX_AGE
            await self._pool.expire_connections()  # Each is replaced when it is used the next time.
        return await self._pool.acquire(timeout=timeout)

    async def release(self, connection: Any) -> None:
        """Return a connection to the pool."""
        await self._pool.release(connection)

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """Provide a connection without a transaction, for statements that name the schema."""
        connection = await self.acquire()
        try:
            yield connection
        finally:
            await self.release(connection)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """Provide a connection in a transaction that knows the tables by their names."""
        async with self.connection() as connection, transaction(connection):
            yield connection

    async def fetch(self, sql: str, *arguments: Any, timeout: float | None = None) -> "list[asyncpg.Record]":
        """Return the rows of a query."""
        async with self.transaction() as connection:
            return list(await connection.fetch(sql, *arguments, timeout=timeout))

    async def fetchval(self, sql: str, *arguments: Any) -> Any:
        """Return the first value of a query."""
        return (await self.fetch(sql, *arguments))[0][0]

    async def execute(self, sql: str, *arguments: Any, timeout: float | None = None) -> str:
        """Run a statement in a transaction of its own; return PostgreSQL's status."""
        async with self.transaction() as connection:
            return str(await connection.execute(sql, *arguments, timeout=timeout))

    async def close(self) -> None:
        """Finish pending work, and disconnect."""
        try:
            await asyncio.wait_for(self._pool.close(), _CLOSE_TIMEOUT)
        except UNAVAILABLE:
            self._pool.terminate()


async def connect(address: str) -> Any:
    """Return a single connection, which may be shared."""
    return await asyncpg.connect(
        address, timeout=_CONNECT_TIMEOUT, connection_class=_SharedConnection, statement_cache_size=0,
        server_settings=_STARTUP_PARAMETERS,
    )  # fmt: skip


async def is_shared(connection: Any) -> bool:
    """Return whether a pooler is between us and PostgreSQL: it tells another process id than PostgreSQL itself."""
    return bool(connection.get_server_pid() != await connection.fetchval("SELECT pg_backend_pid()"))


async def open_connections(
    address: str, most: int, *, shared: bool, command_timeout: float | None = None
) -> Connections:
    """Return up to ``most`` connections.

    Args:
        address: The address of the database.
        most: Maximum number of connections.
        shared: Whether a pooler shares sessions; if not, statements are prepared once for each connection.
        command_timeout: Maximum time for a statement in seconds.
    """
    options: dict[str, Any] = {"statement_cache_size": 0} if shared else {}
    pool = await asyncpg.create_pool(
        address,
        min_size=1,
        max_size=most,
        connection_class=_SharedConnection if shared else _Connection,
        timeout=_CONNECT_TIMEOUT,
        command_timeout=command_timeout,
        init=_use_microseconds,
        server_settings=_STARTUP_PARAMETERS,
        **options,
    )
    return Connections(pool)


@contextlib.asynccontextmanager
async def transaction(connection: Any, settings: str = "", **options: Any) -> AsyncIterator[None]:
    """Begin a transaction that knows the tables by their names; ``settings`` are more statements ``SET LOCAL …``."""
    async with connection.transaction(**options):
        await connection.execute(f"SET LOCAL search_path = {SCHEMA}; {settings}")
        yield


async def _use_microseconds(connection: Any) -> None:
    """Convert times to and from integers: microseconds since 1970."""
    async with connection.transaction():  # asyncpg may have to ask for the type.
        await connection.set_type_codec(
            "timestamptz",
            schema="pg_catalog",
            encoder=lambda moment: (moment - _POSTGRES_EPOCH,),
            decoder=lambda moment: moment[0] + _POSTGRES_EPOCH,
            format="tuple",
        )

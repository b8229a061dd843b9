"""Reads what is kept in PostgreSQL."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg

from concurrent_log.collector.store import StoreAway
from concurrent_log.collector.store.postgres.store import PostgresStore
from concurrent_log.collector.store.reader import (
    PAGE_BYTES,
    SECONDS,
    Arrived,
    Partition,
    Reader,
    Row,
    Sizes,
    TooMany,
    TooSlow,
    in_order,
    record,
    row_size,
)
from concurrent_log.collector.store.sql import statements as query
from concurrent_log.collector.store.sql.dialects import PostgresDialect
from concurrent_log.collector.store.sql.statements import Filters, Statement

_WAIT = 3.0  # seconds for a free connection
_FIRST_ROWS = 16  # before we know how large rows are
_MARGIN = 5_000_000  # microseconds that may be between the beginning of a transaction and its first write
_LONGEST = 60_000_000  # microseconds of the longest transaction whose records the live tail waits for
_BETWEEN = 500_000  # microseconds between two checkpoints

# Those that know upper and lower case of all letters, the simplest and fastest first.
_COLLATIONS = ("pg_c_utf8", "C.utf8", "C.UTF-8", "en_US.utf8", "default", "unicode", "und-x-icu")
_INSTALLED = """
    SELECT collname::text FROM pg_collation WHERE collname = ANY ($1::text[])
    AND collencoding IN (-1, (SELECT encoding FROM pg_database WHERE datname = current_database()))"""
_SNAPSHOT = """
    SELECT pg_current_snapshot()::text, pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
        pg_snapshot_xmax(pg_current_snapshot())::text::bigint, statement_timestamp()"""
_SIZES = """
    SELECT child.relname::text, pg_total_relation_size(child.oid), child.reltuples::bigint
    FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
    WHERE inhparent = to_regclass('logs') ORDER BY 1"""


@dataclass(frozen=True)
class Position:
    """Which records have been seen: those that were visible in a snapshot.

    Attributes:
        snapshot: The snapshot.
        floor: No record that is not visible in it will ever have been received before this time.
        checkpoints: Times, and the number from which on the transactions are that began to write after it.
    """

    snapshot: str
    floor: int
    checkpoints: tuple[tuple[int, int], ...]


class PostgresReader(Reader):
    """Reads what a `PostgresStore` keeps, through its connections for reading."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self._is_ready = False
        self.dialect = PostgresDialect()

    async def ready(self) -> None:
        """Learn which collation knows upper and lower case of letters beyond ASCII."""
        if self._is_ready:
            return
        async with self._transaction(SECONDS) as connection:
            installed = {each[0] for each in await connection.fetch(_INSTALLED, list(_COLLATIONS))}
            for name in (name for name in _COLLATIONS if name in installed):
                if await connection.fetchval(f"""SELECT lower('ÀΣЖ' COLLATE "{name}") = 'àσж'"""):
                    self.dialect = PostgresDialect(name)
                    break
        self._is_ready = True

    async def close(self) -> None:
        """Do nothing: the connections belong to the store."""

    async def rows(self, statement: Statement, seconds: float = SECONDS) -> list[Row]:
        """Return the rows that a statement finds, until they are more than `PAGE_BYTES`."""
        async with self._transaction(seconds) as connection:
            return await _rows(connection, statement)

    @contextlib.asynccontextmanager
    async def _transaction(self, seconds: float) -> AsyncIterator[Any]:
        """Provide a connection on which all queries see the same, and none takes longer than ``seconds``."""
        with _saying_what_is_wrong():
            connection = await self._connection()
            try:
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    await connection.execute(f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
                    yield connection
            finally:
                await self._store.reading.release(connection)

    async def _connection(self) -> Any:
        try:
            return await self._store.reading.acquire(timeout=_WAIT)
        except asyncio.TimeoutError:
            raise TooMany("too many queries at the same time: try again later") from None

    async def position(self) -> Position:
        """Return where the records end that have arrived by now."""
        async with self._transaction(SECONDS) as connection:
            snapshot, _, ahead, now = await connection.fetchrow(_SNAPSHOT)
        return Position(snapshot, now - _LONGEST, ((now, ahead),))

    async def arrived(self, filters: Filters, position: Position, limit: int) -> Arrived:
        """Return the latest ``limit`` records that have been committed since, in whatever order they were begun."""
        async with self._transaction(SECONDS) as connection:
            snapshot, behind, ahead, now = await connection.fetchrow(_SNAPSHOT)
            found = await _rows(connection, self._arrivals(filters, position, ahead, limit))
            count = len(found)
            if count == limit or sum(map(row_size, found)) > PAGE_BYTES:
                count = await connection.fetchval(*_as_call(self._arrivals(filters, position, ahead, None)))
        following = _following(position, snapshot, behind, ahead, now)
        return Arrived([record(row) for row in sorted(found, key=in_order)], count - len(found), following)

    def _arrivals(self, filters: Filters, position: Position, ahead: int, limit: int | None) -> Statement:
        """Ask for what was not visible in the last snapshot; xmin is the lower half of a number like ``ahead``."""
        statement = Statement(self.dialect)
        number, era = "xmin::text::bigint", ahead >> 32 << 32
        full = f"({number} + CASE WHEN {number} <= {ahead - era} THEN {era} ELSE {era - 2**32} END)"
        floor, snapshot = statement.argument(position.floor), statement.argument(position.snapshot)
        conditions = [
            f"received_at >= {floor}",
            f"NOT pg_visible_in_snapshot({full}::text::xid8, {snapshot}::text::pg_snapshot)",
        ]
        return query.arrived(statement, filters, conditions, limit)

    async def sizes(self) -> Sizes:
        """Return how much there is, by PostgreSQL's own estimates."""
        async with self._transaction(SECONDS) as connection:
            found = await connection.fetch(_SIZES)
        partitions = [Partition(name, size, max(0, rows)) for name, size, rows in found]
        return Sizes(sum(each.bytes for each in partitions), sum(each.records for each in partitions), partitions)


async def _rows(connection: Any, statement: Statement) -> list[Row]:
    """Fetch as many rows at once as are likely to be within what is left of `PAGE_BYTES`."""
    cursor = await connection.cursor(*_as_call(statement))
    found: list[Row] = []
    count, size = _FIRST_ROWS, 0
    while size <= PAGE_BYTES:
        more = await cursor.fetch(count)
        found += more
        if len(more) < count:
            break
        size += sum(map(row_size, more))
        count = max(1, min(1000, (PAGE_BYTES - size) * len(found) // size))
    return found


def _as_call(statement: Statement) -> list[Any]:
    return [statement.sql, *statement.arguments]


def _following(position: Position, snapshot: str, behind: int, ahead: int, now: int) -> Position:
    """Return the position after a look at the records that are visible in ``snapshot``.

    Transactions are numbered when they begin to write. When all below the number of a checkpoint have ended (``behind``
    is the first that has not), whatever is committed later began to write after its time.
    """
    passed = [time for time, number in position.checkpoints if number <= behind]
    floor = max([position.floor, now - _LONGEST, *(time - _MARGIN for time in passed)])
    waiting = tuple(each for each in position.checkpoints if each[1] > behind and each[0] > now - _LONGEST)
    if not waiting or waiting[-1][0] < now - _BETWEEN:
        waiting += ((now, ahead),)
    return Position(snapshot, floor, waiting)


@contextlib.contextmanager
def _saying_what_is_wrong() -> Iterator[None]:
    """Turn what the database raises into what a `Reader` raises."""
    try:
        yield
    except asyncpg.QueryCanceledError:
        raise TooSlow("it takes too long: narrow the time range, with since and until") from None
    except (asyncpg.OperatorInterventionError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError) as error:
        raise StoreAway(f"the database is away ({type(error).__name__})") from None
    except (OSError, asyncio.TimeoutError, asyncpg.InternalClientError) as error:
        raise StoreAway(f"the database is away ({type(error).__name__})") from None

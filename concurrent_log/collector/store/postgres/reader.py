"""Reads records from PostgreSQL, over the store's connections for reading."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from concurrent_log.collector.store.interface import TooManyQueries
from concurrent_log.collector.store.postgres.connections import transaction
from concurrent_log.collector.store.postgres.dialect import PostgresDialect
from concurrent_log.collector.store.postgres.errors import reader_errors
from concurrent_log.collector.store.postgres.store import PostgresStore
from concurrent_log.collector.store.reader import (
    MAX_RESULT_BYTES,
    QUERY_TIMEOUT,
    NewRecords,
    PartitionSize,
    RecordReader,
    ResultRow,
    StoreSize,
    record_object,
    result_size,
    row_order,
)
from concurrent_log.collector.store.sql import statements
from concurrent_log.collector.store.sql.dialect import Statement
from concurrent_log.collector.store.sql.filters import Filters

_PLANNING = "SET LOCAL jit = off; SET LOCAL plan_cache_mode = force_custom_plan"  # Plans depend on the values.
_CONNECTION_TIMEOUT = 3.0  # seconds to wait for an idle connection
_FIRST_FETCH = 16  # rows that are fetched before the size of a row is known
_BEGIN_MARGIN = 5_000_000  # microseconds between the start of a transaction and its first write, at most
_MAX_TRANSACTION = 60_000_000  # microseconds; the live tail does not wait longer for a transaction
_CHECKPOINT_INTERVAL = 500_000  # microseconds

# Collations that know the upper and lower case of all letters, the simplest and fastest first.
_COLLATIONS = ("pg_c_utf8", "C.utf8", "C.UTF-8", "en_US.utf8", "default", "unicode", "und-x-icu")
_INSTALLED_COLLATIONS = """
    SELECT collname::text FROM pg_collation WHERE collname = ANY ($1::text[])
    AND collencoding IN (-1, (SELECT encoding FROM pg_database WHERE datname = current_database()))"""
_SNAPSHOT = """
    SELECT pg_current_snapshot()::text, pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
        pg_snapshot_xmax(pg_current_snapshot())::text::bigint, statement_timestamp()"""
_PARTITION_SIZES = """
    SELECT child.relname::text, pg_total_relation_size(child.oid), child.reltuples::bigint
    FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
    WHERE inhparent = to_regclass('logs') ORDER BY 1"""


@dataclass(frozen=True)
class TailPosition:
    """The position of the live tail: all records that were visible in a snapshot have been read.

    Attributes:
        snapshot: The snapshot.
        floor: Every record that is not visible in the snapshot, now or later, is received at or after this time.
        checkpoints: Pairs of a time and a transaction id: transactions with this id or a higher one began to write
            after that time.
    """

    snapshot: str
    floor: int
    checkpoints: tuple[tuple[int, int], ...]


class PostgresReader(RecordReader):
    """Reads the records of a `PostgresStore`."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self._is_prepared = False
        self.dialect = PostgresDialect()

    async def prepare(self) -> None:
        """Choose a collation that knows the upper and lower case of letters beyond ASCII."""
        if self._is_prepared:
            return
        async with self._transaction(QUERY_TIMEOUT) as connection:
            installed = {each[0] for each in await connection.fetch(_INSTALLED_COLLATIONS, list(_COLLATIONS))}
            for name in (name for name in _COLLATIONS if name in installed):
                if await connection.fetchval(f"""SELECT lower('ÀΣЖ' COLLATE "{name}") = 'àσж'"""):
                    self.dialect = PostgresDialect(name)
                    break
        self._is_prepared = True

    async def close(self) -> None:
        """Do nothing: the store closes the connections."""

    async def rows(self, statement: Statement, timeout: float = QUERY_TIMEOUT) -> list[ResultRow]:
        """Return the rows of a statement, up to `MAX_RESULT_BYTES`."""
        async with self._transaction(timeout) as connection:
            return await _fetch(connection, statement)

    @contextlib.asynccontextmanager
    async def _transaction(self, timeout: float) -> AsyncIterator[Any]:
        """Provide a connection on which all queries use one snapshot; ``timeout`` is the limit for each query."""
        with reader_errors():
            connection = await self._acquire()
            try:
                settings = f"SET LOCAL statement_timeout = {int(timeout * 1000)}; {_PLANNING}"
                async with transaction(connection, settings, isolation="repeatable_read", readonly=True):
                    yield connection
            finally:
                await self._store.reading.release(connection)

    async def _acquire(self) -> Any:
        try:
            return await self._store.reading.acquire(timeout=_CONNECTION_TIMEOUT)
        except asyncio.TimeoutError:
            raise TooManyQueries("too many queries at the same time: try again later") from None

    async def position(self) -> TailPosition:
        """Return the position after all records that are committed."""
        async with self._transaction(QUERY_TIMEOUT) as connection:
            snapshot, _, xmax, now = await connection.fetchrow(_SNAPSHOT)
        return TailPosition(snapshot, now - _MAX_TRANSACTION, ((now, xmax),))

    async def new_records(self, filters: Filters, position: TailPosition, limit: int) -> NewRecords:
        """Return the latest ``limit`` records that were committed after a position, even if they were begun before."""
        async with self._transaction(QUERY_TIMEOUT) as connection:
            snapshot, xmin, xmax, now = await connection.fetchrow(_SNAPSHOT)
            position = after_clock_change(position, now)
            found = await _fetch(connection, self._new_statement(filters, position, xmax, limit))
            count = len(found)
            if count == limit or result_size(found) > MAX_RESULT_BYTES:
                counting = self._new_statement(filters, position, xmax, None)
                count = await connection.fetchval(counting.sql, *counting.arguments)
        records = [record_object(row) for row in sorted(found, key=row_order)]
        return NewRecords(records, count - len(found), next_position(position, snapshot, xmin, xmax, now))

    def _new_statement(self, filters: Filters, position: TailPosition, xmax: int, limit: int | None) -> Statement:
        """Select the records that are not visible in the position's snapshot.

        A row's xmin is the lower half of a 64-bit transaction id; the upper half follows from ``xmax``.
        """
        statement = Statement(self.dialect)
        number, epoch = "xmin::text::bigint", xmax >> 32 << 32
        full = f"({number} + CASE WHEN {number} <= {xmax - epoch} THEN {epoch} ELSE {epoch - 2**32} END)"
        floor, snapshot = statement.argument(position.floor), statement.argument(position.snapshot)
        conditions = [
            f"received_at >= {floor}",
            f"NOT pg_visible_in_snapshot({full}::text::xid8, {snapshot}::text::pg_snapshot)",
        ]
        return statements.complete_new_records(statement, filters, conditions, limit)

    async def size(self) -> StoreSize:
        """Return the size of all partitions, by PostgreSQL's own estimates."""
        async with self._transaction(QUERY_TIMEOUT) as connection:
            found = await connection.fetch(_PARTITION_SIZES)
        partitions = [PartitionSize(name, size, max(0, rows)) for name, size, rows in found]
        return StoreSize(sum(each.bytes for each in partitions), sum(each.records for each in partitions), partitions)


async def _fetch(connection: Any, statement: Statement) -> list[ResultRow]:
    """Fetch rows in portions that are likely to fit into the rest of `MAX_RESULT_BYTES`."""
    cursor = await connection.cursor(statement.sql, *statement.arguments)
    found: list[ResultRow] = []
    count, size = _FIRST_FETCH, 0
    while size <= MAX_RESULT_BYTES:
        more = await cursor.fetch(count)
        found += more
        if len(more) < count:
            break
        size += result_size(more)
        count = max(1, min(1000, (MAX_RESULT_BYTES - size) * len(found) // size))
    return found


def after_clock_change(position: TailPosition, now: int) -> TailPosition:
    """Return a position that also finds the records of a clock that was set back: they seem to be received earlier."""
    if all(time <= now for time, _ in position.checkpoints) and position.floor <= now:
        return position
    return TailPosition(position.snapshot, min(position.floor, now - _MAX_TRANSACTION), ())


def next_position(position: TailPosition, snapshot: str, xmin: int, xmax: int, now: int) -> TailPosition:
    """Return the position after the records that are visible in ``snapshot``.

    A transaction gets its id when it begins to write. ``xmin`` is the id of the oldest one that is still open. When it
    reaches the id of a checkpoint, every later commit is by a transaction that began to write after the checkpoint.
    """
    passed = [time for time, number in position.checkpoints if number <= xmin]
    floor = max([position.floor, now - _MAX_TRANSACTION, *(time - _BEGIN_MARGIN for time in passed)])
    pending = tuple(each for each in position.checkpoints if each[1] > xmin and each[0] > now - _MAX_TRANSACTION)
    if not pending or pending[-1][0] < now - _CHECKPOINT_INTERVAL:
        pending += ((now, xmax),)
    return TailPosition(snapshot, floor, pending)

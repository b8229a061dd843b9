"""Writes records to PostgreSQL: each batch in one transaction, by COPY into a partition for each day."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import date
from typing import Any

import asyncpg

from concurrent_log.collector.store.columns import RecordRow
from concurrent_log.collector.store.interface import (
    STORED_IN_PARTS,
    TRIAL_ID,
    AddResult,
    Client,
    IncomingBatch,
    StoreUnusable,
    result_of_stored,
)
from concurrent_log.collector.store.migrations import migrations
from concurrent_log.collector.store.postgres import partitions
from concurrent_log.collector.store.postgres.connections import (
    Connections,
    connect,
    is_shared,
    open_connections,
    transaction,
)
from concurrent_log.collector.store.postgres.errors import ROW_ERRORS, SCHEMA, UNAVAILABLE, store_errors

_ADD_TIMEOUT = 30.0  # seconds; after that, it is unknown whether the batch is stored
_DELETION_TIMEOUT = 600.0  # seconds
_MIGRATION_TIMEOUT = 300.0  # seconds
_WRITE_CONNECTIONS = 4
_READ_CONNECTIONS = 6
_DAY = 86_400_000_000  # microseconds
_DAYS_AHEAD = 2  # Their partitions are created before they are needed.
_DAYS_BACK = 62  # Their partitions are created when they are needed; records of older days go to logs_rest.
_PARTITION_RETRY = 60.0  # seconds until the creation of a partition is tried again
_LAST_SEEN_PRECISION = 5  # seconds
_MAX_CACHED_CLIENTS = 10_000
_SCHEMA_LOCK = 0x636F6E63_6C6F6701  # the number of the advisory lock for migrations

_NEW_BATCH = f"""
    INSERT INTO {SCHEMA}.batches (batch_id, records, digest) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING RETURNING true"""
_STORED_BATCH = f"SELECT records, digest FROM {SCHEMA}.batches WHERE batch_id = $1"
# Waits for a transaction that stores one of these batches, and then sees it. The whole batch comes first in every list,
# so two transactions cannot deadlock.
_INSERT_LARGER_BATCHES = f"""
    INSERT INTO {SCHEMA}.batches (batch_id, records)
        SELECT larger, {STORED_IN_PARTS} FROM unnest($1::text[]) AS larger
    ON CONFLICT (batch_id) DO UPDATE SET records = batches.records RETURNING records"""
_UPSERT_CLIENT = f"""
    INSERT INTO {SCHEMA}.clients (id, name, service, environment, host) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (id) DO UPDATE SET last_seen = now(), name = excluded.name, service = excluded.service,
        environment = excluded.environment, host = excluded.host
    WHERE clients.last_seen < now() - interval '{_LAST_SEEN_PRECISION} seconds'"""
_NEW_LOSS = f"""
    INSERT INTO {SCHEMA}.drops (client_id, service, host, reason, records, since) VALUES ($1, $2, $3, $4, $5, $6)"""
# About 1 MB; no other transaction sees it.
_TRIAL_TABLE = """
    CREATE TABLE trial AS SELECT md5(number::text) AS text FROM generate_series(1, 16000) AS number;
    DROP TABLE trial"""


class PostgresStore:
    """Stores records in the schema ``concurrent_log`` of a PostgreSQL database.

    Attributes:
        writing: Connections for batches.
        reading: Connections for queries, so that slow ones do not delay batches.
    """

    writing: Connections
    reading: Connections

    def __init__(self, address: str) -> None:
        self._address = address
        self._days: set[int] = set()  # the days, counted from 1970, that have a partition
        self._retry_at: dict[int, float] = {}  # when to try again to create the partition of a day
        self._client_times: dict[Client, float] = {}  # when the entry of a client was last updated

    async def open(self) -> None:
        """Connect, and create or migrate the schema."""
        with store_errors():
            first = await connect(self._address)
            try:
                shared = await asyncio.wait_for(_migrate(first), _MIGRATION_TIMEOUT)
            finally:
                await first.close(timeout=5)
        try:
            with store_errors():
                self.writing = await open_connections(
                    self._address, _WRITE_CONNECTIONS, shared=shared, command_timeout=_ADD_TIMEOUT
                )
                self.reading = await open_connections(self._address, _READ_CONNECTIONS, shared=shared)
            await self.prepare()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish pending work, and disconnect."""
        for connections in (getattr(self, "writing", None), getattr(self, "reading", None)):
            if connections is not None:
                await connections.close()

    async def is_ready(self) -> bool:
        """Return whether the database responds."""
        try:
            return bool(await asyncio.wait_for(self.writing.fetchval("SELECT true"), 3))
        except (*UNAVAILABLE, AttributeError):
            return False

    async def select(self, sql: str, *arguments: Any) -> "list[asyncpg.Record]":
        """Return the rows of a small query; it uses a connection for writing, because slow queries use none of them."""
        with store_errors():
            return await self.writing.fetch(sql, *arguments, timeout=_ADD_TIMEOUT)

    async def execute(self, sql: str, *arguments: Any) -> int:
        """Run a statement in a transaction of its own; return the number of affected rows."""
        with store_errors():
            status = await self.writing.execute(sql, *arguments, timeout=_ADD_TIMEOUT)
        return int(status.split()[-1])

    async def delete(self, condition: str, arguments: Sequence[Any]) -> int:
        """Delete the records that meet a condition, in one transaction, which does not block others."""
        with store_errors():
            sql = f"DELETE FROM logs WHERE {condition}"
            status = await self.writing.execute(sql, *arguments, timeout=_DELETION_TIMEOUT)
        return int(status.split()[-1])

    async def add(self, batch: IncomingBatch) -> AddResult:
        """Store ``batch``, and return after the commit."""
        with store_errors():
            return await asyncio.wait_for(self._add(batch), _ADD_TIMEOUT)

    async def _add(self, batch: IncomingBatch) -> AddResult:
        await self._create_partitions_for(batch.rows)
        try:
            return await self._add_with(_copy, batch)
        except ROW_ERRORS:
            return await self._add_with(_copy_valid_rows, batch)

    async def _add_with(self, copy: "_Copy", batch: IncomingBatch) -> AddResult:
        client = batch.client if self._is_client_outdated(batch.client) else None
        async with self.writing.connection() as connection:
            if copy is _copy and batch.batch_id is None and client is None and not batch.losses:
                # A COPY alone is a transaction, which saves two round trips.
                await _copy(connection, batch.columns, batch.rows)
                return AddResult(len(batch.rows))
            async with connection.transaction():
                if batch.part_of and await _is_larger_batch_stored(connection, batch.part_of):
                    return AddResult(0, duplicate=True)
                if batch.batch_id is not None:
                    is_new = await connection.fetchval(_NEW_BATCH, batch.batch_id, len(batch.rows), batch.digest)
                    if not is_new:
                        return result_of_stored(batch, *await connection.fetchrow(_STORED_BATCH, batch.batch_id))
                rejected = await copy(connection, batch.columns, batch.rows) if batch.rows else []
                await _insert_losses(connection, batch)
                await _upsert_client(connection, client)
        if client is not None:
            self._client_times[client] = time.monotonic()
        return AddResult(len(batch.rows) - len(rejected), rejected=tuple(rejected))

    def _is_client_outdated(self, client: Client | None) -> bool:
        """Return whether the entry of ``client`` in the database needs an update."""
        if len(self._client_times) > _MAX_CACHED_CLIENTS:
            self._client_times.clear()
        precision = _LAST_SEEN_PRECISION
        return client is not None and self._client_times.get(client, -precision) + precision <= time.monotonic()

    async def prepare(self) -> None:
        """Create the partitions of today and the next days, so that no batch has to wait for them."""
        today = int(time.time() // 86_400)
        with store_errors():
            await self._create_partitions(set(range(today - 1, today + _DAYS_AHEAD + 1)))

    async def _create_partitions_for(self, rows: Sequence[RecordRow]) -> None:
        needed = {row[0] // _DAY for row in rows} - self._days
        if needed:
            today, now = int(time.time() // 86_400), time.monotonic()
            near = range(today - _DAYS_BACK, today + _DAYS_AHEAD + 1)
            due = {day for day in needed if day in near and self._retry_at.get(day, 0) <= now}
            await self._create_partitions(due)

    async def _create_partitions(self, days: set[int]) -> None:
        for day in sorted(days - self._days):
            async with self.writing.connection() as connection:
                if await partitions.create_partition(connection, day):
                    self._days.add(day)
                else:
                    self._retry_at[day] = time.monotonic() + _PARTITION_RETRY

    async def remove_before(self, day: date) -> int:
        """Remove records from before ``day`` (UTC)."""
        with store_errors():
            async with self._removal() as connection:
                removed = 0 if connection is None else await partitions.remove_before(connection, day)
        self._days = {each for each in self._days if each >= (day - date(1970, 1, 1)).days}
        return removed

    async def remove_to_size(self, size: int) -> int:
        """Drop the partitions of the oldest days until the others need at most ``size`` bytes; today's stays."""
        with store_errors():
            async with self._removal() as connection:
                removed = 0 if connection is None else await partitions.remove_to_size(connection, size)
        if removed:
            self._days.clear()
        return removed

    @contextlib.asynccontextmanager
    async def _removal(self) -> AsyncIterator[Any]:
        """Provide a connection for removing records; None if another server removes them now."""
        async with self.writing.connection() as lock, partitions.only_server(lock) as is_alone:
            if not is_alone:
                yield None
                return
            async with self.writing.connection() as connection:
                yield connection

    async def newest_arrival(self) -> int | None:
        """Return when the last record was received."""
        found = await self.select("SELECT max(received_at) FROM logs")
        return None if found[0][0] is None else int(found[0][0])

    async def check_writable(self) -> None:
        """Write and remove an entry, and a table that needs as much room as a batch."""
        with store_errors():
            async with self.writing.transaction() as connection:
                await connection.execute("INSERT INTO batches (batch_id, records) VALUES ($1, 0)", TRIAL_ID)
                await connection.execute("DELETE FROM batches WHERE batch_id = $1", TRIAL_ID)
                await connection.execute(_TRIAL_TABLE)


_Copy = Callable[[Any, Sequence[str], Sequence[RecordRow]], Awaitable[list[tuple[int, str]]]]


async def _copy(connection: Any, columns: Sequence[str], rows: Sequence[RecordRow]) -> list[tuple[int, str]]:
    await connection.copy_records_to_table("logs", schema_name=SCHEMA, columns=columns, records=rows)
    return []


async def _copy_valid_rows(connection: Any, columns: Sequence[str], rows: Sequence[RecordRow]) -> list[tuple[int, str]]:
    """Store the rows that the database accepts; return the index of each other row, and the reason.

    The rows are tried in subtransactions first, and then stored by the transaction itself. A subtransaction has a
    number of its own, which no snapshot contains, so the live tail could miss its rows.
    """
    rejected = await _find_rejected_rows(connection, columns, rows, 0)
    indices = {index for index, _ in rejected}
    await _copy(connection, columns, [row for index, row in enumerate(rows) if index not in indices])
    return rejected


async def _find_rejected_rows(
    connection: Any, columns: Sequence[str], rows: Sequence[RecordRow], first: int
) -> list[tuple[int, str]]:
    await connection.execute("SAVEPOINT trial")
    try:
        await _copy(connection, columns, rows)
        return []
    except ROW_ERRORS as error:
        if len(rows) == 1:
            return [(first, f"the database rejects it: {str(error).splitlines()[0]}")]
    finally:
        await connection.execute("ROLLBACK TO trial; RELEASE trial")
    half = len(rows) // 2
    earlier = await _find_rejected_rows(connection, columns, rows[:half], first)
    return earlier + await _find_rejected_rows(connection, columns, rows[half:], first + half)


async def _is_larger_batch_stored(connection: Any, part_of: Sequence[str]) -> bool:
    """Return whether one of these batches is stored; mark the others, so that they can no longer be stored."""
    return any(record[0] != STORED_IN_PARTS for record in await connection.fetch(_INSERT_LARGER_BATCHES, part_of))


async def _insert_losses(connection: Any, batch: IncomingBatch) -> None:
    if batch.losses:
        sender = (batch.client.id, batch.client.service, batch.client.host) if batch.client else (None, None, None)
        losses = [(*sender, loss.reason, loss.records, loss.since) for loss in batch.losses]
        await connection.executemany(_NEW_LOSS, losses)


async def _upsert_client(connection: Any, client: Client | None) -> None:
    """Update the entry of a client, at the end: batches of the same client wait for each other here."""
    if client:
        values = (client.id, client.name, client.service, client.environment, client.host)
        await connection.execute(_UPSERT_CLIENT, *values)


async def _migrate(connection: Any) -> bool:
    """Create or migrate the schema; a lock keeps other servers out. Return whether a pooler shares the session."""
    async with transaction(connection):
        await connection.execute(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})")
        if await connection.fetchval(f"SELECT to_regnamespace('{SCHEMA}') IS NULL"):
            await connection.execute(f"CREATE SCHEMA {SCHEMA}")
        await connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
        version = await connection.fetchval("SELECT coalesce(max(version), 0) FROM schema_version")
        steps = migrations("postgres")
        if version > steps[-1][0]:
            raise StoreUnusable(f"the database has schema {version}, this server knows {steps[-1][0]}: update it")
        for number, sql in steps:
            if number > version:
                await connection.execute(sql)
                await connection.execute("INSERT INTO schema_version VALUES ($1)", number)
        return await is_shared(connection)

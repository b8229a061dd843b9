"""One partition of the table `logs` for each day (UTC): creation, and removal by retention."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta, timezone
from typing import Any

import asyncpg

from concurrent_log.collector.store.interface import RemovalDelayed
from concurrent_log.collector.store.postgres.errors import SCHEMA

_MIN_BATCH_MEMORY = 14  # days for which the ids of batches are stored, at least
_REMOVAL_TIMEOUT = 600  # seconds
_LOCK = 0x636F6E63_6C6F6702  # the number of the advisory lock for changes of partitions
_REMOVAL_LOCK = 0x636F6E63_6C6F6703  # that of the server that removes records
_LOCK_TIMEOUT = "100ms"  # Writers wait meanwhile.
_DROP_PAUSES = (0.2, 0.5, 1.0, 0.0)  # seconds after each attempt to drop a partition
_LOCK_ERRORS = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)

_SELECT_BEFORE = f"""
    SELECT child.relname::text FROM pg_inherits
    JOIN pg_class child ON child.oid = inhrelid
    WHERE inhparent = to_regclass('{SCHEMA}.logs') AND child.relname ~ '^logs_[0-9]{{8}}$' AND child.relname < $1
    ORDER BY 1"""

_SIZE = f"""
    SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint FROM pg_inherits
    WHERE inhparent = to_regclass('{SCHEMA}.logs')"""


async def create_partition(connection: Any, day: int) -> bool:
    """Create the partition of a day, counted from 1970, and move the records of that day into it from `logs_rest`.

    The table is attached, because creating it as a partition would block writers to other days. Return False if a
    long-running query holds a lock; then the records of the day go to `logs_rest` for now.
    """
    begin = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(days=day)
    name = f"logs_{begin:%Y%m%d}"
    first, last = (f"'{moment:%Y-%m-%d} 00:00:00+00'" for moment in (begin, begin + timedelta(days=1)))
    try:
        async with connection.transaction():
            if not await _lock_and_find(connection, name):
                await connection.execute(f"""
                    LOCK TABLE logs_rest IN ACCESS EXCLUSIVE MODE;
                    CREATE TABLE {name} (LIKE logs INCLUDING DEFAULTS);
                    WITH moved AS (
                        DELETE FROM logs_rest WHERE created_at >= {first} AND created_at < {last} RETURNING *
                    ) INSERT INTO {name} SELECT * FROM moved;
                    ALTER TABLE logs ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({last});""")
    except _LOCK_ERRORS:
        return False
    return True


@contextlib.asynccontextmanager
async def only_server(connection: Any) -> AsyncIterator[bool]:
    """Provide whether this server is the only one that removes records now; keep others out until the end.

    The lock is that of a transaction, which stays idle meanwhile, because a pooler may share sessions.
    """
    async with connection.transaction():
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield await connection.fetchval(f"SELECT pg_try_advisory_xact_lock({_REMOVAL_LOCK})")


async def remove_before(connection: Any, day: date) -> int:
    """Drop the partitions of the days before ``day``, and old entries of other tables; return the number of records.

    Raises:
        RemovalDelayed: A long-running query or transaction holds a partition.
    """
    names = await _partitions_before(connection, day)
    removed = await _remove_unpartitioned(connection, day)
    for name in names:
        removed += await _drop_partition(connection, name, removed)
    return removed


async def remove_to_size(connection: Any, size: int) -> int:
    """Drop the oldest partitions until all need at most ``size`` bytes; those of today and later stay."""
    today, removed = datetime.now(timezone.utc).date(), 0
    for name in await _partitions_before(connection, today):
        async with connection.transaction():
            if await connection.fetchval(_SIZE, timeout=_REMOVAL_TIMEOUT) <= size:
                break
        removed += await _drop_partition(connection, name, removed)
    return removed


async def _partitions_before(connection: Any, day: date) -> list[str]:
    async with connection.transaction():
        return [each[0] for each in await connection.fetch(_SELECT_BEFORE, f"logs_{day:%Y%m%d}")]


async def _drop_partition(connection: Any, name: str, removed_before: int) -> int:
    """Drop a partition, and return the number of its records.

    Writers wait as long as we wait for the lock on `logs`: a short time, and only a few times in a row. DETACH …
    CONCURRENTLY would not delay them, but PostgreSQL refuses it for a table that has a default partition.
    """
    for pause in _DROP_PAUSES:
        try:
            async with connection.transaction():
                sql = f"SELECT count(*) FROM {SCHEMA}.{name}"
                count = int(await connection.fetchval(sql, timeout=_REMOVAL_TIMEOUT))
            async with connection.transaction():
                if await _lock_and_find(connection, name):
                    await connection.execute(f"""
                        LOCK TABLE ONLY logs IN ACCESS EXCLUSIVE MODE;
                        LOCK TABLE ONLY {name}, ONLY logs_rest IN ACCESS EXCLUSIVE MODE NOWAIT;
                        DROP TABLE {name}""")
                return count
        except _LOCK_ERRORS:
            await asyncio.sleep(pause)
    day = datetime.strptime(name, "logs_%Y%m%d")
    message = f"a long-running query or transaction holds the records of {day:%Y-%m-%d}: they are removed when it ends"
    raise RemovalDelayed(message, removed_before)


async def _lock_and_find(connection: Any, name: str) -> bool:
    """Take the lock for changes of partitions; then return whether a partition exists."""
    await connection.execute(f"""
        SET LOCAL search_path = {SCHEMA}; SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}';
        SELECT pg_advisory_xact_lock({_LOCK})""")
    return bool(await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", f"{SCHEMA}.{name}"))


async def _remove_unpartitioned(connection: Any, day: date) -> int:
    """Remove records of `logs_rest`, and entries of other tables; return the number of records."""
    before = int(datetime(day.year, day.month, day.day, tzinfo=timezone.utc).timestamp()) * 1_000_000
    batches_before = min(before, int((time.time() - _MIN_BATCH_MEMORY * 86_400) * 1_000_000))
    removed = await _delete(
        connection,
        "logs_rest",
        "created_at < $1 OR (received_at < $1 AND created_at > now() + interval '2 days')",
        before,
    )
    await _delete(connection, "batches", "received_at < $1", batches_before)
    await _delete(connection, "drops", "received_at < $1", before)
    await _delete(connection, "clients", "last_seen < $1", before)
    return removed


async def _delete(connection: Any, table: str, condition: str, argument: int) -> int:
    async with connection.transaction():
        sql = f"DELETE FROM {SCHEMA}.{table} WHERE {condition}"
        return int((await connection.execute(sql, argument, timeout=_REMOVAL_TIMEOUT)).split()[-1])

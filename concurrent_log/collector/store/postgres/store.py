"""Keeps records in PostgreSQL: COPY into a partition for each day, and a batch in one transaction."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import date, datetime, timedelta, timezone
from typing import Any

import asyncpg

from concurrent_log.collector.store import (
    IN_PARTS,
    Added,
    Batch,
    Client,
    Row,
    StoreAway,
    StoreUnusable,
    migrations,
)

SCHEMA = "concurrent_log"
_TIMEOUT = 30.0  # seconds for a batch, after which its fate is unknown to us
_READING_TIMEOUT = 30  # seconds for a query
_CONNECTIONS = 4
_READING_CONNECTIONS = 6
_DAY = 86_400_000_000  # microseconds
_EPOCH_OF_POSTGRES = 946_684_800_000_000  # microseconds from 1970 to 2000
_AHEAD = 2  # days for which partitions are made before they are needed
_BACK = 62  # days back for which partitions are made when they are needed; what is older goes to logs_rest
_PAUSE = 60.0  # seconds until a partition is tried again that could not be made
_REMEMBER = 14  # days at least for which batches are known
_SEEN = 5  # seconds to within which it is known when a client was last seen
_MOST_NOTED = 10_000  # clients of which we remember when we noted them

# Numbers that only we lock, for the schema and for the partitions.
_SCHEMA_LOCK = 0x636F6E63_6C6F6701
_PARTITIONS_LOCK = 0x636F6E63_6C6F6702

_NEW_BATCH = "INSERT INTO batches (batch_id, records) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true"
_RECORDS_OF_BATCH = "SELECT records FROM batches WHERE batch_id = $1"
# It waits for whoever stores one of them, and then sees it; all begin with the whole, so no two wait for each other.
_IN_PARTS = f"""
    INSERT INTO batches (batch_id, records) SELECT larger, {IN_PARTS} FROM unnest($1::text[]) AS larger
    ON CONFLICT (batch_id) DO UPDATE SET records = batches.records RETURNING records"""
_SEEN_CLIENT = f"""
    INSERT INTO clients (id, name, service, environment, host) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (id) DO UPDATE SET last_seen = now(), name = excluded.name, service = excluded.service,
        environment = excluded.environment, host = excluded.host
    WHERE clients.last_seen < now() - interval '{_SEEN} seconds'"""
_DROPS = "INSERT INTO drops (client_id, service, host, reason, records, since) VALUES ($1, $2, $3, $4, $5, $6)"

# What it comes to when the database goes away; the last one where that is in the middle of asyncpg's own work.
AWAY = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
# What the database says of rows that it cannot take, whoever finds it out.
_ROW_ERRORS = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    asyncpg.UntranslatableCharacterError,
    OverflowError,
    TypeError,
    UnicodeError,
)
# What stays wrong until somebody changes something, and what to say then: nothing of the connection is in it.
_UNUSABLE: list[tuple[type[Exception], str]] = [
    (asyncpg.InvalidAuthorizationSpecificationError, "the database refuses the user or the password"),
    (asyncpg.InvalidCatalogNameError, "there is no such database: create it with createdb"),
    (asyncpg.InsufficientPrivilegeError, f"the user may not create the schema {SCHEMA}: GRANT CREATE ON DATABASE"),
    (asyncpg.ClientConfigurationError, "the address of the database is none that PostgreSQL understands"),
    (ValueError, "the address of the database is none that PostgreSQL understands"),
]


class PostgresStore:
    """Keeps records in the schema ``concurrent_log`` of a PostgreSQL database.

    Attributes:
        writing: Connections for batches.
        reading: Connections for queries, which may only read, and not for long.
    """

    writing: "asyncpg.Pool[asyncpg.Record]"
    reading: "asyncpg.Pool[asyncpg.Record]"

    def __init__(self, address: str) -> None:
        self._address = address
        self._days: set[int] = set()  # those that have a partition, counted from 1970
        self._later: dict[int, float] = {}  # those that could not be made, and when to try again
        self._noted: dict[Client, float] = {}  # when, so that few batches have to say again who sent them

    async def open(self) -> None:
        """Connect, and create or migrate the schema."""
        with _saying_what_is_wrong():
            first = await asyncpg.connect(self._address, timeout=10, server_settings=_settings())
            try:
                await asyncio.wait_for(_migrate(first), 300)
            finally:
                await first.close(timeout=5)
        try:
            await self._connect_both()
            await self.prepare()
        except BaseException:
            await self.close()
            raise

    async def _connect_both(self) -> None:
        with _saying_what_is_wrong():
            self.writing = await self._connect(_CONNECTIONS, command_timeout=_TIMEOUT)
            self.reading = await self._connect(
                _READING_CONNECTIONS,
                read_only="on",
                statement_timeout=f"{_READING_TIMEOUT}s",
                jit="off",
                plan_cache_mode="force_custom_plan",
            )

    async def _connect(
        self, most: int, command_timeout: float | None = None, read_only: str = "off", **settings: str
    ) -> Any:
        return await asyncpg.create_pool(
            self._address,
            min_size=1,
            max_size=most,
            connection_class=_Connection,
            timeout=10,
            command_timeout=command_timeout,
            init=_use_microseconds,
            server_settings=_settings(default_transaction_read_only=read_only, **settings),
        )

    async def close(self) -> None:
        """Finish what was begun, and disconnect."""
        for pool in (getattr(self, "writing", None), getattr(self, "reading", None)):
            if pool is None:
                continue
            try:
                await asyncio.wait_for(pool.close(), 10)
            except AWAY:
                pool.terminate()

    async def is_ready(self) -> bool:
        """Return whether the database answers."""
        try:
            return bool(await asyncio.wait_for(self.writing.fetchval("SELECT true"), 3))
        except (*AWAY, AttributeError):
            return False

    async def add(self, batch: Batch) -> Added:
        """Store ``batch``, and return after the commit."""
        with _saying_what_is_wrong():
            return await asyncio.wait_for(self._add(batch), _TIMEOUT)

    async def _add(self, batch: Batch) -> Added:
        await self._make_days_of(batch.rows)
        try:
            return await self._add_by(_copy, batch)
        except _ROW_ERRORS:
            # The others are not to suffer for it.
            return await self._add_by(_copy_what_can_be, batch)

    async def _add_by(self, copy: "_Copy", batch: Batch) -> Added:
        client = batch.client if self._has_to_note(batch.client) else None
        async with self.writing.acquire() as connection:
            if copy is _copy and batch.batch_id is None and client is None and not batch.drops:
                # A COPY alone is a transaction by itself, which spares two round trips.
                await _copy(connection, batch.columns, batch.rows)
                return Added(len(batch.rows))
            async with connection.transaction():
                if batch.part_of and await _is_stored_within(connection, batch.part_of):
                    return Added(0, duplicate=True)
                if batch.batch_id is not None:
                    is_new = await connection.fetchval(_NEW_BATCH, batch.batch_id, len(batch.rows))
                    if not is_new:
                        return await _known(connection, batch.batch_id)
                rejected = await copy(connection, batch.columns, batch.rows) if batch.rows else []
                await _note_drops(connection, batch)
                await _note_client(connection, client)
        if client is not None:
            self._noted[client] = time.monotonic()
        return Added(len(batch.rows) - len(rejected), rejected=tuple(rejected))

    def _has_to_note(self, client: Client | None) -> bool:
        """Return whether the database may know of ``client`` only from longer ago."""
        if len(self._noted) > _MOST_NOTED:
            self._noted.clear()
        return client is not None and self._noted.get(client, -_SEEN) + _SEEN <= time.monotonic()

    async def prepare(self) -> None:
        """Make the partitions of today and the days to come, so that no batch has to wait for it."""
        today = int(time.time() // 86_400)
        with _saying_what_is_wrong():
            await self._make_days(set(range(today - 1, today + _AHEAD + 1)))

    async def _make_days_of(self, rows: Sequence[Row]) -> None:
        needed = {row[0] // _DAY for row in rows} - self._days
        if needed:
            today, now = int(time.time() // 86_400), time.monotonic()
            near = range(today - _BACK, today + _AHEAD + 1)
            await self._make_days({day for day in needed if day in near and self._later.get(day, 0) <= now})

    async def _make_days(self, days: set[int]) -> None:
        for day in sorted(days - self._days):
            try:
                async with self.writing.acquire() as connection, connection.transaction():
                    await _make_day(connection, day)
                self._days.add(day)
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
                # Somebody reads for long. Until it is made, records of this day go to logs_rest.
                self._later[day] = time.monotonic() + _PAUSE

    async def remove_before(self, day: date) -> int:
        """Remove what is from before ``day``, in UTC."""
        removed = 0
        with _saying_what_is_wrong():
            async with self.writing.acquire() as connection:
                for name in await connection.fetch(_PARTITIONS, f"logs_{day:%Y%m%d}"):
                    removed += await _drop_day(connection, name[0])
                removed += await _forget_before(connection, day)
        self._days = {each for each in self._days if each >= (day - date(1970, 1, 1)).days}
        return removed


class _Connection(asyncpg.Connection):  # type: ignore[misc]  # it has no types
    """Goes back to its pool without a question: nothing is set, locked or listened to beyond a transaction.

    A transaction that was cut short is rolled back by the pool all the same.
    """

    def get_reset_query(self) -> str:
        """Return no query, which saves each use of a connection a round trip; asked for by asyncpg 0.30 and newer."""
        return ""


_Copy = Callable[[Any, Sequence[str], Sequence[Row]], Awaitable[list[tuple[int, str]]]]

_PARTITIONS = f"""
    SELECT child.relname::text FROM pg_inherits
    JOIN pg_class child ON child.oid = inhrelid
    WHERE inhparent = to_regclass('{SCHEMA}.logs') AND child.relname ~ '^logs_[0-9]{{8}}$' AND child.relname < $1
    ORDER BY 1"""


async def _copy(connection: Any, columns: Sequence[str], rows: Sequence[Row]) -> list[tuple[int, str]]:
    await connection.copy_records_to_table("logs", schema_name=SCHEMA, columns=columns, records=rows)
    return []


async def _copy_what_can_be(connection: Any, columns: Sequence[str], rows: Sequence[Row]) -> list[tuple[int, str]]:
    """Store the rows that the database takes, and return the index of each other one, with the reason.

    They are tried first, and then stored by the transaction itself: those of a subtransaction have a number of their
    own, which no snapshot tells, and the live tail could miss them.
    """
    refused = await _refused(connection, columns, rows, 0)
    indices = {index for index, _ in refused}
    await _copy(connection, columns, [row for index, row in enumerate(rows) if index not in indices])
    return refused


async def _refused(connection: Any, columns: Sequence[str], rows: Sequence[Row], first: int) -> list[tuple[int, str]]:
    await connection.execute("SAVEPOINT trial")
    try:
        await _copy(connection, columns, rows)
        return []
    except _ROW_ERRORS as error:
        if len(rows) == 1:
            return [(first, f"the database refuses it: {str(error).splitlines()[0]}")]
    finally:
        await connection.execute("ROLLBACK TO trial; RELEASE trial")
    half = len(rows) // 2
    earlier = await _refused(connection, columns, rows[:half], first)
    return earlier + await _refused(connection, columns, rows[half:], first + half)


async def _is_stored_within(connection: Any, part_of: Sequence[str]) -> bool:
    """Return whether one of the batches that it is part of is stored; if not, none of them is to be any more."""
    return any(record[0] != IN_PARTS for record in await connection.fetch(_IN_PARTS, part_of))


async def _known(connection: Any, batch_id: str) -> Added:
    in_parts = await connection.fetchval(_RECORDS_OF_BATCH, batch_id) == IN_PARTS
    return Added(0, duplicate=not in_parts, in_parts=in_parts)


async def _note_drops(connection: Any, batch: Batch) -> None:
    if batch.drops:
        by = (batch.client.id, batch.client.service, batch.client.host) if batch.client else (None, None, None)
        await connection.executemany(_DROPS, [(*by, drop.reason, drop.records, drop.since) for drop in batch.drops])


async def _note_client(connection: Any, client: Client | None) -> None:
    """Note who sent a batch; last, since the batches of one client wait here for each other."""
    if client:
        await connection.execute(_SEEN_CLIENT, client.id, client.name, client.service, client.environment, client.host)


async def _make_day(connection: Any, day: int) -> None:
    """Make the partition of a day, with what came for it before it was there.

    A table is attached, rather than made as a partition, since this locks nobody out who writes to other days.
    """
    begin = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(days=day)
    name = f"logs_{begin:%Y%m%d}"
    await connection.execute(f"SET LOCAL lock_timeout = '1s'; SELECT pg_advisory_xact_lock({_PARTITIONS_LOCK})")
    if await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", f"{SCHEMA}.{name}"):
        return
    first, last = (f"'{moment:%Y-%m-%d} 00:00:00+00'" for moment in (begin, begin + timedelta(days=1)))
    await connection.execute(f"""
        LOCK TABLE logs_rest IN ACCESS EXCLUSIVE MODE;
        CREATE TABLE {name} (LIKE logs INCLUDING DEFAULTS);
        WITH moved AS (
            DELETE FROM logs_rest WHERE created_at >= {first} AND created_at < {last} RETURNING *
        ) INSERT INTO {name} SELECT * FROM moved;
        ALTER TABLE logs ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({last});""")


async def _drop_day(connection: Any, name: str) -> int:
    """Drop the partition of a day, and return how many records it had; 0 where somebody reads it for long."""
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = '5s'; SELECT pg_advisory_xact_lock({_PARTITIONS_LOCK})")
            if not await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", f"{SCHEMA}.{name}"):
                return 0
            count = await connection.fetchval(f"SELECT count(*) FROM {name}", timeout=600)
            await connection.execute(f"DROP TABLE {name}", timeout=600)
            return int(count)
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
        return 0


async def _forget_before(connection: Any, day: date) -> int:
    """Remove what has no day of its own, and return how many records it was."""
    before = int(datetime(day.year, day.month, day.day, tzinfo=timezone.utc).timestamp()) * 1_000_000
    remembered = min(before, int((time.time() - _REMEMBER * 86_400) * 1_000_000))
    removed = await connection.execute(
        "DELETE FROM logs_rest WHERE created_at < $1 OR (received_at < $1 AND created_at > now() + interval '2 days')",
        before,
        timeout=600,
    )
    await connection.execute("DELETE FROM batches WHERE received_at < $1", remembered, timeout=600)
    await connection.execute("DELETE FROM drops WHERE received_at < $1", before, timeout=600)
    await connection.execute("DELETE FROM clients WHERE last_seen < $1", before, timeout=600)
    return int(removed.split()[-1])


async def _migrate(connection: Any) -> None:
    """Bring the schema to what we know, one server at a time."""
    async with connection.transaction():
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


def _settings(**settings: str) -> dict[str, str]:
    return {"application_name": SCHEMA, "search_path": SCHEMA, "timezone": "UTC", **settings}


async def _use_microseconds(connection: Any) -> None:
    """Let times be integers: microseconds since 1970."""
    await connection.set_type_codec(
        "timestamptz",
        schema="pg_catalog",
        encoder=lambda moment: (moment - _EPOCH_OF_POSTGRES,),
        decoder=lambda moment: moment[0] + _EPOCH_OF_POSTGRES,
        format="tuple",
    )


@contextlib.contextmanager
def _saying_what_is_wrong() -> Iterator[None]:
    """Turn what a database that is away, or not usable, raises into what a store raises."""
    try:
        yield
    except (StoreAway, StoreUnusable):
        raise
    except (*AWAY, ValueError) as error:
        for kind, words in _UNUSABLE:
            if isinstance(error, kind):
                raise StoreUnusable(words) from None
        # Not the message, which may name the host or the user.
        raise StoreAway(f"the database is away ({type(error).__name__})") from None

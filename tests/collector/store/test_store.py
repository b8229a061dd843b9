"""PostgreSQL and SQLite store batches in the same way."""

import asyncio
import contextlib
import pathlib
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")

import asyncpg

from concurrent_log.collector.store.columns import COLUMNS, RecordRow
from concurrent_log.collector.store.factory import create_store
from concurrent_log.collector.store.interface import (
    STORED_IN_PARTS,
    AddResult,
    Client,
    IncomingBatch,
    LossReport,
    Store,
    StoreUnavailable,
    StoreUnusable,
)
from concurrent_log.collector.store.migrations import migrations
from concurrent_log.collector.store.postgres.store import PostgresStore
from concurrent_log.collector.store.sqlite import database_file
from concurrent_log.collector.store.sqlite.store import SqliteStore

_NOW = time.time_ns() // 1000
_DAY = 86_400_000_000


def row(**values: Any) -> RecordRow:
    """Return a row with ``values``, and defaults for the required columns."""
    given = {"created_at": _NOW, "level": "INFO", "level_number": 20, **values}
    return tuple(given.get(name) for name in COLUMNS)


def rows(count: int, **values: Any) -> list[RecordRow]:
    """Return ``count`` rows with different messages."""
    return [row(message=f"message {number}", **values) for number in range(count)]


@contextlib.asynccontextmanager
async def opened(database: str) -> AsyncIterator[Store]:
    """Provide an open store."""
    store = create_store(database)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def run(database: str, test: Callable[[Store], Awaitable[None]]) -> None:
    """Run ``test`` with an open store."""

    async def with_store() -> None:
        async with opened(database) as store:
            await test(store)

    asyncio.run(with_store())


async def select(store: Store, sql: str) -> list[tuple[Any, ...]]:
    """Return the result of a query, over a connection of the store."""
    if isinstance(store, PostgresStore):
        return [tuple(each) for each in await store.reading.fetch(sql)]
    assert isinstance(store, SqliteStore)
    with contextlib.closing(store.connect_read_only()) as connection:
        return connection.execute(sql).fetchall()


async def count(store: Store, table: str = "logs") -> int:
    """Return the number of rows in a table."""
    return int((await select(store, f"SELECT count(*) FROM {table}"))[0][0])


def test_every_column_is_stored(database: str) -> None:
    """Each column returns the value that was stored in it."""
    texts = {name: f"the {name}" for name in COLUMNS}
    given = {
        **texts,
        "created_at": 1_768_200_001_250_001,
        "level": "FATAL",
        "level_number": 50,
        "process_id": 2**63 - 1,
        "line_number": -1,
        "sequence": 0,
        "duration_ms": 1.5,
        "message": "grüße \U0001f600 \n",
        "attributes": '{"a": [1, {"b": null}]}',
    }

    async def test(store: Store) -> None:
        await store.add(IncomingBatch([row(**given)]))
        names = [name for name in COLUMNS if name != "attributes"]
        found = await select(store, f"SELECT {', '.join(names)}, attributes ->> 'a', id, received_at FROM logs")

        assert dict(zip(names, found[0], strict=False)) == {name: given[name] for name in names}
        assert found[0][-3].replace(" ", "") == '[1,{"b":null}]'
        assert found[0][-2] == 1
        assert abs(found[0][-1] - _NOW) < _DAY

    run(database, test)


def test_batch_is_stored_once(database: str) -> None:
    """A batch with a known id stores no records and no losses."""

    async def test(store: Store) -> None:
        batch = IncomingBatch(rows(10), "batch-1", Client("c"), [LossReport("queue full", 3, _NOW)])

        assert await store.add(batch) == AddResult(10)
        assert await store.add(batch) == AddResult(0, duplicate=True)
        assert await count(store) == 10
        assert await select(store, "SELECT client_id, reason, records, since FROM drops") == [
            ("c", "queue full", 3, _NOW)
        ]

    run(database, test)


def test_other_records_under_a_stored_id_are_a_conflict(database: str) -> None:
    """Neither these nor their losses are stored; without one of the digests, the batch is a duplicate."""

    async def test(store: Store) -> None:
        assert await store.add(IncomingBatch(rows(3), "batch-1", digest=b"one")) == AddResult(3)
        assert await store.add(IncomingBatch(rows(3), "batch-1", digest=b"one")) == AddResult(0, duplicate=True)
        other = IncomingBatch(rows(5), "batch-1", None, [LossReport("queue full", 3, _NOW)], digest=b"two")
        assert await store.add(other) == AddResult(0, conflict=True)
        assert await store.add(IncomingBatch(rows(5), "batch-1")) == AddResult(0, duplicate=True)
        assert await count(store) == 3
        assert await count(store, "drops") == 0
        assert await store.add(IncomingBatch(rows(2), "earlier")) == AddResult(2)
        assert await store.add(IncomingBatch(rows(5), "earlier", digest=b"two")) == AddResult(0, duplicate=True)

    run(database, test)


def test_concurrent_copies_of_a_batch_are_stored_once(database: str) -> None:
    """Of eight copies that are added at the same time, one is stored, and the others are duplicates."""

    async def test(store: Store) -> None:
        added = await asyncio.gather(*(store.add(IncomingBatch(rows(100), "batch-1")) for _ in range(8)))

        assert sorted(each.stored for each in added) == [0] * 7 + [100]
        assert sum(each.duplicate for each in added) == 7
        assert await count(store) == 100

    run(database, test)


def test_part_of_a_stored_batch_is_a_duplicate(database: str) -> None:
    """Records that were stored in the whole batch or a larger part are not stored again; other parts are stored."""

    async def test(store: Store) -> None:
        await store.add(IncomingBatch(rows(10), "batch-1"))
        await store.add(IncomingBatch(rows(5), "batch-2:0-5", part_of=["batch-2"]))

        for larger in (["batch-1"], ["batch-1", "batch-1:0-5"]):
            losses = [LossReport("queue full", 3, _NOW)]
            added = await store.add(IncomingBatch(rows(2), f"batch-1:0-{len(larger)}", losses=losses, part_of=larger))
            assert added == AddResult(0, duplicate=True)
        known, rest = ("batch-2:0-2", ["batch-2", "batch-2:0-5"]), ("batch-2:5-10", ["batch-2"])
        assert await store.add(IncomingBatch(rows(2), known[0], part_of=known[1])) == AddResult(0, duplicate=True)
        assert await store.add(IncomingBatch(rows(5), rest[0], part_of=rest[1])) == AddResult(5)
        assert await store.add(IncomingBatch(rows(5), rest[0], part_of=rest[1])) == AddResult(0, duplicate=True)
        assert await count(store) == 20
        assert await count(store, "drops") == 0

    run(database, test)


def test_batch_with_stored_parts_must_be_sent_in_parts(database: str) -> None:
    """After a part, the whole batch or a larger part stores nothing, and is not a duplicate."""

    async def test(store: Store) -> None:
        await store.add(IncomingBatch(rows(2), "batch-1:0-2", part_of=["batch-1", "batch-1:0-5"]))

        assert await store.add(IncomingBatch(rows(10), "batch-1")) == AddResult(0, in_parts=True)
        assert await store.add(IncomingBatch(rows(5), "batch-1:0-5", part_of=["batch-1"])) == AddResult(
            0, in_parts=True
        )
        assert await store.add(IncomingBatch(rows(5), "batch-1:5-10", part_of=["batch-1"])) == AddResult(5)
        assert await store.add(IncomingBatch(rows(10), "batch-1")) == AddResult(0, in_parts=True)
        assert await count(store) == 7

    run(database, test)


@pytest.mark.parametrize("rounds", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_concurrent_batch_and_parts_are_stored_once(database: str, rounds: int) -> None:
    """Added to two stores in any order, all records are stored once, without a deadlock."""

    def parts(name: str) -> list[IncomingBatch]:
        halves = [IncomingBatch(rows(4), f"{name}:{n}-{n + 4}", part_of=[name]) for n in (0, 4)]
        quarters = [
            IncomingBatch(rows(2), f"{name}:{n}-{n + 2}", part_of=[name, f"{name}:{n // 4 * 4}-{n // 4 * 4 + 4}"])
            for n in range(0, 8, 2)
        ]
        return [IncomingBatch(rows(8), name), *halves, *quarters]

    async def test(store: Store) -> None:
        chance = random.Random(7)
        other = create_store(database)
        await other.open()
        for number in range(rounds):
            batches = [batch for batch in parts(f"batch-{number}") for _ in range(2)]
            chance.shuffle(batches)
            added = await asyncio.gather(*(chance.choice([store, other]).add(batch) for batch in batches))
            assert sum(each.stored for each in added) == 8, [*zip(batches, added, strict=True)]
        await other.close()

        assert await count(store) == 8 * rounds

    run(database, test)


@contextlib.asynccontextmanager
async def unfinished(database: str, batch_id: str, records: int) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    """Insert a batch over another connection; the test ends the transaction with COMMIT or ROLLBACK."""
    insert = f"INSERT INTO batches (batch_id, received_at, records) VALUES ('{batch_id}', {{}}, {records})"
    if database.startswith("postgresql://"):
        import asyncpg

        connection = await asyncpg.connect(database, server_settings={"search_path": "concurrent_log"})
        try:
            await connection.execute(f"BEGIN; {insert.format('now()')}")
            yield connection.execute
        finally:
            await connection.close()
        return
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute(insert.format(_NOW))

        async def execute(sql: str) -> None:
            other.execute(sql)

        yield execute


@pytest.mark.parametrize(
    ("first", "second", "end", "added"),
    [
        ("whole", "part", "COMMIT", AddResult(0, duplicate=True)),
        ("whole", "part", "ROLLBACK", AddResult(5)),
        ("part", "whole", "COMMIT", AddResult(0, in_parts=True)),
        ("part", "whole", "ROLLBACK", AddResult(5)),
    ],
)
def test_add_waits_for_a_transaction_with_the_same_batch(
    database: str, first: str, second: str, end: str, added: AddResult
) -> None:
    """While the transaction of a batch is open, adding a part of it waits; so does the reverse."""
    batches = {
        "whole": IncomingBatch(rows(5), "batch-1"),
        "part": IncomingBatch(rows(5), "batch-1:0-5", part_of=["batch-1"]),
    }

    async def test(store: Store) -> None:
        async with unfinished(database, "batch-1", 5 if first == "whole" else STORED_IN_PARTS) as ending:
            adding = asyncio.create_task(store.add(batches[second]))
            assert not (await asyncio.wait([adding], timeout=0.2))[0]
            await ending(end)
            assert await adding == added

    run(database, test)


def test_two_servers_share_a_database(database: str) -> None:
    """Stores that are opened at the same time create the schema once, and know each other's batches."""

    async def test() -> None:
        async with contextlib.AsyncExitStack() as stack:
            stores = [create_store(database) for _ in range(4)]
            await asyncio.gather(*(store.open() for store in stores))
            for store in stores:
                stack.push_async_callback(store.close)
            added = await asyncio.gather(*(store.add(IncomingBatch(rows(100), "batch-1")) for store in stores))

            assert sorted(each.stored for each in added) == [0, 0, 0, 100]
            assert await count(stores[0], "schema_version") == len(migrations("sqlite"))

    asyncio.run(test())


def test_newer_schema_is_rejected(database: str) -> None:
    """A server that is older than the schema raises `StoreUnusable`, and does not start."""

    async def test() -> None:
        async with opened(database) as store:
            if isinstance(store, PostgresStore):
                await store.writing.execute("INSERT INTO schema_version VALUES (999)")
            elif isinstance(store, SqliteStore):
                with contextlib.closing(sqlite3.connect(store.path)) as connection, connection:
                    connection.execute("INSERT INTO schema_version VALUES (999)")
        with pytest.raises(StoreUnusable, match="schema 999"):
            await create_store(database).open()

    asyncio.run(test())


def test_records_persist_after_reopening(database: str) -> None:
    """Records and batch ids are still stored when the store is opened again."""

    async def test() -> None:
        for added in (AddResult(10), AddResult(0, duplicate=True)):
            async with opened(database) as store:
                assert await store.add(IncomingBatch(rows(10), "batch-1")) == added
        async with opened(database) as store:
            assert await count(store) == 10

    asyncio.run(test())


def test_client_is_stored_once(database: str) -> None:
    """Several batches of a client make one entry, even a batch without records."""

    async def test(store: Store) -> None:
        await store.add(IncomingBatch([], "1", Client("c", "concurrent-log/2", "shop", "production", "web-1")))
        await store.add(IncomingBatch(rows(1), "2", Client("c", "concurrent-log/2", "shop", "production", "web-1")))
        found = await select(store, "SELECT id, name, service, environment, host, last_seen FROM clients")

        assert [each[:-1] for each in found] == [("c", "concurrent-log/2", "shop", "production", "web-1")]
        assert abs(found[0][-1] - _NOW) < _DAY

    run(database, test)


def test_retention_removes_records_before_the_day(database: str) -> None:
    """Whole days are removed, with times near and far, even impossible ones; other records stay."""
    today = datetime.now(timezone.utc).date()
    midnight = int(datetime(today.year, today.month, today.day, tzinfo=timezone.utc).timestamp()) * 1_000_000
    old = [midnight - 1, midnight - 5 * _DAY, midnight - 300 * _DAY, 0]
    new = [midnight, midnight + _DAY, midnight + 300 * _DAY]

    async def test(store: Store) -> None:
        await store.add(IncomingBatch([row(created_at=moment) for moment in old + new], "batch-1", Client("c")))
        removed = await store.remove_before(today)

        assert removed == len(old)
        assert sorted(each[0] for each in await select(store, "SELECT created_at FROM logs")) == new
        assert await count(store, "batches") == await count(store, "clients") == 1

    run(database, test)


def test_retention_removes_records_from_the_future(database: str) -> None:
    """A record whose clock was years ahead is removed when it was received long enough ago."""

    async def test(store: Store) -> None:
        await store.add(
            IncomingBatch([row(created_at=_NOW + 3000 * _DAY)], "batch-1", Client("c"), [LossReport("full", 1, _NOW)])
        )
        removed = await store.remove_before(date.today() + timedelta(days=2))

        assert removed == 1
        assert await count(store, "clients") == await count(store, "drops") == 0

    run(database, test)


def test_retention_removes_more_than_one_step(database: str) -> None:
    """More records than are removed in one step are all removed."""

    async def test(store: Store) -> None:
        await store.add(IncomingBatch(rows(12_000, created_at=_NOW - 10 * _DAY)))

        assert await store.remove_before(date.today() - timedelta(days=2)) == 12_000
        assert await count(store) == 0

    run(database, test)


def test_batches_are_stored_during_retention(database: str) -> None:
    """Batches and retention do not block each other, and no new record is lost."""

    async def test(store: Store) -> None:
        await store.add(IncomingBatch(rows(12_000, created_at=_NOW - 10 * _DAY)))
        removing = asyncio.create_task(store.remove_before(date.today() - timedelta(days=2)))
        added = await asyncio.gather(*(store.add(IncomingBatch(rows(100), f"batch-{n}")) for n in range(20)))

        assert await removing == 12_000
        assert sum(each.stored for each in added) == await count(store) == 2_000

    run(database, test)


def test_each_day_has_a_partition(postgres: str) -> None:
    """Near days have a partition each, created in advance; distant times share one."""

    async def test(store: Store) -> None:
        await store.add(
            IncomingBatch([row(created_at=moment) for moment in (_NOW, _NOW - 40 * _DAY, 0, _NOW + 90 * _DAY)])
        )
        found = await select(store, "SELECT tableoid::regclass::text, count(*) FROM logs GROUP BY 1 ORDER BY 1")
        days = [datetime.fromtimestamp(moment / 1e6, timezone.utc) for moment in (_NOW - 40 * _DAY, _NOW)]

        assert found == [*((f"logs_{day:%Y%m%d}", 1) for day in days), ("logs_rest", 2)]
        tomorrow = days[1] + timedelta(days=1)
        assert await select(store, f"SELECT to_regclass('logs_{tomorrow:%Y%m%d}') IS NULL") == [(False,)]

    run(postgres, test)


def test_new_partition_receives_earlier_records(postgres: str) -> None:
    """When the partition of a day is created, its records move there from `logs_rest`, each once."""

    async def test(store: Store) -> None:
        assert isinstance(store, PostgresStore)
        far = _NOW // _DAY + 30
        await store.add(IncomingBatch([row(created_at=far * _DAY)]))
        await store._create_partitions({far})
        day = datetime.fromtimestamp(far * 86_400, timezone.utc)

        assert await select(store, "SELECT tableoid::regclass::text FROM logs") == [(f"logs_{day:%Y%m%d}",)]

    run(postgres, test)


def test_long_query_does_not_block_batches(postgres: str) -> None:
    """While a query prevents the creation of a partition, its records are stored in `logs_rest`."""

    async def test(store: Store) -> None:
        assert isinstance(store, PostgresStore)
        async with store.reading.transaction() as reader:
            await reader.fetch("SELECT * FROM logs")
            added = await store.add(IncomingBatch(rows(10, created_at=_NOW - 20 * _DAY)))

        assert added == AddResult(10)
        assert await select(store, "SELECT DISTINCT tableoid::regclass::text FROM logs") == [("logs_rest",)]

    run(postgres, test)


def test_rejected_row_does_not_affect_other_rows(postgres: str) -> None:
    """Rows that PostgreSQL rejects are reported by index, and all others are stored."""
    bad = [row(attributes="{"), row(message="a\0b"), row(process_id=2**70), row(service="x" * 2 + "é" * 0 + "\ud800")]
    mixed = [*rows(50), bad[0], *rows(49), bad[1], bad[2], *rows(50), bad[3]]

    async def test(store: Store) -> None:
        added = await store.add(IncomingBatch(mixed, "batch-1"))

        assert (added.stored, [index for index, _ in added.rejected]) == (149, [50, 100, 101, 152])
        assert await count(store) == 149

    run(postgres, test)


def test_missing_database_is_unavailable_or_unusable(tmp_path: pathlib.Path, postgres: str) -> None:
    """Temporary and lasting problems raise different exceptions; no message contains the connection's details."""

    async def test() -> None:
        with pytest.raises(StoreUnavailable) as unavailable:
            await create_store("postgresql://anna:secret@127.0.0.1:1/logs").open()
        with pytest.raises(StoreUnusable, match="no such database") as unusable:
            await create_store(f"{postgres}_not").open()
        with pytest.raises(StoreUnusable, match="cannot be opened"):
            await create_store(str(tmp_path)).open()

        assert not {"anna", "secret", "127.0.0.1"} & set(str(unavailable.value).split())
        assert "127.0.0.1" not in str(unusable.value)

    asyncio.run(test())


def test_closed_connections_are_replaced(postgres: str) -> None:
    """After PostgreSQL closed all connections, a batch that is tried again is stored once."""

    async def test(store: Store) -> None:
        assert isinstance(store, PostgresStore)
        await store.add(IncomingBatch(rows(1), "batch-0"))
        with contextlib.suppress(Exception):
            await store.writing.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            )
        for _ in range(10):
            with contextlib.suppress(StoreUnavailable):
                await store.add(IncomingBatch(rows(5), "batch-1"))

        assert await store.is_ready()
        assert await count(store) == 6

    run(postgres, test)


def test_cancelled_batches_leave_clean_connections(postgres: str) -> None:
    """The next batch on the same connection finds no open transaction, and is stored."""

    async def test(store: Store) -> None:
        assert isinstance(store, PostgresStore)
        other = await asyncpg.connect(postgres)
        transaction = other.transaction()
        await transaction.start()
        await other.execute("INSERT INTO concurrent_log.batches (batch_id, records) VALUES ('batch-1', 1)")
        waiting = [asyncio.create_task(store.add(IncomingBatch(rows(1), "batch-1"))) for _ in range(4)]
        await wait_for_locks(store, 4)
        for each in waiting:
            each.cancel()
        await asyncio.wait(waiting)
        await transaction.rollback()
        await other.close()
        added = await asyncio.gather(*(store.add(IncomingBatch(rows(10), f"batch-{n}")) for n in range(2, 10)))

        assert added == [AddResult(10)] * 8
        assert await count(store) == 80

    run(postgres, test)


async def wait_for_locks(store: PostgresStore, number: int) -> None:
    """Return when ``number`` sessions wait for a lock."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while await store.reading.fetchval(waiting) < number:
        await asyncio.sleep(0.01)


def test_client_entry_is_updated_at_intervals(postgres: str) -> None:
    """The next batches of a client do not update its entry, unless its fields changed."""

    async def test(store: Store) -> None:
        assert isinstance(store, PostgresStore)
        await store.add(IncomingBatch(rows(1), "1", Client("c")))
        await store.writing.execute("DELETE FROM clients")
        await store.add(IncomingBatch(rows(1), "2", Client("c")))
        again = await count(store, "clients")
        await store.add(IncomingBatch(rows(1), "3", Client("c", "concurrent-log/2")))

        assert again == 0
        assert await count(store, "clients") == 1

    run(postgres, test)


@pytest.fixture
def short_busy_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let SQLite wait half a second for a lock, instead of ten seconds."""
    monkeypatch.setattr(database_file, "BUSY_TIMEOUT", 0.5)


@pytest.mark.usefixtures("short_busy_timeout")
def test_locked_file_is_unavailable(tmp_path: pathlib.Path) -> None:
    """While another process locks the SQLite file, `add` raises `StoreUnavailable`; afterwards it stores."""

    async def test(store: Store) -> None:
        assert isinstance(store, SqliteStore)
        with contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            first = asyncio.create_task(store.add(IncomingBatch(rows(1), "batch-1")))
            with pytest.raises(StoreUnavailable, match="locked"):
                await first
        assert await store.add(IncomingBatch(rows(1), "batch-1")) == AddResult(1)

    run(str(tmp_path / "logs.sqlite3"), test)


@pytest.mark.usefixtures("short_busy_timeout")
def test_file_that_is_locked_at_the_start_is_unavailable(tmp_path: pathlib.Path) -> None:
    """`open` raises `StoreUnavailable` while another process locks the SQLite file, so the server tries again."""
    path = tmp_path / "logs.sqlite3"

    async def test() -> None:
        store = create_store(str(path))
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StoreUnavailable, match="locked"):
                await store.open()
        await store.open()
        assert await store.add(IncomingBatch(rows(1), "batch-1")) == AddResult(1)
        await store.close()

    asyncio.run(test())


def test_batch_waits_for_a_short_lock(tmp_path: pathlib.Path) -> None:
    """A batch waits while another process locks the file for a moment."""

    async def test(store: Store) -> None:
        assert isinstance(store, SqliteStore)
        with contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            first = asyncio.create_task(store.add(IncomingBatch(rows(1), "batch-1")))
            assert not (await asyncio.wait([first], timeout=0.2))[0]
            other.execute("ROLLBACK")
            assert await first == AddResult(1)

    run(str(tmp_path / "logs.sqlite3"), test)


def test_internal_error_of_asyncpg_is_unavailable(postgres: str) -> None:
    """If a backend of PostgreSQL is killed, asyncpg may raise an internal error; the store is unavailable then."""

    class BrokenPool:
        def connection(self) -> Any:
            raise asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress")

    async def test(store: Store) -> None:
        assert isinstance(store, PostgresStore)
        broken: Any = BrokenPool()
        store.writing, pool = broken, store.writing
        with pytest.raises(StoreUnavailable):
            await store.add(IncomingBatch(rows(1), "batch-1"))
        store.writing = pool

    run(postgres, test)


def test_two_servers_add_during_retention(database: str) -> None:
    """While partitions are created and dropped, batches of two stores keep each recent record once."""
    ages, batches = (0, 1, 3, 10, 11, 90), 40

    async def add(store: Store, name: str) -> None:
        for number in range(batches):
            mixed = [row(created_at=_NOW - age * _DAY, message=f"{name}-{number}-{age}") for age in ages]
            for _ in range(20):
                with contextlib.suppress(StoreUnavailable):
                    await store.add(IncomingBatch(mixed, f"{name}-{number}"))
                    break

    async def test(store: Store) -> None:
        other, oldest = (
            create_store(database),
            datetime.fromtimestamp(_NOW / 1e6, timezone.utc).date() - timedelta(days=5),
        )
        await other.open()
        adding = [asyncio.create_task(add(each, name)) for each, name in ((store, "a"), (other, "b"), (store, "c"))]
        while not all(task.done() for task in adding):
            with contextlib.suppress(StoreUnavailable):
                await store.remove_before(oldest)
        await asyncio.gather(*adding)
        await other.remove_before(oldest)
        await other.close()
        found = [message for (message,) in await select(store, "SELECT message FROM logs")]

        young = [f"{name}-{number}-{age}" for name in "abc" for number in range(batches) for age in (0, 1, 3)]
        assert sorted(found) == sorted(young)

    run(database, test)

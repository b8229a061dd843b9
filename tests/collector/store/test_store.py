"""Both stores keep records in the same way: PostgreSQL and SQLite."""

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

from concurrent_log.collector.store import (
    COLUMNS,
    IN_PARTS,
    Added,
    Batch,
    Client,
    Drop,
    Row,
    Store,
    StoreAway,
    StoreUnusable,
    store_of,
)
from concurrent_log.collector.store.postgres.store import PostgresStore
from concurrent_log.collector.store.sqlite.store import SqliteStore

_NOW = time.time_ns() // 1000
_DAY = 86_400_000_000


def row(**values: Any) -> Row:
    """Return a row with ``values``, and what it must have."""
    given = {"created_at": _NOW, "level": "INFO", "level_number": 20, **values}
    return tuple(given.get(name) for name in COLUMNS)


def rows(count: int, **values: Any) -> list[Row]:
    """Return ``count`` rows that differ in their message."""
    return [row(message=f"message {number}", **values) for number in range(count)]


@contextlib.asynccontextmanager
async def opened(database: str) -> AsyncIterator[Store]:
    """Open the store of ``database``, and close it."""
    store = store_of(database)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def run(database: str, test: Callable[[Store], Awaitable[None]]) -> None:
    """Run ``test`` with the opened store."""

    async def with_store() -> None:
        async with opened(database) as store:
            await test(store)

    asyncio.run(with_store())


async def select(store: Store, sql: str) -> list[tuple[Any, ...]]:
    """Return what the store's own database answers."""
    if isinstance(store, PostgresStore):
        return [tuple(each) for each in await store.reading.fetch(sql)]
    assert isinstance(store, SqliteStore)
    with contextlib.closing(store.reader()) as connection:
        return connection.execute(sql).fetchall()


async def count(store: Store, table: str = "logs") -> int:
    """Return how many rows the table has."""
    return int((await select(store, f"SELECT count(*) FROM {table}"))[0][0])


def test_every_column_comes_back(database: str) -> None:
    """What is stored in a column is found there, of each type."""
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
        await store.add(Batch([row(**given)]))
        names = [name for name in COLUMNS if name != "attributes"]
        found = await select(store, f"SELECT {', '.join(names)}, attributes ->> 'a', id, received_at FROM logs")

        assert dict(zip(names, found[0], strict=False)) == {name: given[name] for name in names}
        assert found[0][-3].replace(" ", "") == '[1,{"b":null}]'
        assert found[0][-2] == 1
        assert abs(found[0][-1] - _NOW) < _DAY

    run(database, test)


def test_a_batch_is_stored_once(database: str) -> None:
    """The same batch id again stores nothing, and what else it says is not stored either."""

    async def test(store: Store) -> None:
        batch = Batch(rows(10), "batch-1", Client("c"), [Drop("queue full", 3, _NOW)])

        assert await store.add(batch) == Added(10)
        assert await store.add(batch) == Added(0, duplicate=True)
        assert await count(store) == 10
        assert await select(store, "SELECT client_id, reason, records, since FROM drops") == [
            ("c", "queue full", 3, _NOW)
        ]

    run(database, test)


def test_the_same_batch_at_once_is_stored_once(database: str) -> None:
    """Of eight that come at the same time, one is stored, and the others are duplicates."""

    async def test(store: Store) -> None:
        added = await asyncio.gather(*(store.add(Batch(rows(100), "batch-1")) for _ in range(8)))

        assert sorted(each.stored for each in added) == [0] * 7 + [100]
        assert sum(each.duplicate for each in added) == 7
        assert await count(store) == 100

    run(database, test)


def test_a_part_of_a_stored_batch_is_a_duplicate(database: str) -> None:
    """What is stored as a whole, or as a larger part, is not stored again in smaller ones; the rest of it is stored."""

    async def test(store: Store) -> None:
        await store.add(Batch(rows(10), "batch-1"))
        await store.add(Batch(rows(5), "batch-2:0-5", part_of=["batch-2"]))

        for larger in (["batch-1"], ["batch-1", "batch-1:0-5"]):
            drops = [Drop("queue full", 3, _NOW)]
            added = await store.add(Batch(rows(2), f"batch-1:0-{len(larger)}", drops=drops, part_of=larger))
            assert added == Added(0, duplicate=True)
        known, rest = ("batch-2:0-2", ["batch-2", "batch-2:0-5"]), ("batch-2:5-10", ["batch-2"])
        assert await store.add(Batch(rows(2), known[0], part_of=known[1])) == Added(0, duplicate=True)
        assert await store.add(Batch(rows(5), rest[0], part_of=rest[1])) == Added(5)
        assert await store.add(Batch(rows(5), rest[0], part_of=rest[1])) == Added(0, duplicate=True)
        assert await count(store) == 20
        assert await count(store, "drops") == 0

    run(database, test)


def test_a_batch_of_which_parts_are_stored_has_to_come_in_parts(database: str) -> None:
    """The whole, or a larger part, that comes late or again stores nothing, and is no duplicate."""

    async def test(store: Store) -> None:
        await store.add(Batch(rows(2), "batch-1:0-2", part_of=["batch-1", "batch-1:0-5"]))

        assert await store.add(Batch(rows(10), "batch-1")) == Added(0, in_parts=True)
        assert await store.add(Batch(rows(5), "batch-1:0-5", part_of=["batch-1"])) == Added(0, in_parts=True)
        assert await store.add(Batch(rows(5), "batch-1:5-10", part_of=["batch-1"])) == Added(5)
        assert await store.add(Batch(rows(10), "batch-1")) == Added(0, in_parts=True)
        assert await count(store) == 7

    run(database, test)


def test_a_batch_and_its_parts_at_once_are_stored_once(database: str) -> None:
    """They come to two stores in any order: all is stored, in one way, and nobody waits for ever."""

    def parts(name: str) -> list[Batch]:
        halves = [Batch(rows(4), f"{name}:{n}-{n + 4}", part_of=[name]) for n in (0, 4)]
        quarters = [
            Batch(rows(2), f"{name}:{n}-{n + 2}", part_of=[name, f"{name}:{n // 4 * 4}-{n // 4 * 4 + 4}"])
            for n in range(0, 8, 2)
        ]
        return [Batch(rows(8), name), *halves, *quarters]

    async def test(store: Store) -> None:
        chance = random.Random(7)
        other = store_of(database)
        await other.open()
        for number in range(100):
            batches = [batch for batch in parts(f"batch-{number}") for _ in range(2)]
            chance.shuffle(batches)
            added = await asyncio.gather(*(chance.choice([store, other]).add(batch) for batch in batches))
            assert sum(each.stored for each in added) == 8, [*zip(batches, added, strict=True)]
        await other.close()

        assert await count(store) == 800

    run(database, test)


@contextlib.asynccontextmanager
async def unfinished(database: str, batch_id: str, records: int) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    """Store a batch in another connection, which yet has to COMMIT or ROLLBACK."""
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
        ("whole", "part", "COMMIT", Added(0, duplicate=True)),
        ("whole", "part", "ROLLBACK", Added(5)),
        ("part", "whole", "COMMIT", Added(0, in_parts=True)),
        ("part", "whole", "ROLLBACK", Added(5)),
    ],
)
def test_what_is_being_stored_elsewhere_is_waited_for(
    database: str, first: str, second: str, end: str, added: Added
) -> None:
    """A batch whose transaction is not over yet, and a part of it that comes meanwhile, or the other way round."""
    batches = {"whole": Batch(rows(5), "batch-1"), "part": Batch(rows(5), "batch-1:0-5", part_of=["batch-1"])}

    async def test(store: Store) -> None:
        async with unfinished(database, "batch-1", 5 if first == "whole" else IN_PARTS) as ending:
            adding = asyncio.create_task(store.add(batches[second]))
            assert not (await asyncio.wait([adding], timeout=0.2))[0]
            await ending(end)
            assert await adding == added

    run(database, test)


def test_two_servers_share_a_database(database: str) -> None:
    """Stores that are opened at once make the schema once, and know each other's batches."""

    async def test() -> None:
        async with contextlib.AsyncExitStack() as stack:
            stores = [store_of(database) for _ in range(4)]
            await asyncio.gather(*(store.open() for store in stores))
            for store in stores:
                stack.push_async_callback(store.close)
            added = await asyncio.gather(*(store.add(Batch(rows(100), "batch-1")) for store in stores))

            assert sorted(each.stored for each in added) == [0, 0, 0, 100]
            assert await count(stores[0], "schema_version") == 2

    asyncio.run(test())


def test_a_newer_schema_is_left_alone(database: str) -> None:
    """A server that is older than the schema says so, and does not start."""

    async def test() -> None:
        async with opened(database) as store:
            if isinstance(store, PostgresStore):
                await store.writing.execute("INSERT INTO schema_version VALUES (999)")
            elif isinstance(store, SqliteStore):
                with contextlib.closing(sqlite3.connect(store.path)) as connection, connection:
                    connection.execute("INSERT INTO schema_version VALUES (999)")
        with pytest.raises(StoreUnusable, match="schema 999"):
            await store_of(database).open()

    asyncio.run(test())


def test_what_is_stored_is_there_after_opening_again(database: str) -> None:
    """Records and batches outlive the server."""

    async def test() -> None:
        for added in (Added(10), Added(0, duplicate=True)):
            async with opened(database) as store:
                assert await store.add(Batch(rows(10), "batch-1")) == added
        async with opened(database) as store:
            assert await count(store) == 10

    asyncio.run(test())


def test_a_client_is_known_by_its_last_batch(database: str) -> None:
    """Who sends is noted once, and batches without records count as well."""

    async def test(store: Store) -> None:
        await store.add(Batch([], "1", Client("c", "concurrent-log/2", "shop", "production", "web-1")))
        await store.add(Batch(rows(1), "2", Client("c", "concurrent-log/2", "shop", "production", "web-1")))
        found = await select(store, "SELECT id, name, service, environment, host, last_seen FROM clients")

        assert [each[:-1] for each in found] == [("c", "concurrent-log/2", "shop", "production", "web-1")]
        assert abs(found[0][-1] - _NOW) < _DAY

    run(database, test)


def test_retention_removes_what_is_before_the_day(database: str) -> None:
    """Only whole days go: of times near and far, also those that cannot be, with what is known of them."""
    today = datetime.now(timezone.utc).date()
    midnight = int(datetime(today.year, today.month, today.day, tzinfo=timezone.utc).timestamp()) * 1_000_000
    old = [midnight - 1, midnight - 5 * _DAY, midnight - 300 * _DAY, 0]
    new = [midnight, midnight + _DAY, midnight + 300 * _DAY]

    async def test(store: Store) -> None:
        await store.add(Batch([row(created_at=moment) for moment in old + new], "batch-1", Client("c")))
        removed = await store.remove_before(today)

        assert removed == len(old)
        assert sorted(each[0] for each in await select(store, "SELECT created_at FROM logs")) == new
        assert await count(store, "batches") == await count(store, "clients") == 1

    run(database, test)


def test_retention_removes_the_future_after_its_time(database: str) -> None:
    """A record of a clock that was years ahead goes when it has been here for long enough."""

    async def test(store: Store) -> None:
        await store.add(Batch([row(created_at=_NOW + 3000 * _DAY)], "batch-1", Client("c"), [Drop("full", 1, _NOW)]))
        removed = await store.remove_before(date.today() + timedelta(days=2))

        assert removed == 1
        assert await count(store, "clients") == await count(store, "drops") == 0

    run(database, test)


def test_retention_in_steps_removes_all(database: str) -> None:
    """More records than are removed at once."""

    async def test(store: Store) -> None:
        await store.add(Batch(rows(12_000, created_at=_NOW - 10 * _DAY)))

        assert await store.remove_before(date.today() - timedelta(days=2)) == 12_000
        assert await count(store) == 0

    run(database, test)


def test_batches_are_stored_while_old_records_are_removed(database: str) -> None:
    """Neither waits for the other for ever, and nothing new is lost."""

    async def test(store: Store) -> None:
        await store.add(Batch(rows(12_000, created_at=_NOW - 10 * _DAY)))
        removing = asyncio.create_task(store.remove_before(date.today() - timedelta(days=2)))
        added = await asyncio.gather(*(store.add(Batch(rows(100), f"batch-{n}")) for n in range(20)))

        assert await removing == 12_000
        assert sum(each.stored for each in added) == await count(store) == 2_000

    run(database, test)


def test_days_have_partitions(postgres: str) -> None:
    """Near days have a table each, made ahead of need; times far off share one."""

    async def test(store: Store) -> None:
        await store.add(Batch([row(created_at=moment) for moment in (_NOW, _NOW - 40 * _DAY, 0, _NOW + 90 * _DAY)]))
        found = await select(store, "SELECT tableoid::regclass::text, count(*) FROM logs GROUP BY 1 ORDER BY 1")
        days = [datetime.fromtimestamp(moment / 1e6, timezone.utc) for moment in (_NOW - 40 * _DAY, _NOW)]

        assert found == [*((f"logs_{day:%Y%m%d}", 1) for day in days), ("logs_rest", 2)]
        tomorrow = days[1] + timedelta(days=1)
        assert await select(store, f"SELECT to_regclass('logs_{tomorrow:%Y%m%d}') IS NULL") == [(False,)]

    run(postgres, test)


def test_a_partition_takes_what_came_before_it(postgres: str) -> None:
    """Records that were far off move to their day when it is made, and are there once."""

    async def test(store: Store) -> None:
        assert isinstance(store, PostgresStore)
        far = _NOW // _DAY + 30
        await store.add(Batch([row(created_at=far * _DAY)]))
        await store._make_days({far})
        day = datetime.fromtimestamp(far * 86_400, timezone.utc)

        assert await select(store, "SELECT tableoid::regclass::text FROM logs") == [(f"logs_{day:%Y%m%d}",)]

    run(postgres, test)


def test_a_long_query_does_not_stop_batches(postgres: str) -> None:
    """Where somebody reads, and a day cannot be made, its records are stored all the same."""

    async def test(store: Store) -> None:
        assert isinstance(store, PostgresStore)
        async with store.reading.acquire() as reader, reader.transaction():
            await reader.fetch("SELECT * FROM logs")
            added = await store.add(Batch(rows(10, created_at=_NOW - 20 * _DAY)))

        assert added == Added(10)
        assert await select(store, "SELECT DISTINCT tableoid::regclass::text FROM logs") == [("logs_rest",)]

    run(postgres, test)


def test_what_the_database_refuses_costs_no_other_record(postgres: str) -> None:
    """Rows that PostgreSQL cannot take are named, and all the others are stored."""
    bad = [row(attributes="{"), row(message="a\0b"), row(process_id=2**70), row(service="x" * 2 + "é" * 0 + "\ud800")]
    mixed = [*rows(50), bad[0], *rows(49), bad[1], bad[2], *rows(50), bad[3]]

    async def test(store: Store) -> None:
        added = await store.add(Batch(mixed, "batch-1"))

        assert (added.stored, [index for index, _ in added.rejected]) == (149, [50, 100, 101, 152])
        assert await count(store) == 149

    run(postgres, test)


def test_a_database_that_is_not_there_is_away_or_unusable(tmp_path: pathlib.Path, postgres: str) -> None:
    """What passes is told from what somebody has to do, and neither says anything of the connection."""

    async def test() -> None:
        with pytest.raises(StoreAway) as away:
            await store_of("postgresql://anna:secret@127.0.0.1:1/logs").open()
        with pytest.raises(StoreUnusable, match="no such database") as unusable:
            await store_of(f"{postgres}_not").open()
        with pytest.raises(StoreUnusable, match="cannot be opened"):
            await store_of(str(tmp_path)).open()

        assert not {"anna", "secret", "127.0.0.1"} & set(str(away.value).split())
        assert "127.0.0.1" not in str(unusable.value)

    asyncio.run(test())


def test_connections_that_the_database_ended_are_made_anew(postgres: str) -> None:
    """After PostgreSQL ended all connections, a batch is away at most once, and stored once."""

    async def test(store: Store) -> None:
        assert isinstance(store, PostgresStore)
        await store.add(Batch(rows(1), "batch-0"))
        with contextlib.suppress(Exception):
            await store.writing.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            )
        for _ in range(10):
            with contextlib.suppress(StoreAway):
                await store.add(Batch(rows(5), "batch-1"))

        assert await store.is_ready()
        assert await count(store) == 6

    run(postgres, test)


def test_batches_that_were_cancelled_leave_nothing_on_their_connections(postgres: str) -> None:
    """Whoever uses a connection next finds no transaction that is open, and stores what it has to."""

    async def test(store: Store) -> None:
        assert isinstance(store, PostgresStore)
        other = await asyncpg.connect(postgres)
        transaction = other.transaction()
        await transaction.start()
        await other.execute("INSERT INTO concurrent_log.batches (batch_id, records) VALUES ('batch-1', 1)")
        waiting = [asyncio.create_task(store.add(Batch(rows(1), "batch-1"))) for _ in range(4)]
        await until_waiting(store, 4)
        for each in waiting:
            each.cancel()
        await asyncio.wait(waiting)
        await transaction.rollback()
        await other.close()
        added = await asyncio.gather(*(store.add(Batch(rows(10), f"batch-{n}")) for n in range(2, 10)))

        assert added == [Added(10)] * 8
        assert await count(store) == 80

    run(postgres, test)


async def until_waiting(store: PostgresStore, number: int) -> None:
    """Return when so many sessions wait for a lock."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while await store.reading.fetchval(waiting) < number:
        await asyncio.sleep(0.01)


def test_a_client_is_noted_once_in_some_seconds(postgres: str) -> None:
    """Its next batches say nothing of it, unless something about it is new."""

    async def test(store: Store) -> None:
        assert isinstance(store, PostgresStore)
        await store.add(Batch(rows(1), "1", Client("c")))
        await store.writing.execute("DELETE FROM clients")
        await store.add(Batch(rows(1), "2", Client("c")))
        again = await count(store, "clients")
        await store.add(Batch(rows(1), "3", Client("c", "concurrent-log/2")))

        assert again == 0
        assert await count(store, "clients") == 1

    run(postgres, test)


def test_a_file_that_cannot_be_written_is_away(tmp_path: pathlib.Path) -> None:
    """While another process holds the SQLite file, batches fail as away; afterwards they are stored."""

    async def test(store: Store) -> None:
        assert isinstance(store, SqliteStore)
        with contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            first = asyncio.create_task(store.add(Batch(rows(1), "batch-1")))
            with pytest.raises(StoreAway, match="locked"):
                await first
        assert await store.add(Batch(rows(1), "batch-1")) == Added(1)

    run(str(tmp_path / "logs.sqlite3"), test)


def test_a_file_that_is_held_at_the_start_is_away(tmp_path: pathlib.Path) -> None:
    """A server that starts while another process holds the SQLite file waits for it, rather than ends."""
    path = tmp_path / "logs.sqlite3"

    async def test() -> None:
        store = store_of(str(path))
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StoreAway, match="locked"):
                await store.open()
        await store.open()
        assert await store.add(Batch(rows(1), "batch-1")) == Added(1)
        await store.close()

    asyncio.run(test())


def test_batches_wait_for_a_file_that_is_written(tmp_path: pathlib.Path) -> None:
    """A batch waits while another process writes for a moment."""

    async def test(store: Store) -> None:
        assert isinstance(store, SqliteStore)
        with contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            first = asyncio.create_task(store.add(Batch(rows(1), "batch-1")))
            assert not (await asyncio.wait([first], timeout=0.2))[0]
            other.execute("ROLLBACK")
            assert await first == Added(1)

    run(str(tmp_path / "logs.sqlite3"), test)


def test_connection_that_is_lost_in_the_middle_of_something_is_away(postgres: str) -> None:
    """A process of PostgreSQL that is killed may leave asyncpg so that it reports a mistake of its own."""

    class Lost:
        def acquire(self) -> Any:
            raise asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress")

    async def test(store: Store) -> None:
        assert isinstance(store, PostgresStore)
        store.writing, pool = Lost(), store.writing
        with pytest.raises(StoreAway):
            await store.add(Batch(rows(1), "batch-1"))
        store.writing = pool

    run(postgres, test)


def test_two_servers_add_while_old_days_are_removed(database: str) -> None:
    """Days come and go under batches of two stores at once; what is young enough is there once."""
    ages, batches = (0, 1, 3, 10, 11, 90), 40

    async def add(store: Store, name: str) -> None:
        for number in range(batches):
            mixed = [row(created_at=_NOW - age * _DAY, message=f"{name}-{number}-{age}") for age in ages]
            for _ in range(20):
                with contextlib.suppress(StoreAway):
                    await store.add(Batch(mixed, f"{name}-{number}"))
                    break

    async def test(store: Store) -> None:
        other, oldest = store_of(database), datetime.fromtimestamp(_NOW / 1e6, timezone.utc).date() - timedelta(days=5)
        await other.open()
        adding = [asyncio.create_task(add(each, name)) for each, name in ((store, "a"), (other, "b"), (store, "c"))]
        while not all(task.done() for task in adding):
            with contextlib.suppress(StoreAway):
                await store.remove_before(oldest)
        await asyncio.gather(*adding)
        await other.remove_before(oldest)
        await other.close()
        found = [message for (message,) in await select(store, "SELECT message FROM logs")]

        young = [f"{name}-{number}-{age}" for name in "abc" for number in range(batches) for age in (0, 1, 3)]
        assert sorted(found) == sorted(young)

    run(database, test)

"""The store works through PgBouncer, with several hosts, and replaces its connections."""

import asyncio
import urllib.parse
from collections.abc import Callable
from datetime import date, timedelta

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")

import asyncpg

from collector.store.test_store import count, opened, rows, run
from concurrent_log.collector.store.factory import create_reader
from concurrent_log.collector.store.interface import AddResult, Client, IncomingBatch, LossReport, Store
from concurrent_log.collector.store.postgres.connections import Connections
from concurrent_log.collector.store.postgres.store import PostgresStore
from concurrent_log.collector.store.sql.filters import Filters
from support.pgbouncer import PgBouncer

_DAY = 86_400_000_000


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_store_works_through_pgbouncer(mode: str, postgres: str, program: Callable[[str], str]) -> None:
    """Two servers share few sessions: they store each batch once, read, follow the tail, and remove old days."""

    async def test(address: str) -> None:
        async with opened(address) as one, opened(address) as two:
            readers = [create_reader(store) for store in (one, two)]
            for reader in readers:
                await reader.prepare()
            positions = [await reader.position() for reader in readers]
            batches = [
                IncomingBatch(rows(3), f"b{n}", Client(f"c{n}", "x"), [LossReport("full", 1, 1)]) for n in range(20)
            ]
            adding = [store.add(batch) for batch in batches for store in (one, two)]
            finding = [reader.find(Filters(), limit=10) for reader in readers * 10]
            added = (await asyncio.gather(asyncio.gather(*adding), asyncio.gather(*finding)))[0]
            bad = await one.add(IncomingBatch([*rows(2), *rows(1, attributes="{")]))
            old = await two.add(IncomingBatch(rows(4, created_at=rows(1)[0][0] - 10 * _DAY), part_of=("whole",)))
            new = [await reader.new_records(Filters(), at, 100) for reader, at in zip(readers, positions, strict=True)]
            for reader in readers:
                assert (await reader.size()).bytes > 0
            removed = await one.remove_before(date.today() - timedelta(days=5))
            await two.check_writable()

            assert sorted(each.stored for each in added) == [0] * 20 + [3] * 20
            assert (bad.stored, [index for index, _ in bad.rejected]) == (2, [2])
            assert old == AddResult(4)
            assert [len(each.records) for each in new] == [66, 66]
            assert removed == 4
            assert await two.is_ready()
            assert await count(two) == 62

    with PgBouncer(program, postgres, mode) as bouncer:
        asyncio.run(test(bouncer.address))


def test_sessions_of_a_pooler_keep_nothing(postgres: str, program: Callable[[str], str]) -> None:
    """After use, another client of the same sessions finds no setting, no prepared statement and no lock."""

    async def test(address: str) -> None:
        async with opened(address) as store:
            await store.add(IncomingBatch(rows(3), "b", Client("c")))
            await store.remove_before(date.today())
            await create_reader(store).find(Filters(), limit=10)
            other = await asyncpg.connect(address, statement_cache_size=0)
            for _ in range(10):
                async with other.transaction():
                    found = await other.fetchrow("""
                        SELECT (SELECT count(*) FROM pg_prepared_statements WHERE name <> ''),
                            (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
                            current_setting('search_path'), current_setting('transaction_read_only'),
                            current_setting('statement_timeout')""")
                    assert tuple(found) == (0, 0, '"$user", public', "off", "0")
            await other.close()

    with PgBouncer(program, postgres, "transaction") as bouncer:
        asyncio.run(test(bouncer.address))


@pytest.mark.parametrize("attributes", ["read-write", "primary"])
def test_host_may_be_chosen_by_its_attributes(postgres: str, attributes: str) -> None:
    """With several hosts and `target_session_attrs`, the store writes, and reads; once no host ever matched."""
    parts = urllib.parse.urlsplit(postgres)
    hosts = f"{parts.username}@127.0.0.1:1,{parts.hostname}:{parts.port or 5432}"
    address = parts._replace(netloc=hosts, query=f"target_session_attrs={attributes}").geturl()

    async def test(store: Store) -> None:
        assert await store.add(IncomingBatch(rows(3), "b")) == AddResult(3)
        assert len((await create_reader(store).find(Filters(), limit=10)).records) == 3

    run(address, test)


def test_old_connections_are_replaced(postgres: str) -> None:
    """After ten minutes, the next use of a connection replaces it, so that a new server gets its share."""

    async def test(store: Store) -> None:
        assert isinstance(store, PostgresStore)
        now = [0.0]
        connections = Connections(store.writing._pool, lambda: now[0])
        first = await connections.fetchval("SELECT pg_backend_pid()")
        now[0] = 599.0
        assert await connections.fetchval("SELECT pg_backend_pid()") == first
        now[0] = 600.0
        second = await connections.fetchval("SELECT pg_backend_pid()")
        now[0] = 1199.0

        assert second != first
        assert await connections.fetchval("SELECT pg_backend_pid()") == second

    run(postgres, test)

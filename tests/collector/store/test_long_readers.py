"""Retention beside a long reader: writers hardly wait, and the days are dropped when the reader is done."""

import asyncio
import time
from datetime import date, timedelta

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")

import asyncpg

from collector.store.test_store import count, opened, rows, run, select
from concurrent_log.collector.store.interface import IncomingBatch, RemovalDelayed, Store
from concurrent_log.collector.store.postgres import partitions

_DAY = 86_400_000_000
_INSERT = "INSERT INTO concurrent_log.logs (created_at, level, level_number) VALUES (now(), 'INFO', 20)"


@pytest.mark.parametrize("by", ["age", "size"])
def test_retention_beside_a_long_reader(postgres: str, by: str) -> None:
    """PostgreSQL itself ends a write that waits 250 ms for a lock, and none does; the newest days stay meanwhile."""

    async def remove(store: Store) -> int:
        if by == "age":
            return await store.remove_before(date.today() - timedelta(days=5))
        return await store.remove_to_size(1)

    async def test(store: Store) -> None:
        now = time.time_ns() // 1000
        for ago in (12, 11, 0):
            await store.add(IncomingBatch(rows(10, created_at=now - ago * _DAY)))
        reader, writer = await asyncpg.connect(postgres), await asyncpg.connect(postgres)
        await writer.execute("SET lock_timeout = '250ms'")
        reading = reader.transaction()
        await reading.start()
        await reader.fetch("SELECT * FROM concurrent_log.logs")  # as pg_dump, whose locks last until its end
        removing = asyncio.create_task(remove(store))
        written = 0
        while not removing.done():
            await writer.execute(_INSERT)  # raises LockNotAvailableError if it waits too long
            written += 1
        with pytest.raises(
            RemovalDelayed, match=r"holds the records of \d{4}-\d\d-\d\d: they are removed when it ends"
        ):
            await removing
        assert await count(store) == 30 + written
        await reading.commit()

        assert await remove(store) == 20
        assert await count(store) == 10 + written
        await reader.close()
        await writer.close()

    run(postgres, test)


def test_new_day_beside_a_long_reader(postgres: str) -> None:
    """A batch that needs a partition waits no longer than 250 ms for it; its records are stored at once."""

    async def test(store: Store) -> None:
        reader = await asyncpg.connect(postgres)
        async with reader.transaction():
            await reader.fetch("SELECT * FROM concurrent_log.logs")
            other = await asyncpg.connect(postgres)
            await other.execute("SET lock_timeout = '250ms'")
            old = time.time_ns() // 1000 - 20 * _DAY
            adding = asyncio.create_task(store.add(IncomingBatch(rows(10, created_at=old))))
            while not adding.done():
                await other.execute(_INSERT.replace("now()", "now() - interval '30 days'"))
            assert (await adding).stored == 10
            await other.close()
        await reader.close()

    run(postgres, test)


def test_one_server_removes_at_a_time(postgres: str) -> None:
    """While another server removes records, this one leaves it to that; the lock ends with its transaction."""

    async def test() -> None:
        async with opened(postgres) as one, opened(postgres) as two:
            old = time.time_ns() // 1000 - 10 * _DAY
            await one.add(IncomingBatch(rows(10, created_at=old)))
            other = await asyncpg.connect(postgres)
            async with partitions.only_server(other) as is_alone:
                assert is_alone
                assert await one.remove_before(date.today()) == 0
                assert await count(one) == 10
            await other.close()
            removed = await asyncio.gather(*(store.remove_before(date.today()) for store in (one, two)))

            assert sum(removed) == 10
            assert await select(one, "SELECT * FROM logs") == []

    asyncio.run(test())

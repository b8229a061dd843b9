"""The store when its file, its clock or a search is not as expected: nothing is acknowledged into nowhere."""

import asyncio
import contextlib
import os
import pathlib
import sqlite3
import sys
import time

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")

from collector.store.test_store import count, opened, rows, select
from concurrent_log.collector.store.factory import create_reader, create_store
from concurrent_log.collector.store.interface import AddResult, IncomingBatch, StoreUnavailable
from concurrent_log.collector.store.postgres.reader import TailPosition, after_clock_change
from concurrent_log.collector.store.sql.expressions import HasText
from concurrent_log.collector.store.sql.filters import Filters
from concurrent_log.collector.store.sql.text_pattern import TextPattern
from concurrent_log.collector.store.sqlite.store import SqliteStore
from concurrent_log.collector.store.sqlite.value_tests import text_is_like

_SECOND = 1_000_000
_WINDOWS = pytest.mark.skipif(sys.platform == "win32", reason="removes an open file")


@_WINDOWS
@pytest.mark.parametrize("damage", ["removed", "replaced", "folder removed", "log removed"])
def test_replaced_file_is_noticed_before_the_next_acknowledgement(tmp_path: pathlib.Path, damage: str) -> None:
    """Three records were once acknowledged into a file that had no name any longer."""
    path = tmp_path / "data" / "logs.sqlite3"

    async def test() -> None:
        async with opened(str(path)) as store:
            reader = create_reader(store)
            await store.add(IncomingBatch(rows(3), "before"))
            await reader.find(Filters(), limit=10)
            if damage == "log removed":
                (path.parent / "logs.sqlite3-wal").unlink()
            else:
                for each in list(path.parent.iterdir()):
                    each.unlink()
            if damage == "folder removed":
                path.parent.rmdir()
            if damage == "replaced":
                with contextlib.closing(sqlite3.connect(path)) as other:
                    other.execute("CREATE TABLE other (x)")
            assert await store.add(IncomingBatch(rows(2), "after")) == AddResult(2)

            expected = 5 if damage == "log removed" else 2
            assert await count(store) == expected
            assert len((await reader.find(Filters(), limit=10)).records) == expected
            await reader.close()

    asyncio.run(test())


@pytest.mark.skipif(sys.platform == "win32", reason="checks modes")
@pytest.mark.parametrize("umask", [0, 0o022, 0o777])
def test_files_are_for_their_user_only(tmp_path: pathlib.Path, umask: int) -> None:
    """The database, its log and the reserve have mode 0600, and new folders 0700, whatever the umask."""
    path = tmp_path / "new" / "data" / "logs.sqlite3"

    async def test() -> None:
        before = os.umask(umask)
        try:
            async with opened(str(path)) as store:
                await store.add(IncomingBatch(rows(1), "a"))
                assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}
        finally:
            os.umask(before)
        assert [each.stat().st_mode & 0o777 for each in (path.parent, path.parent.parent)] == [0o700, 0o700]

    asyncio.run(test())


def test_locked_file_does_not_delay_the_end(tmp_path: pathlib.Path) -> None:
    """Pending batches fail when the server stops, instead of waiting ten seconds each for another process."""

    async def test() -> None:
        store = create_store(str(tmp_path / "logs.sqlite3"))
        assert isinstance(store, SqliteStore)
        await store.open()
        with contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            pending = [asyncio.ensure_future(store.add(IncomingBatch(rows(1), f"b{n}"))) for n in range(4)]
            await asyncio.sleep(0)
            begin = time.monotonic()
            await store.close()

            assert time.monotonic() - begin < 8  # once 40
            for each in await asyncio.gather(*pending, return_exceptions=True):
                assert isinstance(each, StoreUnavailable)

    asyncio.run(test())


def test_search_in_a_long_message_ends(tmp_path: pathlib.Path) -> None:
    """A search for a long text in a message of 12 MB takes a time that does not depend on the product of both."""

    async def test() -> None:
        async with opened(str(tmp_path / "logs.sqlite3")) as store:
            reader = create_reader(store)
            await store.add(IncomingBatch(rows(1, stack_trace="a" * 12_000_000 + "X%b"), "a"))
            begin = time.process_time()
            for term, expected in (("a" * 400 + "b", 0), ("A" * 400 + "x%B", 1), ("x_b", 0)):
                assert (
                    len(
                        (await reader.find(Filters(expression=HasText(TextPattern.containing(term))), limit=10)).records
                    )
                    == expected
                )
            assert time.process_time() - begin < 5
            await reader.close()

    asyncio.run(test())


@pytest.mark.parametrize(
    ("text", "pattern", "expected"),
    [
        ("a%b", "%a\\%b%", True),
        ("aXb", "%a\\%b%", False),
        ("A\\B", "%a\\\\b%", True),
        (None, "%a%", False),
        ("Én", "%N%", True),
    ],
)
def test_function_for_long_texts_finds_what_like_finds(text: str | None, pattern: str, expected: bool) -> None:
    """The function for long texts agrees with LIKE."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        like = connection.execute("SELECT ?1 LIKE ?2 ESCAPE '\\'", (text, pattern)).fetchone()[0]

    assert text_is_like(text, pattern) == expected == bool(like)


def test_clock_that_is_set_back_lowers_the_floor() -> None:
    """Records of a clock that was set back an hour seem to be received before the position, and are found."""
    now = 10_000 * _SECOND
    position = TailPosition("10:10:", now - 5 * _SECOND, ((now, 10),))

    assert after_clock_change(position, now + _SECOND) == position
    for back in (2, 30, 3600):
        later = now - back * _SECOND
        assert after_clock_change(position, later).floor <= later - 5 * _SECOND
        assert after_clock_change(position, later).checkpoints == ()


def test_store_is_checked_by_writing(database: str) -> None:
    """The check leaves nothing in the store."""

    async def test() -> None:
        async with opened(database) as store:
            assert await store.newest_arrival() is None
            await store.check_writable()
            await store.add(IncomingBatch(rows(1), "a"))
            newest = await store.newest_arrival()
            assert newest is not None
            assert abs(newest / _SECOND - time.time()) < 3600
            assert await select(store, "SELECT batch_id FROM batches") == [("a",)]

    asyncio.run(test())


def test_oldest_records_are_removed_beyond_a_size(database: str) -> None:
    """Retention by size keeps the newest days."""
    day, now = 86_400 * _SECOND, time.time_ns() // 1000

    async def test() -> None:
        async with opened(database) as store:
            for ago in (3, 2, 0):
                columns = rows(3000, created_at=now - ago * day, stack_trace="x" * 500)
                await store.add(IncomingBatch(columns, f"b{ago}"))
            assert await store.remove_to_size(1 << 40) == 0
            removed = await store.remove_to_size(3 << 20)
            left = await select(store, "SELECT count(*), count(*) FILTER (WHERE stack_trace <> '') FROM logs")

            assert 3000 <= removed < 9000
            assert left[0][0] == 9000 - removed

    asyncio.run(test())


@pytest.mark.parametrize("address", ["postgresql+asyncpg://u:PW@h/d", "mysql://u:PW@h/d", "Redis:/PW"])
def test_unknown_scheme_is_refused_without_its_text(address: str) -> None:
    """The address of another kind of database is no path, and its password is in no message."""
    with pytest.raises(ValueError, match="postgresql://") as error:
        create_store(address)

    assert "PW" not in str(error.value)

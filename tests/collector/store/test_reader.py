"""Both readers return what a plain Python loop finds among the same records."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")

import msgspec
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from concurrent_log.collector.server.query.parameters import PageParameters
from concurrent_log.collector.store.columns import RecordRow
from concurrent_log.collector.store.factory import create_reader, create_store
from concurrent_log.collector.store.interface import Client, IncomingBatch, LossReport, QueryTimeout, Store
from concurrent_log.collector.store.postgres.store import PostgresStore
from concurrent_log.collector.store.reader import MAX_RESULT_BYTES, RecordReader, iso_time
from concurrent_log.collector.store.sql import statements
from concurrent_log.collector.store.sql.dialect import Statement
from concurrent_log.collector.store.sql.expressions import HasText
from concurrent_log.collector.store.sql.filters import Comparison, Filters, RecordKey
from concurrent_log.collector.store.sql.text_pattern import TextPattern
from concurrent_log.collector.store.sqlite.store import SqliteStore
from concurrent_log.collector.store.statistics import StoreStatistics
from support import query_model
from support.query_cost import query_cost

_DAY = 86_400_000_000


@contextlib.asynccontextmanager
async def opened(database: str, *batches: list[RecordRow]) -> AsyncIterator[tuple[Store, RecordReader]]:
    """Provide an open store with the given batches, and its reader."""
    store = create_store(database)
    await store.open()
    reader = create_reader(store)
    try:
        await reader.prepare()
        for rows in batches:
            await store.add(IncomingBatch(rows))
        yield store, reader
    finally:
        await reader.close()
        await store.close()


def run(database: str, rows: list[RecordRow], test: Callable[[Store, RecordReader], Awaitable[None]]) -> None:
    """Run ``test`` with a store that contains ``rows``."""

    async def with_store() -> None:
        async with opened(database, rows) as (store, reader):
            await test(store, reader)

    asyncio.run(with_store())


_times = st.none() | st.integers(query_model.BEGIN - 10, query_model.BEGIN + query_model.SPAN)
_keys = [*query_model.KEYS, "http", "service", "level", "process_id", "duration_ms", "line_number", "message"]
_values = [*query_model.VALUES, "shop", "GET", "12", "0.5", "1e300", "1099511627776", "ERROR"]
_terms = [*query_model.WORDS, "%", "_", "\\", "keyerror", "traceback\n", "Σ", "k", "\0"]
_comparisons = st.builds(
    Comparison, st.sampled_from(_keys), st.sampled_from(_values) | st.text(max_size=3), st.booleans()
)
_filters = st.builds(
    Filters,
    since=_times,
    until=_times,
    level=st.sampled_from([None, 5, 30, 40, 50]),
    service=st.lists(st.sampled_from([s for s in query_model.SERVICES if s is not None] + ["\0"]), max_size=3).map(
        tuple
    ),
    environment=st.lists(st.sampled_from(["production", "staging", "\0"]), max_size=2).map(tuple),
    host=st.lists(st.sampled_from(["web-1", "web_1"]), max_size=2).map(tuple),
    trace_id=st.sampled_from([None, None, None, "t", "\0"]),
    where=st.lists(_comparisons, max_size=2).map(tuple),
    expression=st.none() | (st.sampled_from(_terms) | st.text(max_size=2)).map(TextPattern.containing).map(HasText),
)


@pytest.mark.parametrize("examples", [40, pytest.param(300, marks=pytest.mark.slow)])
def test_filters_find_what_plain_python_finds(database: str, examples: int) -> None:
    """Any combination of filters finds the same records, in the same order, as a loop over all records."""
    rows = query_model.rows(300)
    numbered = sorted((row[0], number + 1, row) for number, row in enumerate(rows))
    runner = asyncio.new_event_loop()
    context = opened(database, rows)
    _, reader = runner.run_until_complete(context.__aenter__())

    @settings(max_examples=examples, deadline=None, phases=[Phase.generate, Phase.shrink], derandomize=True)
    @given(_filters, st.booleans())
    def check(filters: Filters, newest_first: bool) -> None:
        page = runner.run_until_complete(reader.find(filters, limit=1000, newest_first=newest_first))
        expected = [number for _, number, row in numbered if query_model.matches(filters, row)]

        found = [int(record["id"].partition("-")[2]) for record in page.records]
        assert found == expected[:: -1 if newest_first else 1]
        assert page.next is None

    try:
        check()
    finally:
        runner.run_until_complete(context.__aexit__(None, None, None))
        runner.close()


def messages(records: list[dict[str, Any]]) -> list[str]:
    """Return the messages in order."""
    return [record.get("message", "") for record in records]


def test_record_is_complete(database: str) -> None:
    """A record has all stored values; empty columns are omitted, but attributes never are."""
    given = query_model.row(
        message="grüße \U0001f600", process_id=7, duration_ms=1.5, service="", attributes='{"a":[1,null]}'
    )

    async def test(store: Store, reader: RecordReader) -> None:
        first, second = (await reader.find(Filters(), limit=10, newest_first=False)).records
        found = msgspec.json.decode(msgspec.json.encode(first))
        received_at = found.pop("received_at")

        assert found == {
            "id": f"{query_model.BEGIN}-1",
            "created_at": "2026-01-12T06:40:00.000000Z",
            "level": "INFO",
            "level_number": 20,
            "message": "grüße \U0001f600",
            "process_id": 7,
            "duration_ms": 1.5,
            "attributes": {"a": [1, None]},
        }
        assert received_at.endswith("Z")
        assert msgspec.json.decode(msgspec.json.encode(second))["attributes"] == {}
        assert await reader.get(RecordKey(query_model.BEGIN, 1)) == first
        assert await reader.get(RecordKey(query_model.BEGIN, 3)) is None
        assert await reader.get(RecordKey(10**18 - 1, 10**18 - 1)) is None

    run(database, [given, query_model.row()], test)


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("filters", [Filters(), Filters(service=("shop", "payments"), level=30)])
def test_pages_are_stable_while_records_arrive(database: str, newest_first: bool, filters: Filters) -> None:
    """Each record that was stored at the beginning is on one page, in order, while others arrive."""
    rows = query_model.rows(200)
    expected = sorted((row[0], number + 1) for number, row in enumerate(rows) if query_model.matches(filters, row))

    async def test(store: Store, reader: RecordReader) -> None:
        found: list[tuple[int, int]] = []
        after, more = None, query_model.rows(300, seed=2)
        while True:
            page = await reader.find(filters, limit=7, newest_first=newest_first, after=after)
            assert len(page.records) <= 7
            found += [tuple(map(int, record["id"].split("-"))) for record in page.records]  # type: ignore[misc]
            after = page.next
            if after is None:
                break
            await store.add(IncomingBatch([more.pop() for _ in range(5) if more]))

        there = [each for each in found if each[1] <= 200]
        assert there == expected[:: -1 if newest_first else 1]
        assert found == sorted(set(found), reverse=newest_first)

    run(database, rows, test)


async def all_pages(reader: RecordReader, filters: Filters, *, newest_first: bool) -> list[dict[str, Any]]:
    """Return the records of all pages; each page begins at the cursor that a client sends back."""
    found, cursor = [], None
    while True:
        after = PageParameters.model_validate({} if cursor is None else {"cursor": cursor}).cursor
        page = await reader.find(filters, limit=7, newest_first=newest_first, after=after)
        found += page.records
        if page.next is None:
            return found
        cursor = page.next.cursor


@pytest.mark.parametrize("filters", [Filters(), Filters(service=("shop",), level=20), Filters(level=30)])
def test_records_of_the_same_time_are_in_the_order_of_their_process(database: str, filters: Filters) -> None:
    """A page in a browser has milliseconds only, and its batches arrive at two servers, in any order."""
    numbers = [*range(60, 80), *range(20), *range(40, 60), *range(20, 40)]
    common = {"created_at": query_model.BEGIN, "service": "shop", "host": "web", "process_id": 7, "level": "ERROR"}

    async def test(store: Store, reader: RecordReader) -> None:
        other = create_store(database) if database.startswith("postgresql://") else store
        if other is not store:
            await other.open()
        before = await reader.position()
        for begin in range(0, 80, 20):
            rows = [query_model.row(sequence=number, **common) for number in numbers[begin : begin + 20]]
            await [store, other][begin // 20 % 2].add(IncomingBatch(rows))
        oldest_first = await all_pages(reader, filters, newest_first=False)
        newest_first = await all_pages(reader, filters, newest_first=True)
        middle = oldest_first[41]["id"].partition("-")[2]
        around = await reader.context(RecordKey(query_model.BEGIN, int(middle)), before=30, after=30)
        live = await reader.new_records(filters, before, 100)
        if other is not store:
            await other.close()

        assert [record["sequence"] for record in oldest_first] == list(range(80))
        assert newest_first == oldest_first[::-1]
        assert around == oldest_first[11:72]
        assert live.records == oldest_first

    run(database, [], test)


def test_records_without_a_number_are_in_the_order_of_their_ids(database: str) -> None:
    """Other clients send no number, or a negative one; each record is on one page."""
    rows = [query_model.row(message=str(number), sequence=[None, -3, 2**62][number % 3]) for number in range(30)]

    async def test(store: Store, reader: RecordReader) -> None:
        found = messages(await all_pages(reader, Filters(), newest_first=False))

        assert found == [str(number) for first in (1, 0, 2) for number in range(first, 30, 3)]
        assert messages(await all_pages(reader, Filters(), newest_first=True)) == found[::-1]

    run(database, rows, test)


def test_page_of_large_records_ends_early(database: str) -> None:
    """A page has a maximum size in bytes, and the next pages have the rest."""
    rows = [query_model.row(message=f"{number} {'x' * 300_000}") for number in range(60)]

    async def test(store: Store, reader: RecordReader) -> None:
        sizes, found, after = [], [], None
        while True:
            page = await reader.find(Filters(), limit=1000, newest_first=False, after=after)
            sizes.append(sum(len(record["message"]) for record in page.records))
            found += [record["message"].split()[0] for record in page.records]
            after = page.next
            if after is None:
                break

        assert found == [str(number) for number in range(60)]
        assert max(sizes) < MAX_RESULT_BYTES + 1_000_000
        assert len(sizes) == 3

    run(database, rows, test)


def test_context_is_from_the_same_process(database: str) -> None:
    """The context of a record is from the same service, host and process, even if these are empty."""
    rows = [
        query_model.row(
            created_at=query_model.BEGIN + number, message=str(number), service="shop", host=host, process_id=process
        )
        for number, (host, process) in enumerate([("a", 1), ("b", 1), ("a", 2), ("a", None), ("a", 1)] * 10)
    ]

    async def test(store: Store, reader: RecordReader) -> None:
        around = await reader.context(RecordKey(query_model.BEGIN + 24, 25), before=3, after=2)
        of_none = await reader.context(RecordKey(query_model.BEGIN + 3, 4), before=3, after=1)

        assert around is not None
        assert messages(around) == ["15", "19", "20", "24", "25", "29"]
        assert of_none is not None
        assert messages(of_none) == ["3", "8"]
        assert messages(await reader.context(RecordKey(query_model.BEGIN + 24, 25), before=0, after=0) or []) == ["24"]
        assert await reader.context(RecordKey(query_model.BEGIN, 99), before=1, after=1) is None

    run(database, rows, test)


def test_histogram_without_a_range_ignores_wrong_clocks(database: str) -> None:
    """Records of an earlier version may be in the year 2199 or 1970; a record that is slightly ahead counts."""
    now = query_model.BEGIN
    moments = [now - 3600 * 10**6, now - 10**6, now + 30 * 10**6, 7_226_582_400_000_000, 0]
    rows = [query_model.row(created_at=moment) for moment in moments]

    async def test(store: Store, reader: RecordReader) -> None:
        found = await reader.histogram(Filters(), 60, now)

        assert sum(sum(counts.values()) for _, counts in found.counts) == 3
        assert found.step == 120 * 10**6
        assert len((await reader.find(Filters(), limit=10)).records) == 5

    run(database, rows, test)


def test_histogram_counts_what_python_counts(database: str) -> None:
    """Each step counts the records from its beginning to the next step, by level."""
    rows = query_model.rows(300)
    filters = Filters(
        since=query_model.BEGIN + 12_345, until=query_model.BEGIN + query_model.SPAN // 2, environment=("production",)
    )

    async def test(store: Store, reader: RecordReader) -> None:
        found = await reader.histogram(filters, 50, now=0)
        expected = [(found.since + index * found.step, {}) for index in range(len(found.counts))]
        for row in (row for row in rows if query_model.matches(filters, row)):
            counts: dict[str, int] = expected[(row[0] - found.since) // found.step][1]
            counts[row[1]] = counts.get(row[1], 0) + 1

        assert found.counts == expected
        assert found.step == 3600 * 1_000_000
        assert sum(sum(counts.values()) for _, counts in expected) > 20

    run(database, rows, test)


def test_histogram_without_a_range_covers_all_records(database: str) -> None:
    """Without `since` and `until`, it begins at the oldest record, and ends now or at a slightly later newest one."""
    rows = [query_model.row(created_at=query_model.BEGIN), query_model.row(created_at=query_model.BEGIN + _DAY)]

    async def test(store: Store, reader: RecordReader) -> None:
        until_newest = await reader.histogram(Filters(), 60, now=query_model.BEGIN + _DAY - 60_000_000)
        until_now = await reader.histogram(Filters(), 60, now=query_model.BEGIN + 30 * _DAY)

        for found in (until_newest, until_now):
            assert sum(counts.get("INFO", 0) for _, counts in found.counts) == 2
            assert found.since <= query_model.BEGIN
        assert query_model.BEGIN + _DAY < until_newest.until < query_model.BEGIN + 2 * _DAY
        assert until_now.until >= query_model.BEGIN + 30 * _DAY

    run(database, rows, test)


def test_histogram_without_records_is_empty(database: str) -> None:
    """An empty store, and a range that ends before it begins, have no counts."""

    async def test(store: Store, reader: RecordReader) -> None:
        for filters in (Filters(), Filters(since=10, until=5)):
            assert [counts for _, counts in (await reader.histogram(filters, 60, now=100)).counts if counts] == []

    run(database, [], test)


def test_values_are_the_most_frequent(database: str) -> None:
    """Values are counted, most frequent first; empty values are not counted."""
    rows = [query_model.row(service=name) for name in ["b", "a", "b", None, "c", "c", "c"]]

    async def test(store: Store, reader: RecordReader) -> None:
        found = await reader.values(Filters(), "service", 2)

        assert found.values == [("c", 3), ("b", 2)]
        assert not found.is_sample

    run(database, rows, test)


# Statements that never end.
_ENDLESS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "postgres": "SELECT count(*) FROM generate_series(1, 1000000000000)",
}


def test_slow_query_is_stopped(database: str) -> None:
    """A query that takes too long raises `QueryTimeout` with a remedy, and the next query works."""
    kind = "postgres" if database.startswith("postgres") else "sqlite"

    async def test(store: Store, reader: RecordReader) -> None:
        with pytest.raises(QueryTimeout, match="narrow the time range"):
            await reader.rows(Statement(reader.dialect, _ENDLESS[kind]), timeout=0.2)

        assert messages((await reader.find(Filters(), limit=1)).records) == ["one"]

    run(database, [query_model.row(message="one")], test)


def time_out_once(reader: RecordReader, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """Let the first statement that contains ``part`` time out, as with very many records."""
    rows, timed_out = reader.rows, []

    async def slow(statement: Statement, timeout: float = 10.0) -> list[RecordRow]:
        if part in statement.sql and not timed_out:
            timed_out.append(statement)
            raise QueryTimeout("too slow")
        return await rows(statement, timeout)

    monkeypatch.setattr(reader, "rows", slow)


def test_values_of_many_records_are_a_sample(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If counting all records takes too long, the newest are counted, and the result says so."""

    async def test(store: Store, reader: RecordReader) -> None:
        time_out_once(reader, monkeypatch, "GROUP BY")
        found = await reader.values(Filters(), "message", 1)

        assert found.values == [("one", 1)]
        assert found.is_sample

    run(database, [query_model.row(message="one")], test)


def test_statistics_cover_all_records(database: str) -> None:
    """They count records by level and service, and losses; they are cached for a while."""
    client = Client(id="c1", name="concurrent-log/2.0.0", service="shop", host="web-1")
    now = time.time_ns() // 1000

    async def test(store: Store, reader: RecordReader) -> None:
        losses = [("queue full", 12, now), ("queue full", 3, now - 10), ("sent with shorter texts", 7, now)]
        await store.add(IncomingBatch([], client=client, losses=[LossReport(*each) for each in losses]))
        statistics = StoreStatistics(reader)
        found = await statistics.read()
        await store.add(IncomingBatch([query_model.row()]))

        assert found["total_logs"] == 3
        assert found["is_estimate"] is False
        assert found["counted_since"] is None
        assert found["level_distribution"] == [{"level": "ERROR", "count": 2}, {"level": "INFO", "count": 1}]
        assert found["service_distribution"] == [{"service": "shop", "count": 2}]
        assert found["recent_errors_1h"] == 1
        assert found["records_per_second"] == round(3 / 60, 2)
        assert found["size_bytes"] > 1000
        assert [(each["service"], each["records"]) for each in found["services"]] == [("shop", 2)]
        assert [(each["service"], each["name"], each["count"]) for each in found["senders"]] == [
            ("shop", client.name, 1)
        ]
        assert [(each["reason"], each["records"]) for each in found["changes"]] == [("sent with shorter texts", 7)]
        (drop,) = found["drops"]
        assert (drop["client"], drop["name"], drop["service"], drop["host"]) == ("c1", client.name, "shop", "web-1")
        assert (drop["reason"], drop["records"], drop["since"]) == ("queue full", 15, iso_time(now - 10))
        assert await statistics.read() == found

    rows = [
        query_model.row(created_at=now, level="ERROR", service="shop"),
        query_model.row(level="ERROR", service="shop"),
        query_model.row(),
    ]
    run(database, rows, test)


def test_statistics_of_many_records_are_estimated(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If counting all records takes too long, those of the last day are counted, and the result says so."""
    now = time.time_ns() // 1000

    async def test(store: Store, reader: RecordReader) -> None:
        time_out_once(reader, monkeypatch, "GROUP BY")
        found = await StoreStatistics(reader).read()

        assert found["is_estimate"] is True
        assert iso_time(now - _DAY) <= found["counted_since"] < iso_time(now)
        assert found["level_distribution"] == [{"level": "INFO", "count": 1}]
        assert found["total_logs"] >= 1

    run(database, [query_model.row(created_at=now), query_model.row()], test)


_ROWS = {
    "sqlite": "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"
    " INSERT INTO logs (received_at, created_at, level, level_number, service, host, trace_id, message)"
    " SELECT {begin} + n * {step}, {begin} + n * {step}, {values} FROM numbers",
    "postgres": "INSERT INTO logs (created_at, level, level_number, service, host, trace_id, message)"
    " SELECT to_timestamp({begin} / 1e6) + n * interval '{step} microseconds', {values}"
    " FROM generate_series(1, {count}) AS n",
}
_ROW = (
    "CASE n % 50 WHEN 0 THEN 'ERROR' ELSE 'INFO' END, CASE n % 50 WHEN 0 THEN 40 ELSE 20 END,"
    " 'service-' || n % 20, 'host-' || n % 7, 'trace-' || n % 30000, 'order ' || n || ' accepted'"
)


async def fill(store: Store, records: int) -> None:
    """Let the database create ``records`` records of the last day."""
    begin, step = time.time_ns() // 1000 - _DAY, _DAY // records
    if isinstance(store, SqliteStore):
        with contextlib.closing(sqlite3.connect(store.path)) as connection, connection:
            connection.execute(_ROWS["sqlite"].format(count=records, begin=begin, step=step, values=_ROW))
            connection.execute("ANALYZE")
    else:
        assert isinstance(store, PostgresStore)
        await store.writing.execute(_ROWS["postgres"].format(count=records, begin=begin, step=step, values=_ROW))
        await store.writing.execute("ANALYZE logs")


@pytest.mark.parametrize(
    "filters",
    [
        Filters(service=("service-10",), level=40),
        Filters(service=("service-7",)),
        Filters(level=40),
        Filters(),
        Filters(trace_id="trace-4242"),
        Filters(since=query_model.BEGIN, service=("service-10", "service-0"), level=40, environment=()),
    ],
)
@pytest.mark.parametrize("records", [30_000, pytest.param(300_000, marks=pytest.mark.slow)])
def test_index_finds_the_newest_records(database: str, records: int, filters: Filters) -> None:
    """An index finds the newest 100 records, so the cost does not depend on the number of all records."""

    async def test(store: Store, reader: RecordReader) -> None:
        await fill(store, records)
        statement = statements.select_page(reader.dialect, filters, limit=100, newest_first=True, after=None)
        deep = statements.select_page(
            reader.dialect,
            filters,
            limit=100,
            newest_first=True,
            after=RecordKey(time.time_ns() // 1000 - _DAY // 2, 1),
        )

        assert await query_cost(store, statement) < 3000
        assert await query_cost(store, deep) < 3000

    run(database, [], test)


def test_first_page_reads_one_partition(postgres: str) -> None:
    """If the latest day fills the page, PostgreSQL plans for that day only; otherwise it plans for all."""
    now = time.time_ns() // 1000
    rows = [query_model.row(created_at=now - number * _DAY // 5, message=str(number)) for number in range(20)]

    async def test(store: Store, reader: RecordReader) -> None:
        queries: list[str] = []
        original = reader.rows

        async def recorded(statement: Statement, timeout: float = 10.0) -> list[RecordRow]:
            queries.append(statement.sql)
            return await original(statement, timeout)

        reader.rows = recorded  # type: ignore[method-assign]
        near = await reader.find(Filters(), limit=4)
        assert (messages(near.records), len(queries)) == (["0", "1", "2", "3"], 1)
        assert "created_at >=" in queries[0]
        further = await reader.find(Filters(), limit=10, after=near.next)
        assert (messages(further.records), len(queries)) == ([str(number) for number in range(4, 14)], 3)
        oldest = await reader.find(Filters(since=now - 3 * _DAY), limit=4, newest_first=False)
        assert (messages(oldest.records), len(queries)) == (["15", "14", "13", "12"], 4)

    run(postgres, rows, test)

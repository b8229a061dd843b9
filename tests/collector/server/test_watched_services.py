"""`GET /services` reports services as their monitors saw them, in both databases, whatever the records contain."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from hypothesis import given, settings
from hypothesis import strategies as st

from concurrent_log.collector.server.query import monitor_history, responses, watched_services
from concurrent_log.collector.server.query.monitor_events import (
    MAX_TEXT_LENGTH,
    MonitorEvent,
    ServiceReport,
    parse_monitor_event,
)
from concurrent_log.collector.server.query.monitor_history import ProgramHistories, ProgramId
from concurrent_log.collector.server.query.parameters import ServicesParameters
from concurrent_log.collector.server.query.watched_services import WatchedServices
from concurrent_log.collector.store.columns import RecordRow
from concurrent_log.collector.store.factory import create_reader, create_store
from concurrent_log.collector.store.interface import IncomingBatch, TooManyQueries
from concurrent_log.collector.store.migrations import migrations
from concurrent_log.collector.store.reader import RecordReader, iso_time
from concurrent_log.collector.store.sql import statements
from concurrent_log.collector.store.sql.filters import HEALTH_LOGGER
from concurrent_log.health.alerts import LOGGER
from support import query_model
from support.browser_pages import wait_until
from support.collector_server import Server
from support.deadlines import DEADLINE
from support.processes import PROGRAMS, environment
from support.query_cost import query_cost

_SECOND = 1_000_000
_MINUTE = 60 * _SECOND
_DAY = 1440 * _MINUTE
_BEGIN = query_model.BEGIN
_SHOP = ProgramId("shop", "production", "web-1", 4711)

Event = tuple[int, str, dict[str, str]]


def event_of(at: int, event: str, **statuses: str) -> Event:
    """Return an event ``at`` minutes after the beginning, with the status of each service."""
    return _BEGIN + at * _MINUTE, event, statuses


def fold(*events: Event, until: int, program_id: ProgramId = _SHOP) -> dict[str, Any]:
    """Return the history of a program whose monitor logged ``events``, oldest first, up to minute ``until``."""
    found = ProgramHistories(_BEGIN, _BEGIN + until * _MINUTE)
    add(found, events, program_id)
    (program,) = found.describe()
    return program


def add(found: ProgramHistories, events: "tuple[Event, ...] | list[Event]", program_id: ProgramId) -> None:
    """Add the events of one program, which are listed oldest first."""
    for at, event, statuses in reversed(events):
        is_complete = event in ("started", "report", "stopped")
        found.add(at, program_id, MonitorEvent(event, [ServiceReport(*each) for each in statuses.items()], is_complete))


def history(program: dict[str, Any], number: int = 0) -> list[tuple[str, int, int]]:
    """Return the history of a service: each status, with the minutes of its beginning and end."""
    segments = program["services"][number]["history"]
    return [(each["status"], _minutes(each["since"]), _minutes(each["until"])) for each in segments]


def _minutes(text: str) -> int:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * _SECOND
    return round((moment - _BEGIN) / _MINUTE)


def test_history_has_each_status_and_its_times() -> None:
    """A service goes down and comes back: the history lists this in order, and the entry has the current status."""
    program = fold(
        event_of(0, "started", db="unknown", mail="unknown"),
        event_of(1, "status", db="healthy"),
        event_of(2, "status", mail="healthy"),
        event_of(5, "report", db="healthy", mail="healthy"),
        event_of(7, "status", mail="degraded"),
        event_of(8, "status", mail="unhealthy"),
        event_of(10, "report", db="healthy", mail="unhealthy"),
        event_of(13, "status", mail="healthy"),
        until=14,
    )

    assert [each["name"] for each in program["services"]] == ["db", "mail"]
    assert history(program) == [("unknown", 0, 1), ("healthy", 1, 14)]
    assert history(program, 1) == [
        ("unknown", 0, 2),
        ("healthy", 2, 7),
        ("degraded", 7, 8),
        ("unhealthy", 8, 13),
        ("healthy", 13, 14),
    ]
    assert (program["monitor"], program["last_seen"]) == ("running", iso_time(_BEGIN + 13 * _MINUTE))
    assert program["services"][0]["since"] == iso_time(_BEGIN + _MINUTE)


@pytest.mark.parametrize(("until", "monitor"), [(30, "running"), (31, "silent")])
def test_monitor_is_silent_after_two_missed_reports(until: int, monitor: str) -> None:
    """A monitor counts as silent after twice the interval of its reports, plus a margin."""
    reports = [event_of(minute, "report", db="healthy") for minute in range(0, 30, 10)]
    program = fold(*reports[:2], until=until)

    assert program["monitor"] == monitor
    end = [("healthy", 0, until)] if monitor == "running" else [("healthy", 0, 10), ("silent", 10, until)]
    assert history(program) == end


def test_history_shows_silent_and_stopped_monitors() -> None:
    """The history shows when no monitor watched: after a stop, and during a long silence."""
    program = fold(
        event_of(0, "started", db="healthy"),
        event_of(5, "report", db="healthy"),
        event_of(7, "stopped", db="healthy"),
        event_of(60, "started", db="healthy"),
        event_of(65, "report", db="healthy"),
        event_of(100, "report", db="unhealthy"),
        event_of(105, "report", db="unhealthy"),
        event_of(110, "report", db="unhealthy"),
        event_of(112, "stopped", db="unhealthy"),
        until=120,
    )

    assert history(program) == [
        ("healthy", 0, 7),
        ("stopped", 7, 60),
        ("healthy", 60, 65),
        ("silent", 65, 100),
        ("unhealthy", 100, 112),
        ("stopped", 112, 120),
    ]
    assert program["monitor"] == "stopped"


def test_removed_service_is_omitted() -> None:
    """A report lists all services: a removed one has no entry, and one that was removed for a while has a gap."""
    program = fold(
        event_of(0, "report", a="healthy", b="healthy"),
        event_of(5, "report", b="healthy"),
        event_of(10, "report", b="healthy", c="unknown"),
        event_of(15, "report", b="healthy"),
        event_of(20, "report", b="healthy", a="healthy"),
        until=21,
    )

    assert [each["name"] for each in program["services"]] == ["a", "b"]
    assert history(program) == [("healthy", 0, 5), ("healthy", 20, 21)]
    assert history(program, 1) == [("healthy", 0, 21)]


def test_report_may_be_split() -> None:
    """A monitor of many services splits a report into several records; the result is the same."""
    begin, parts = _BEGIN, ["abc", "def", "g"]
    events = [
        (begin + minute * _MINUTE + number, event, dict.fromkeys(names, "healthy"))
        for minute, event in [(0, "started"), (5, "report"), (10, "report"), (12, "stopped")]
        for number, names in enumerate(parts)
    ]

    running, stopped = fold(*events[:-3], until=20), fold(*events, until=20)
    assert running["monitor"] == "running"
    assert [history(running, number) for number in range(7)] == [[("healthy", 0, 20)]] * 7
    assert [history(stopped, number) for number in range(7)] == [[("healthy", 0, 12), ("stopped", 12, 20)]] * 7


def test_worst_programs_are_first() -> None:
    """Unhealthy and silent programs are first; optional, healthy, replaced and stopped ones follow."""
    found = ProgramHistories(_BEGIN, _BEGIN + 60 * _MINUTE)
    for name, status in [("a", "healthy"), ("b", "degraded"), ("c", "unhealthy"), ("d", "unknown")]:
        add(found, [event_of(59, "report", x="healthy", y=status)], ProgramId(name, None, None, None))
    add(found, [event_of(59, "stopped", x="unhealthy")], ProgramId("e", None, None, None))
    add(found, [event_of(9, "report", x="healthy")], ProgramId("f", None, None, None))
    add(found, [event_of(9, "report", x="unhealthy")], ProgramId("g", None, "web", 1))
    add(found, [event_of(55, "started", x="healthy")], ProgramId("g", None, "web", 2))
    optional = ServiceReport("x", "unhealthy", critical=False)
    found.add(_BEGIN + 59 * _MINUTE, ProgramId("h", None, None, None), MonitorEvent("report", [optional], True))

    assert [(each["service"], each["monitor"]) for each in found.describe()] == [
        ("c", "running"),
        ("f", "silent"),
        ("h", "running"),
        ("b", "running"),
        ("d", "running"),
        ("a", "running"),
        ("g", "running"),
        ("g", "replaced"),
        ("e", "stopped"),
    ]
    assert [each["name"] for each in found.describe()[0]["services"]] == ["y", "x"]


def test_flapping_and_response_times_are_reported() -> None:
    """The latest event decides whether a service flaps; each step has its longest response time."""
    found = ProgramHistories(_BEGIN, _BEGIN + 60 * _MINUTE)
    for minute, event, took in [(50, "report", None), (30, "flapping", 7.0), (9, "settled", 1.0), (8, "status", 2.0)]:
        seen = ServiceReport("x", "healthy", response_time_ms=took)
        found.add(_BEGIN + minute * _MINUTE, _SHOP, MonitorEvent(event, [seen]))
        found.add(_BEGIN + minute * _MINUTE - 1, _SHOP, MonitorEvent("status", [seen._replace(response_time_ms=0.5)]))
    (entry,) = found.describe()[0]["services"]

    assert entry["is_flapping"] is True
    assert entry["response_time_ms"] is None
    assert {step: took for step, took in enumerate(entry["response_times"]) if took is not None} == {
        7: 0.5,
        8: 2.0,
        9: 1.0,
        29: 0.5,
        30: 7.0,
        49: 0.5,
    }


_statuses = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["healthy", "degraded", "unhealthy", "unknown"]))
_one = st.tuples(st.sampled_from("abc"), st.sampled_from(["healthy", "unhealthy"])).map(lambda each: dict([each]))
_events = st.one_of(
    st.tuples(st.sampled_from(["started", "report", "report", "stopped"]), _statuses),
    st.tuples(st.sampled_from(["status", "breaker"]), _one),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.integers(1, 30), _events), min_size=1, max_size=25), st.integers(1, 40))
def test_history_equals_a_model_of_each_minute(reported: list[Any], rest: int) -> None:
    """For random events, each minute has the status that a simple model computes for it."""
    at, events = 0, []
    for step, (event, statuses) in reported:
        at += step
        events.append(event_of(at, event, **statuses))
    program = fold(*events, until=at + rest)

    found = {each["name"]: each for each in program["services"]}
    for name in "abc":
        expected = [_status_at(events, name, _BEGIN + minute * _MINUTE, at + rest) for minute in range(at + rest)]
        if _watched(events, name) is None:
            assert name not in found
            continue
        segments = history({"services": [found[name]]})
        by_minute = [next((s for s, since, until in segments if since <= m < until), None) for m in range(at + rest)]
        assert by_minute == expected


def _watched(events: list[Event], name: str) -> str | None:
    status = None
    for _, event, statuses in events:
        if name in statuses:
            status = statuses[name]
        elif event in ("started", "report", "stopped"):
            status = None
    return status


def _status_at(events: list[Event], name: str, moment: int, end: int) -> str | None:
    before = [each for each in events if each[0] <= moment]
    status = _watched(before, name)
    if status is None:
        return None
    later = [at for at, _, _ in events if at > moment]
    if before[-1][1] == "stopped":
        return "stopped"
    is_silent = min(later, default=_BEGIN + end * _MINUTE) - before[-1][0] > _silence_limit(events)
    return "silent" if is_silent else status


def _silence_limit(events: list[Event]) -> int:
    whole = [each for each in events if each[1] in ("started", "report", "stopped")]
    gaps = [b[0] - a[0] for a, b in itertools.pairwise(whole) if b[1] == "report" and a[1] != "stopped"]
    return 2 * max(gaps[-2:], default=5 * _MINUTE) + 30 * _SECOND


_HEALTH = {"event": "status", "service": "db", "status": "healthy"}
_EDGES = st.sampled_from(["1e400", 2**70, -1, 1e300, "\0", "<script>", "x" * 5000, "9999-99-99", {}, [], True, None])
_json = st.recursive(
    _EDGES | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=5), each, max_size=3),
    max_leaves=8,
)
_FIELDS = ("service", "status", "since", "breaker", "critical", "response_time_ms", "error", "consecutive_failures")
_RIGHT = st.sampled_from(["db", "unhealthy", "healthy", "open", 3, 0.5, False, "2026-01-12T06:40:00+00:00"])
_service = st.dictionaries(st.sampled_from(_FIELDS), _RIGHT | _json)
_hostile = st.fixed_dictionaries(
    {"event": st.sampled_from(["started", "report", "stopped", "status", "breaker", "flapping"]) | _json},
    optional={"services": st.lists(_service | _json, max_size=4) | _json, **dict.fromkeys(_FIELDS, _RIGHT | _json)},
)
_attributes = st.fixed_dictionaries({"health": _hostile | _json}) | _json


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(-10, _DAY + 10), _attributes), max_size=8))
def test_response_is_valid_for_any_records(reported: list[tuple[int, Any]]) -> None:
    """Fields that are missing, huge or of another type are ignored, and affect nothing else."""
    found = ProgramHistories(_BEGIN, _BEGIN + _DAY)
    for at, attributes in sorted(reported, key=lambda each: -each[0]):
        if (event := parse_monitor_event(json.dumps(attributes))) is not None:
            found.add(_BEGIN + at, _SHOP, event)

    for program in found.describe():
        responses.ProgramResponse.model_validate_json(json.dumps(program, allow_nan=False))
        for service in program["services"]:
            assert max(len(service["name"]), len(service["error"] or "")) <= MAX_TEXT_LENGTH
            ends = [end for each in service["history"] for end in (each["since"], each["until"])]
            assert ends == sorted(ends)
            assert ends[-1:] in ([], [iso_time(_BEGIN + _DAY)])


@pytest.mark.parametrize(
    "attributes",
    [
        None,
        "",
        "{",
        "[]",
        '{"health": NaN}',
        '{"health": []}',
        '{"health": {"event": "status", "service": " ", "status": "healthy"}}',
        '{"health": {"event": "status", "service": "db", "status": "fine"}}',
        '{"health": {"event": "other", "services": []}}',
        '{"health": ' + "[" * 100_000,
    ],
)
def test_record_without_a_status_is_ignored(attributes: str | None) -> None:
    """The parser returns None, and raises nothing."""
    assert parse_monitor_event(attributes) is None


def test_invalid_numbers_are_ignored() -> None:
    """The other fields of the record are used; long text is cut."""
    reported = {**_HEALTH, "response_time_ms": -1, "consecutive_failures": "3", "since": 5, "error": "e" * 300}
    event = parse_monitor_event(json.dumps({"health": reported}))

    assert event == MonitorEvent("status", [ServiceReport("db", "healthy", error="e" * (MAX_TEXT_LENGTH - 1) + "…")])


def test_memory_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of programs, services and segments is limited to the newest, and the result says so."""
    monkeypatch.setattr(monitor_history, "MAX_PROGRAMS", 3)
    monkeypatch.setattr(monitor_history, "MAX_SERVICES", 4)
    monkeypatch.setattr(monitor_history, "MAX_TOTAL_SEGMENTS", 12)
    found = ProgramHistories(_BEGIN, _BEGIN + _DAY)
    for number in range(1000, 0, -1):
        status = ("healthy", "unhealthy")[number % 2]
        add(found, [event_of(number, "status", db=status)], _SHOP)
        add(found, [event_of(number, "report", db="healthy")], ProgramId(str(number), None, None, None))
    entries = [each for program in found.describe() for each in program["services"]]

    assert found.is_cut
    assert len(found.describe()) == 3
    assert [len(each["history"]) for each in entries if each["is_cut"]] == [4]
    assert entries[0]["history"][-1]["until"] == iso_time(_BEGIN + _DAY)


def test_long_history_is_cut() -> None:
    """Only the last 100 changes are reported, and nothing is claimed about the time before."""
    program = fold(*(event_of(n, "status", db="healthy" if n % 2 else "unhealthy") for n in range(300)), until=300)

    assert program["services"][0]["is_cut"] is True
    assert history(program) == [("healthy" if n % 2 else "unhealthy", n, n + 1) for n in range(200, 300)]


# Both databases.


def health_row(at: int, event: str, *services: dict[str, Any], **columns: Any) -> RecordRow:
    """Return the row of a monitor's record."""
    health = {"event": event, **(services[0] if event == "status" else {"services": list(services)})}
    place = {"service": "shop", "host": "web-1", "process_id": 1, **columns}
    return query_model.row(created_at=at, logger=LOGGER, attributes=json.dumps({"health": health}), **place)


async def read_services(reader: RecordReader, **parameters: Any) -> dict[str, Any]:
    """Return the response for the parameters."""
    query = ServicesParameters.model_validate(parameters)
    since, until = query.range(time.time_ns() // 1000)
    return await WatchedServices(reader).read(query.filters(since, until, ()), since, until)


_DB = {"service": "db", "status": "healthy"}


def test_only_records_of_monitors_in_the_range_are_read(database: str) -> None:
    """Other records are not read; filters choose programs, and unreadable records are counted."""
    now = time.time_ns() // 1000
    rows = [
        health_row(now - 30 * _SECOND, "report", _DB),
        health_row(now - 20 * _SECOND, "report", _DB, service="mailer"),
        health_row(now - 10 * _SECOND, "report", _DB, service=None, host=None, process_id=None),
        health_row(now + 10 * _SECOND, "report", _DB, service="ahead"),
        health_row(now - 2 * _DAY, "report", _DB, service="old"),
        health_row(now + _DAY, "report", _DB, service="far ahead"),
        query_model.row(created_at=now, logger=LOGGER, message="nothing", attributes=None),
        query_model.row(created_at=now, logger="shop.db", attributes=json.dumps({"health": {**_HEALTH}})),
    ]

    async def test(reader: RecordReader) -> None:
        everything = await read_services(reader)
        chosen = await read_services(reader, service=["mailer"], host=["web-1"], since="1h")
        week = await read_services(reader, since="30d", until="1h")

        assert [each["service"] for each in everything["programs"]] == [None, "ahead", "mailer", "shop"]
        assert (everything["looked_at"], everything["unreadable"], everything["is_sample"]) == (5, 1, False)
        assert everything["looked_since"] == iso_time(now - 30 * _SECOND)
        assert everything["programs"][1]["last_seen"] <= everything["until"]
        assert [each["service"] for each in chosen["programs"]] == ["mailer"]
        assert [(each["service"], each["monitor"]) for each in week["programs"]] == [("old", "silent")]
        assert week["since"] > iso_time(now - 8 * _DAY)

    query_model.with_reader(database, rows, test)


@pytest.mark.parametrize(("there", "looked_at", "is_sample"), [(29, 29, False), (41, 30, True)])
def test_only_the_newest_records_are_read(
    database: str, monkeypatch: pytest.MonkeyPatch, there: int, looked_at: int, is_sample: bool
) -> None:
    """The number of records is limited, and the result says whether there may be more."""
    monkeypatch.setattr(watched_services, "MAX_RECORDS", 30)
    monkeypatch.setattr(watched_services, "_PAGE_LENGTH", 10)
    now = time.time_ns() // 1000

    async def test(reader: RecordReader) -> None:
        found = await read_services(reader)

        assert (found["looked_at"], found["is_sample"]) == (looked_at, is_sample)
        assert found["looked_since"] == iso_time(now - looked_at * _SECOND)

    query_model.with_reader(
        database, [health_row(now - number * _SECOND, "report", _DB) for number in range(1, there + 1)], test
    )


def test_number_of_requests_is_limited(database: str) -> None:
    """Eight requests are served, one after the other; a ninth raises `TooManyQueries`."""

    async def test(reader: RecordReader) -> None:
        services, query = WatchedServices(reader), ServicesParameters.model_validate({})
        since, until = query.range(time.time_ns() // 1000)
        requests = (services.read(query.filters(since, until, ()), since, until) for _ in range(12))
        found = await asyncio.gather(*requests, return_exceptions=True)

        assert [type(each) for each in found] == [dict] * 8 + [TooManyQueries] * 4

    query_model.with_reader(database, [], test)


def test_first_schema_is_migrated(database: str) -> None:
    """A database with the first schema gets the index when it is opened, and keeps its records."""
    now = time.time_ns() // 1000
    row = health_row(now - _SECOND, "report", _DB)

    async def with_first_schema() -> None:
        store = create_store(database)
        await store.open()
        await store.add(IncomingBatch([row]))
        await store.close()
        undone = "DROP TABLE keys; DROP TABLE sessions; DROP INDEX logs_by_health;"
        undone += "ALTER TABLE batches DROP COLUMN digest;"
        undone += "DELETE FROM schema_version WHERE version >= 2"
        if database.startswith("postgresql"):
            import asyncpg

            connection = await asyncpg.connect(database, server_settings={"search_path": "concurrent_log"})
            await connection.execute(undone)
            await connection.close()
        else:
            with contextlib.closing(sqlite3.connect(database)) as other, other:
                other.executescript(undone)

    async def test(reader: RecordReader) -> None:
        assert (await read_services(reader))["looked_at"] == 2

    asyncio.run(with_first_schema())
    query_model.with_reader(database, [row], test)


def test_index_finds_records_of_monitors(database: str) -> None:
    """The cost does not depend on the number of other records."""
    now = time.time_ns() // 1000
    others = [
        query_model.row(created_at=now - number * _SECOND, logger="shop", message="m") for number in range(50_000)
    ]

    async def with_many() -> None:
        store = create_store(database)
        await store.open()
        reader = create_reader(store)
        try:
            await store.add(IncomingBatch(others))
            await store.add(IncomingBatch([health_row(now - number * _MINUTE, "report", _DB) for number in range(700)]))
            query = ServicesParameters.model_validate({"since": "7d"})
            for filters in (
                query.filters(now - 7 * _DAY, now, ()),
                ServicesParameters.model_validate({"host": ["web-1"]}).filters(0, now, ()),
            ):
                statement = statements.select_page(reader.dialect, filters, limit=100, newest_first=True, after=None)
                assert await query_cost(store, statement) < 1500
        finally:
            await reader.close()
            await store.close()

    asyncio.run(with_many())


def test_index_is_for_the_logger_of_monitors() -> None:
    """The logger's name is the same in the four places that cannot import each other."""
    files = [sql for database in ("sqlite", "postgres") for _, sql in migrations(database)[1:2]]

    assert HEALTH_LOGGER == LOGGER
    assert [f"WHERE logger = '{LOGGER}'" in sql for sql in files] == [True, True]
    page = Path(statements.__file__).parents[2] / "web" / "query.js"
    assert f'"{LOGGER}"' in page.read_text(encoding="utf-8")


# A real monitor, and a real collector.


@contextlib.contextmanager
def watching(folder: Path, url: str, service: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a program that monitors a database, in ``folder``."""
    process = subprocess.Popen(
        [sys.executable, str(PROGRAMS / "watching.py"), url, service],
        cwd=folder,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "watching\n"
            yield process
        finally:
            process.kill()


@pytest.mark.slow
def test_real_monitor_is_reported(tmp_path: Path) -> None:
    """A real monitor's history is in order; afterwards, it is stopped, or silent if it was killed."""
    with (
        Server(tmp_path, str(tmp_path / "logs.sqlite3")) as server,
        watching(tmp_path, server.url, "shop") as shop,
        watching(tmp_path, server.url, "mailer") as mailer,
    ):

        def statuses(**parameters: str) -> dict[str, list[str]]:
            query = "&".join(f"{name}={value}" for name, value in parameters.items())
            found = server.get(f"/services?{query}")["programs"]
            return {each["service"]: [s["status"] for s in each["services"][0]["history"]] for each in found}

        def all_are(status: str, breaker: str) -> bool:
            found = [service for each in server.get("/services")["programs"] for service in each["services"]]
            return [(each["status"], each["breaker"]) for each in found] == [(status, breaker)] * 2

        wait_until(lambda: all_are("healthy", "closed"))
        (tmp_path / "down").touch()
        wait_until(lambda: all_are("unhealthy", "open"))
        (tmp_path / "down").unlink()
        wait_until(lambda: all_are("healthy", "closed"))
        running = {each["service"]: each for each in server.get("/services")["programs"]}
        os.kill(shop.pid, signal.SIGKILL)
        assert mailer.stdin is not None
        mailer.stdin.close()
        assert (shop.wait(DEADLINE), mailer.wait(DEADLINE)) == (-signal.SIGKILL, 0)
        wait_until(lambda: statuses()["mailer"][-1] == "stopped")
        later = (datetime.now(timezone.utc) + timedelta(minutes=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
        ended = {each["service"]: each for each in server.get(f"/services?until={later}")["programs"]}

        assert {each["monitor"] for each in running.values()} == {"running"}
        assert running["shop"]["process_id"] == shop.pid
        entry = running["shop"]["services"][0]
        assert (entry["name"], entry["breaker"], entry["error"], entry["critical"]) == (
            "database",
            "closed",
            None,
            True,
        )
        assert any(each["error"] for each in entry["history"] if each["status"] == "unhealthy")
        assert any(each is not None for each in entry["response_times"])
        assert (ended["shop"]["monitor"], ended["mailer"]["monitor"]) == ("silent", "stopped")
        expected = ["unknown", "healthy", "degraded", "unhealthy", "healthy"]
        assert statuses(until=later) == {
            "shop": [*expected, "silent"],
            "mailer": [*expected, "stopped"],
        }

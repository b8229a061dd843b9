"""The services that programs watch are told as their monitors saw them, in both stores, whatever records say."""

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

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install 'concurrent_log[server]'")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install 'concurrent_log[server]'")

from hypothesis import given, settings
from hypothesis import strategies as st

from concurrent_log.collector.server.query import monitor_history as programs
from concurrent_log.collector.server.query import responses as answers
from concurrent_log.collector.server.query import watched_services as asked
from concurrent_log.collector.server.query.monitor_events import LONGEST, Sighting, Told, told
from concurrent_log.collector.server.query.monitor_history import Programs, Who
from concurrent_log.collector.server.query.parameters import AskedServices
from concurrent_log.collector.server.query.watched_services import Services
from concurrent_log.collector.store import Batch, Row, migrations, store_of
from concurrent_log.collector.store.reader import Reader, TooMany, iso, reader_of
from concurrent_log.collector.store.sql import statements as query
from concurrent_log.health.alerts import LOGGER
from support import query_model
from support.browser_pages import wait_until
from support.collector_server import Server
from support.processes import PROGRAMS, environment
from support.query_cost import work

_SECOND = 1_000_000
_MINUTE = 60 * _SECOND
_DAY = 1440 * _MINUTE
_BEGIN = query_model.BEGIN
_SHOP = Who("shop", "production", "web-1", 4711)

Event = tuple[int, str, dict[str, str]]


def event_of(at: int, event: str, **statuses: str) -> Event:
    """Return an event of so many minutes after the beginning, and the statuses that it tells."""
    return _BEGIN + at * _MINUTE, event, statuses


def folded(*events: Event, until: int, who: Who = _SHOP) -> dict[str, Any]:
    """Return what is told of a program whose monitor logged ``events``, oldest first, up to so many minutes."""
    found = Programs(_BEGIN, _BEGIN + until * _MINUTE)
    add(found, events, who)
    (program,) = found.described()
    return program


def add(found: Programs, events: "tuple[Event, ...] | list[Event]", who: Who) -> None:
    """Add events, oldest first, of one program."""
    for at, event, statuses in reversed(events):
        is_whole = event in ("started", "report", "stopped")
        found.add(at, who, Told(event, [Sighting(*each) for each in statuses.items()], is_whole))


def history(program: dict[str, Any], number: int = 0) -> list[tuple[str, int, int]]:
    """Return the history of a service: each status with its minutes."""
    segments = program["services"][number]["history"]
    return [(each["status"], _minutes(each["since"]), _minutes(each["until"])) for each in segments]


def _minutes(text: str) -> int:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * _SECOND
    return round((moment - _BEGIN) / _MINUTE)


def test_each_status_is_told_from_when_on() -> None:
    """A service goes down and comes back: the history has it in order, and the entry how it is now."""
    program = folded(
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
    assert (program["monitor"], program["last_seen"]) == ("running", iso(_BEGIN + 13 * _MINUTE))
    assert program["services"][0]["since"] == iso(_BEGIN + _MINUTE)


@pytest.mark.parametrize(("until", "monitor"), [(30, "running"), (31, "silent")])
def test_monitor_is_silent_when_two_reports_are_missing(until: int, monitor: str) -> None:
    """It has as long as from one of its reports to the next, twice and a little, before it counts as silent."""
    reports = [event_of(minute, "report", db="healthy") for minute in range(0, 30, 10)]
    program = folded(*reports[:2], until=until)

    assert program["monitor"] == monitor
    end = [("healthy", 0, until)] if monitor == "running" else [("healthy", 0, 10), ("silent", 10, until)]
    assert history(program) == end


def test_silence_and_the_end_of_a_monitor_are_in_the_history() -> None:
    """What nobody watched is told as such: after the monitor had stopped, and where it said nothing for long."""
    program = folded(
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


def test_service_that_is_watched_no_longer_is_left_out() -> None:
    """A report tells of all services: one that was removed is no entry, and one that was away for a while has a gap."""
    program = folded(
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


def test_report_may_come_in_parts() -> None:
    """Of very many services, a monitor tells some in each record: they are watched, and it has its time as ever."""
    begin, parts = _BEGIN, ["abc", "def", "g"]
    events = [
        (begin + minute * _MINUTE + number, event, dict.fromkeys(names, "healthy"))
        for minute, event in [(0, "started"), (5, "report"), (10, "report"), (12, "stopped")]
        for number, names in enumerate(parts)
    ]

    running, stopped = folded(*events[:-3], until=20), folded(*events, until=20)
    assert running["monitor"] == "running"
    assert [history(running, number) for number in range(7)] == [[("healthy", 0, 20)]] * 7
    assert [history(stopped, number) for number in range(7)] == [[("healthy", 0, 12), ("stopped", 12, 20)]] * 7


def test_worst_come_first() -> None:
    """What is down or silent is on top; what is not critical, healthy, replaced or has ended, further down."""
    found = Programs(_BEGIN, _BEGIN + 60 * _MINUTE)
    for name, status in [("a", "healthy"), ("b", "degraded"), ("c", "unhealthy"), ("d", "unknown")]:
        add(found, [event_of(59, "report", x="healthy", y=status)], Who(name, None, None, None))
    add(found, [event_of(59, "stopped", x="unhealthy")], Who("e", None, None, None))
    add(found, [event_of(9, "report", x="healthy")], Who("f", None, None, None))
    add(found, [event_of(9, "report", x="unhealthy")], Who("g", None, "web", 1))
    add(found, [event_of(55, "started", x="healthy")], Who("g", None, "web", 2))
    optional = Sighting("x", "unhealthy", critical=False)
    found.add(_BEGIN + 59 * _MINUTE, Who("h", None, None, None), Told("report", [optional], True))

    assert [(each["service"], each["monitor"]) for each in found.described()] == [
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
    assert [each["name"] for each in found.described()[0]["services"]] == ["y", "x"]


def test_flapping_and_response_times_are_told() -> None:
    """Whether it comes and goes is what was said last; of each while, the longest response time is told."""
    found = Programs(_BEGIN, _BEGIN + 60 * _MINUTE)
    for minute, event, took in [(50, "report", None), (30, "flapping", 7.0), (9, "settled", 1.0), (8, "status", 2.0)]:
        seen = Sighting("x", "healthy", response_time_ms=took)
        found.add(_BEGIN + minute * _MINUTE, _SHOP, Told(event, [seen]))
        found.add(_BEGIN + minute * _MINUTE - 1, _SHOP, Told("status", [seen._replace(response_time_ms=0.5)]))
    (entry,) = found.described()[0]["services"]

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
def test_history_is_what_plain_python_says_of_each_minute(said: list[Any], rest: int) -> None:
    """Whatever a monitor says in whatever order, each minute has the status that a look at the minutes gives it."""
    at, events = 0, []
    for step, (event, statuses) in said:
        at += step
        events.append(event_of(at, event, **statuses))
    program = folded(*events, until=at + rest)

    found = {each["name"]: each for each in program["services"]}
    for name in "abc":
        expected = [_status_at(events, name, _BEGIN + minute * _MINUTE, at + rest) for minute in range(at + rest)]
        if _watched(events, name) is None:
            assert name not in found
            continue
        segments = history({"services": [found[name]]})
        told_of = [next((s for s, since, until in segments if since <= m < until), None) for m in range(at + rest)]
        assert told_of == expected


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
    is_silent = min(later, default=_BEGIN + end * _MINUTE) - before[-1][0] > _patience(events)
    return "silent" if is_silent else status


def _patience(events: list[Event]) -> int:
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
def test_whatever_records_say_the_answer_is_in_order(said: list[tuple[int, Any]]) -> None:
    """Fields that are missing, huge, of another type or nonsense are left out, and harm nothing else."""
    found = Programs(_BEGIN, _BEGIN + _DAY)
    for at, attributes in sorted(said, key=lambda each: -each[0]):
        if (heard := told(json.dumps(attributes))) is not None:
            found.add(_BEGIN + at, _SHOP, heard)

    for program in found.described():
        answers.Program.model_validate_json(json.dumps(program, allow_nan=False))
        for service in program["services"]:
            assert max(len(service["name"]), len(service["error"] or "")) <= LONGEST
            ends = [end for each in service["history"] for end in (each["since"], each["until"])]
            assert ends == sorted(ends)
            assert ends[-1:] in ([], [iso(_BEGIN + _DAY)])


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
def test_record_that_says_nothing_of_services_is_known_as_such(attributes: str | None) -> None:
    """There is nothing to tell of it, and nothing is raised."""
    assert told(attributes) is None


def test_numbers_are_only_taken_where_they_make_sense() -> None:
    """The rest of such a record is told; what is too long is cut."""
    said = {**_HEALTH, "response_time_ms": -1, "consecutive_failures": "3", "since": 5, "error": "e" * 300}
    heard = told(json.dumps({"health": said}))

    assert heard == Told("status", [Sighting("db", "healthy", error="e" * (LONGEST - 1) + "…")])


def test_what_is_held_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many programs, services and segments, those heard of last, and the answer says that there are more."""
    monkeypatch.setattr(programs, "MOST_PROGRAMS", 3)
    monkeypatch.setattr(programs, "MOST_SERVICES", 4)
    monkeypatch.setattr(programs, "MOST_TOGETHER", 12)
    found = Programs(_BEGIN, _BEGIN + _DAY)
    for number in range(1000, 0, -1):
        status = ("healthy", "unhealthy")[number % 2]
        add(found, [event_of(number, "status", db=status)], _SHOP)
        add(found, [event_of(number, "report", db="healthy")], Who(str(number), None, None, None))
    entries = [each for program in found.described() for each in program["services"]]

    assert found.is_cut
    assert len(found.described()) == 3
    assert [len(each["history"]) for each in entries if each["is_cut"]] == [4]
    assert entries[0]["history"][-1]["until"] == iso(_BEGIN + _DAY)


def test_only_the_newest_of_a_long_history_is_told() -> None:
    """What is older than the last 100 changes is left out, and is not taken for what it was then."""
    program = folded(*(event_of(n, "status", db="healthy" if n % 2 else "unhealthy") for n in range(300)), until=300)

    assert program["services"][0]["is_cut"] is True
    assert history(program) == [("healthy" if n % 2 else "unhealthy", n, n + 1) for n in range(200, 300)]


# Both stores.


def said(at: int, event: str, *services: dict[str, Any], **columns: Any) -> Row:
    """Return the row of a record of a monitor."""
    health = {"event": event, **(services[0] if event == "status" else {"services": list(services)})}
    place = {"service": "shop", "host": "web-1", "process_id": 1, **columns}
    return query_model.row(created_at=at, logger=LOGGER, attributes=json.dumps({"health": health}), **place)


async def ask(reader: Reader, **parameters: Any) -> dict[str, Any]:
    """Return the answer to a question."""
    question = AskedServices.model_validate(parameters)
    since, until = question.range(time.time_ns() // 1000)
    return await Services(reader).answer(question.filters(since, until), since, until)


_DB = {"service": "db", "status": "healthy"}


def test_only_records_of_monitors_within_the_range_are_looked_at(database: str) -> None:
    """Others are not, whatever they say; a filter chooses programs, and what nobody understands is counted."""
    now = time.time_ns() // 1000
    rows = [
        said(now - 30 * _SECOND, "report", _DB),
        said(now - 20 * _SECOND, "report", _DB, service="mailer"),
        said(now - 10 * _SECOND, "report", _DB, service=None, host=None, process_id=None),
        said(now + 10 * _SECOND, "report", _DB, service="ahead"),
        said(now - 2 * _DAY, "report", _DB, service="old"),
        said(now + _DAY, "report", _DB, service="far ahead"),
        query_model.row(created_at=now, logger=LOGGER, message="nothing", attributes=None),
        query_model.row(created_at=now, logger="shop.db", attributes=json.dumps({"health": {**_HEALTH}})),
    ]

    async def test(reader: Reader) -> None:
        everything = await ask(reader)
        chosen = await ask(reader, service=["mailer"], host=["web-1"], since="1h")
        week = await ask(reader, since="30d", until="1h")

        assert [each["service"] for each in everything["programs"]] == [None, "ahead", "mailer", "shop"]
        assert (everything["looked_at"], everything["unreadable"], everything["is_sample"]) == (5, 1, False)
        assert everything["looked_since"] == iso(now - 30 * _SECOND)
        assert everything["programs"][1]["last_seen"] <= everything["until"]
        assert [each["service"] for each in chosen["programs"]] == ["mailer"]
        assert [(each["service"], each["monitor"]) for each in week["programs"]] == [("old", "silent")]
        assert week["since"] > iso(now - 8 * _DAY)

    query_model.with_reader(database, rows, test)


@pytest.mark.parametrize(("there", "looked_at", "is_sample"), [(29, 29, False), (41, 30, True)])
def test_only_the_newest_are_looked_at(
    database: str, monkeypatch: pytest.MonkeyPatch, there: int, looked_at: int, is_sample: bool
) -> None:
    """There is a limit, and the answer says whether there may be more records than that."""
    monkeypatch.setattr(asked, "MOST", 30)
    monkeypatch.setattr(asked, "_AT_ONCE", 10)
    now = time.time_ns() // 1000

    async def test(reader: Reader) -> None:
        found = await ask(reader)

        assert (found["looked_at"], found["is_sample"]) == (looked_at, is_sample)
        assert found["looked_since"] == iso(now - looked_at * _SECOND)

    query_model.with_reader(
        database, [said(now - number * _SECOND, "report", _DB) for number in range(1, there + 1)], test
    )


def test_too_many_questions_are_refused(database: str) -> None:
    """Eight are answered, one after the other; who asks meanwhile is told to come again."""

    async def test(reader: Reader) -> None:
        services, question = Services(reader), AskedServices.model_validate({})
        since, until = question.range(time.time_ns() // 1000)
        asking = (services.answer(question.filters(since, until), since, until) for _ in range(12))
        found = await asyncio.gather(*asking, return_exceptions=True)

        assert [type(each) for each in found] == [dict] * 8 + [TooMany] * 4

    query_model.with_reader(database, [], test)


def test_first_schema_is_brought_up_to_date(database: str) -> None:
    """A database of the release before gets the index when it is opened; its records stay, and are found by it."""
    now = time.time_ns() // 1000
    row = said(now - _SECOND, "report", _DB)

    async def with_first_schema() -> None:
        store = store_of(database)
        await store.open()
        await store.add(Batch([row]))
        await store.close()
        undone = "DROP INDEX logs_by_health; DELETE FROM schema_version WHERE version = 2"
        if database.startswith("postgresql"):
            import asyncpg

            connection = await asyncpg.connect(database, server_settings={"search_path": "concurrent_log"})
            await connection.execute(undone)
            await connection.close()
        else:
            with contextlib.closing(sqlite3.connect(database)) as other, other:
                other.executescript(undone)

    async def test(reader: Reader) -> None:
        assert (await ask(reader))["looked_at"] == 2

    asyncio.run(with_first_schema())
    query_model.with_reader(database, [row], test)


def test_records_of_monitors_are_found_without_looking_at_the_others(database: str) -> None:
    """They have an index of their own, however many other records there are."""
    now = time.time_ns() // 1000
    others = [
        query_model.row(created_at=now - number * _SECOND, logger="shop", message="m") for number in range(50_000)
    ]

    async def with_many() -> None:
        store = store_of(database)
        await store.open()
        reader = reader_of(store)
        try:
            await store.add(Batch(others))
            await store.add(Batch([said(now - number * _MINUTE, "report", _DB) for number in range(700)]))
            question = AskedServices.model_validate({"since": "7d"})
            for filters in (
                question.filters(now - 7 * _DAY, now),
                AskedServices.model_validate({"host": ["web-1"]}).filters(0, now),
            ):
                statement = query.page(reader.dialect, filters, limit=100, newest_first=True, after=None)
                assert await work(store, statement) < 1500
        finally:
            await reader.close()
            await store.close()

    asyncio.run(with_many())


def test_index_is_of_the_logger_that_monitors_use() -> None:
    """The name is written in four places, of which none can ask another."""
    files = [sql for database in ("sqlite", "postgres") for _, sql in migrations(database)[1:2]]

    assert query.HEALTH == LOGGER
    assert [f"WHERE logger = '{LOGGER}'" in sql for sql in files] == [True, True]
    page = Path(query.__file__).parents[2] / "web" / "query.js"
    assert f'"{LOGGER}"' in page.read_text(encoding="utf-8")


# A real monitor, and a real collector.


@contextlib.contextmanager
def watching(folder: Path, url: str, service: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a program that watches a database, in ``folder``."""
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


def test_service_that_goes_down_and_comes_back_is_told_in_order(tmp_path: Path) -> None:
    """Of a real monitor, also that it was stopped, or, where it was killed, that it is silent."""
    with (
        Server(tmp_path, str(tmp_path / "logs.sqlite3")) as server,
        watching(tmp_path, server.url, "shop") as shop,
        watching(tmp_path, server.url, "mailer") as mailer,
    ):

        def statuses(**parameters: str) -> dict[str, list[str]]:
            question = "&".join(f"{name}={value}" for name, value in parameters.items())
            found = server.get(f"/services?{question}")["programs"]
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
        assert (shop.wait(40), mailer.wait(40)) == (-signal.SIGKILL, 0)
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
        course = ["unknown", "healthy", "degraded", "unhealthy", "healthy"]
        assert statuses(until=later) == {"shop": [*course, "silent"], "mailer": [*course, "stopped"]}

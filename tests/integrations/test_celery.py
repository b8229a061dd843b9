"""Celery, started for real: a main process and four in its pool, all of which write one log file."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.processes import PROGRAMS, Server, assert_quiet, run, serving
from support.record_counter import (
    Record,
    assert_exactly_once,
    assert_in_order,
    backups,
    ids,
    read_back,
    records_of,
    source_counts,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the prefork pool needs fork")

_OF_TASK = re.compile(r"Task errands\.work\[(\w+)\]")
_PROCESSES = 5  # the main one, and those of its pool
_COMPLAINT = "[Errno 13] no backup can be made"


@pytest.fixture(autouse=True)
def _celery(require: Callable[[str], None]) -> None:
    require("celery")


@pytest.fixture(params=["filesystem", "redis"])
def _broker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "redis":
        url, prefix = request.getfixturevalue("redis_keys")
        monkeypatch.setenv("BROKER_URL", url)
        monkeypatch.setenv("BROKER_KEYS", prefix)


@contextmanager
def _celery_in(folder: Path, application: str = "errands") -> Iterator[Server]:
    options = ["--pool", "prefork", "--concurrency", "4", "--without-gossip", "--without-mingle"]
    options += ["--loglevel", "INFO"]
    with serving(folder, lambda fd: ["-m", "celery", "--app", application, "worker", *options]) as server:
        yield server


def _send(folder: Path, task: str, *sources: str) -> list[str]:
    return run(folder, str(PROGRAMS / "errands.py"), task, *sources).split() or list(sources)


def _told(server: Server) -> dict[str, int]:
    return source_counts(server.output)


def _all_records(log_file: Path) -> list[Record]:
    """Return the records of all files in their order, whatever their periods."""
    return [record for path in (*backups(log_file), log_file) for record in records_of(path)]


def _of_app(records: list[Record]) -> list[Record]:
    return [record for record in records if record.logger == "app"]


def _of_tasks(records: list[Record], event: str) -> list[Record]:
    return [record for record in records if f" {event}" in record.message and _OF_TASK.match(record.message)]


def _task(record: Record) -> str:
    found = _OF_TASK.match(record.message)
    assert found
    return found[1]


@pytest.mark.usefixtures("_broker")
def test_pool_and_main_process_lose_nothing(tmp_path: Path) -> None:
    """P1, P2: records of tasks, and Celery's own where they begin and end, stand in their periods (HAZARDS 1.2, 5)."""
    log_file = tmp_path / "app.log"

    with _celery_in(tmp_path) as server:
        sent = _send(tmp_path, "work")
        server.wait_until(lambda: len(_told(server)) == len(sent))
        server.stop()
    records = read_back(log_file)
    received, succeeded = _of_tasks(records, "received"), _of_tasks(records, "succeeded")

    assert_exactly_once(_of_app(records), ids(dict.fromkeys(sent, 5)))
    assert_in_order(_of_app(records))
    assert sorted(_task(record) for record in received) == sorted(sent)
    assert {record.process for record in received} == {server.process.pid}
    assert sorted(_task(record) for record in succeeded) == sorted(sent)
    assert len(backups(log_file)) >= 2


def test_killed_pool_process_takes_no_record_with_it(tmp_path: Path) -> None:
    """P1: a process of the pool is killed amid its records; the others log on (HAZARDS 5)."""
    with _celery_in(tmp_path) as server:
        _send(tmp_path, "work_until_killed", "killed")
        sent = _send(tmp_path, "work_long", *"abcdefgh")
        server.wait_until(lambda: _told(server).keys() >= set(sent))
        server.stop()
    records, told = read_back(tmp_path / "app.log"), _told(server)

    assert any("signal 9" in record.message for record in records)
    assert all(told.values())
    assert_exactly_once(_of_app(records), ids(told), possible={f"killed-{told['killed']}"})
    assert_in_order(_of_app(records))


def test_soft_time_limit_amid_records_loses_no_other(tmp_path: Path) -> None:
    """P1, P4: the limit is raised by a signal inside the handler; only the record under way may miss (HAZARDS 3.C4)."""
    with _celery_in(tmp_path) as server:
        sent = _send(tmp_path, "work_overtime", *"abcdefgh")
        server.wait_until(lambda: _told(server).keys() >= set(sent))
    assert_quiet(server.output)
    records, told = _all_records(tmp_path / "app.log"), _told(server)
    under_way = {f"{source}-{count}" for source, count in told.items()}

    assert_exactly_once(_of_app(records), ids(told), possible=under_way)
    assert_in_order(_of_app(records))


def test_soft_time_limit_inside_a_rollover_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P1, P4: Celery logs before it interrupts the task that has the lock, and may not wait for ever (HAZARDS 3.C4)."""
    monkeypatch.setenv("LOCK_TIMEOUT", "0.5")
    log_file = tmp_path / "app.log"

    with _celery_in(tmp_path) as server:
        _send(tmp_path, "work_in_slow_rollover", "slow")
        server.wait_until(lambda: "stuck in a rollover" in server.output)
        sent = _send(tmp_path, "work_long", *"abc")
        server.wait_until(lambda: _told(server).keys() >= {"slow", "reported", *sent})
    told = _told(server)
    reported = told.pop("reported")

    assert reported == 1
    assert_exactly_once(_of_app(_all_records(log_file)), ids(told))
    assert_in_order(_of_app(_all_records(log_file)))


@pytest.mark.parametrize(("redirection", "place"), [("plain", "log"), ("wrapped", "output")])
def test_rollover_that_fails_is_told_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redirection: str, place: str
) -> None:
    """P4: standard error is a logger that uses the handler, or Celery replaces ``handleError`` (HAZARDS 5)."""
    monkeypatch.setenv("REDIRECTED", redirection)
    log_file, broken = tmp_path / "app.log", tmp_path / "broken"
    broken.touch()

    with _celery_in(tmp_path) as server:
        sent = _send(tmp_path, "work_long", *"abcd")
        server.wait_until(lambda: _complaints(tmp_path, server)[place])
        broken.unlink()
        server.wait_until(lambda: _told(server).keys() >= set(sent))
    records, complaints = _all_records(log_file), _complaints(tmp_path, server)

    assert_exactly_once(_of_app(records), ids(_told(server)))
    assert_in_order(_of_app(records))
    assert 1 <= complaints.pop(place) <= _PROCESSES
    assert complaints.popitem()[1] == 0


def _complaints(folder: Path, server: Server) -> dict[str, int]:
    log = "".join(path.read_text("utf-8") for path in folder.glob("app.log*"))
    return {"log": log.count(_COMPLAINT), "output": server.output.count(_COMPLAINT)}


@pytest.mark.usefixtures("_broker")
@pytest.mark.parametrize("worker", ["thread", "process"])
def test_warm_shutdown_writes_what_waits_in_the_background(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worker: str
) -> None:
    """P1: processes of the pool end with os._exit, which runs no exit callback; all that tasks logged is there."""
    monkeypatch.setenv("BACKGROUND_WORKER", worker)

    with _celery_in(tmp_path, "errands_background") as server:
        sent = _send(tmp_path, "work", *"abcdefgh")
        server.wait_until(lambda: _told(server).keys() >= set(sent))
        server.stop()
    records = _all_records(tmp_path / "app.log")
    succeeded = _of_tasks(records, "succeeded")

    assert_exactly_once(_of_app(records), ids(dict.fromkeys(sent, 5)))
    assert_in_order(_of_app(records))
    assert sorted(_task(record) for record in succeeded) == sorted(sent)


def test_soft_time_limit_inside_the_handing_over_loses_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P1, P4: the limit is raised by a signal inside the logging call; only that record may miss."""
    monkeypatch.setenv("BACKGROUND_WORKER", "thread")

    with _celery_in(tmp_path, "errands_background") as server:
        sent = _send(tmp_path, "work_overtime", *"abcdefgh")
        server.wait_until(lambda: _told(server).keys() >= set(sent))
        server.stop()
    records, told = _all_records(tmp_path / "app.log"), _told(server)
    under_way = {f"{source}-{count}" for source, count in told.items()}

    assert_exactly_once(_of_app(records), ids(told), possible=under_way)
    assert_in_order(_of_app(records))

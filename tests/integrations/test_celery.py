"""Celery in real processes: its main process and four pool processes write one log file."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the prefork pool needs fork"),
]

_TASK_EVENT = re.compile(r"Task errands\.work\[(\w+)\]")
_PROCESSES = 5  # the main process and four in the pool
_ERROR = "[Errno 13] no backup can be made"


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
def _celery_in(folder: Path, application: str = "errands", pool: str = "prefork") -> Iterator[Server]:
    options = ["--pool", pool, "--concurrency", "4", "--without-gossip", "--without-mingle"]
    options += ["--loglevel", "INFO"]
    with serving(folder, lambda fd: ["-m", "celery", "--app", application, "worker", *options]) as server:
        yield server


def _send(folder: Path, task: str, *sources: str) -> list[str]:
    return run(folder, str(PROGRAMS / "errands.py"), task, *sources).split() or list(sources)


def _reported(server: Server) -> dict[str, int]:
    return source_counts(server.output)


def _all_records(log_file: Path) -> list[Record]:
    """Return the records of all files in their order, without checking their periods."""
    return [record for path in (*backups(log_file), log_file) for record in records_of(path)]


def _log_text(folder: Path) -> str:
    texts = []
    for path in folder.glob("app.log*"):
        with suppress(FileNotFoundError):  # A rollover may just have renamed it.
            texts.append(path.read_text("utf-8"))
    return "".join(texts)


def _of_app(records: list[Record]) -> list[Record]:
    return [record for record in records if record.logger == "app"]


def _of_tasks(records: list[Record], event: str) -> list[Record]:
    return [record for record in records if f" {event}" in record.message and _TASK_EVENT.match(record.message)]


def _task_id(record: Record) -> str:
    found = _TASK_EVENT.match(record.message)
    assert found
    return found[1]


@pytest.mark.usefixtures("_broker")
def test_pool_and_main_process_lose_no_record(tmp_path: Path) -> None:
    """P1, P2: the records of tasks, and Celery's own records about them, are in the files of their periods."""
    log_file = tmp_path / "app.log"

    with _celery_in(tmp_path) as server:
        sent = _send(tmp_path, "work")
        server.wait_until(lambda: len(_reported(server)) == len(sent))
        server.stop()
    records = read_back(log_file)
    received, succeeded = _of_tasks(records, "received"), _of_tasks(records, "succeeded")

    assert_exactly_once(_of_app(records), ids(dict.fromkeys(sent, 5)))
    assert_in_order(_of_app(records))
    assert sorted(_task_id(record) for record in received) == sorted(sent)
    assert {record.process for record in received} == {server.process.pid}
    assert sorted(_task_id(record) for record in succeeded) == sorted(sent)
    assert len(backups(log_file)) >= 2


def test_killed_pool_process_loses_no_record(tmp_path: Path) -> None:
    """P1: a pool process is killed while it logs, and the others continue."""
    with _celery_in(tmp_path) as server:
        _send(tmp_path, "work_until_killed", "killed")
        sent = _send(tmp_path, "work_long", *"abcdefgh")
        server.wait_until(lambda: _reported(server).keys() >= set(sent))
        # Celery notices a killed process only while it is not shutting down; a shutdown would wait for the lost task.
        server.wait_until(lambda: "signal 9" in _log_text(tmp_path))
        server.stop()
    records, counts = read_back(tmp_path / "app.log"), _reported(server)

    assert any("signal 9" in record.message for record in records)
    assert all(counts.values())
    assert_exactly_once(_of_app(records), ids(counts), possible={f"killed-{counts['killed']}"})
    assert_in_order(_of_app(records))


def test_soft_time_limit_during_logging_loses_no_other_record(tmp_path: Path) -> None:
    """P1, P4: a signal handler raises the limit inside our handler; only the current record may be lost."""
    with _celery_in(tmp_path) as server:
        sent = _send(tmp_path, "work_overtime", *"abcdefgh")
        server.wait_until(lambda: _reported(server).keys() >= set(sent))
    assert_quiet(server.output)
    records, counts = _all_records(tmp_path / "app.log"), _reported(server)
    interrupted = {f"{source}-{count}" for source, count in counts.items()}

    assert_exactly_once(_of_app(records), ids(counts), possible=interrupted)
    assert_in_order(_of_app(records))


def test_soft_time_limit_during_a_rollover_blocks_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P1, P4: Celery logs before it interrupts the task that holds the lock; its record must not wait indefinitely."""
    monkeypatch.setenv("LOCK_TIMEOUT", "0.5")
    log_file = tmp_path / "app.log"

    with _celery_in(tmp_path) as server:
        _send(tmp_path, "work_in_slow_rollover", "slow")
        server.wait_until(lambda: "stuck in a rollover" in server.output)
        sent = _send(tmp_path, "work_long", *"abc")
        server.wait_until(lambda: _reported(server).keys() >= {"slow", "reported", *sent})
    counts = _reported(server)
    reported = counts.pop("reported")

    assert reported == 1
    assert_exactly_once(_of_app(_all_records(log_file)), ids(counts))
    assert_in_order(_of_app(_all_records(log_file)))


@pytest.mark.parametrize(("redirection", "place"), [("plain", "log"), ("wrapped", "output")])
def test_failing_rollover_is_reported_once_per_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redirection: str, place: str
) -> None:
    """P4: also if standard error is a logger with our handler, or if Celery replaces ``handleError``."""
    monkeypatch.setenv("REDIRECTED", redirection)
    log_file, broken = tmp_path / "app.log", tmp_path / "broken"
    broken.touch()

    with _celery_in(tmp_path) as server:
        sent = _send(tmp_path, "work_long", *"abcd")
        server.wait_until(lambda: _count_errors(tmp_path, server)[place])
        broken.unlink()
        server.wait_until(lambda: _reported(server).keys() >= set(sent))
    records, errors = _all_records(log_file), _count_errors(tmp_path, server)

    assert_exactly_once(_of_app(records), ids(_reported(server)))
    assert_in_order(_of_app(records))
    assert 1 <= errors.pop(place) <= _PROCESSES
    assert errors.popitem()[1] == 0


def _count_errors(folder: Path, server: Server) -> dict[str, int]:
    return {"log": _log_text(folder).count(_ERROR), "output": server.output.count(_ERROR)}


@pytest.mark.usefixtures("_broker")
@pytest.mark.parametrize("worker", ["thread", "process"])
def test_warm_shutdown_writes_all_queued_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worker: str) -> None:
    """P1: pool processes exit with os._exit, which runs no exit callbacks; all records of the tasks are written."""
    monkeypatch.setenv("BACKGROUND_WORKER", worker)

    with _celery_in(tmp_path, "errands_background") as server:
        sent = _send(tmp_path, "work", *"abcdefgh")
        server.wait_until(lambda: _reported(server).keys() >= set(sent))
        server.stop()
    records = _all_records(tmp_path / "app.log")
    succeeded = _of_tasks(records, "succeeded")

    assert_exactly_once(_of_app(records), ids(dict.fromkeys(sent, 5)))
    assert_in_order(_of_app(records))
    assert sorted(_task_id(record) for record in succeeded) == sorted(sent)


@pytest.mark.parametrize("worker", ["thread", "process"])
@pytest.mark.parametrize("pool", ["gevent", "threads"])
def test_pool_of_greenlets_or_threads_loses_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: str, worker: str
) -> None:
    """P1, P8: all tasks run in one process, which celery patches before it imports the application."""
    if pool == "gevent":
        pytest.importorskip("gevent")
    monkeypatch.setenv("BACKGROUND_WORKER", worker)

    with _celery_in(tmp_path, "errands_background", pool) as server:
        sent = _send(tmp_path, "work", *"abcdefgh")
        server.wait_until(lambda: _reported(server).keys() >= set(sent))
        server.stop()

    assert_exactly_once(_of_app(_all_records(tmp_path / "app.log")), ids(dict.fromkeys(sent, 5)))


def test_soft_time_limit_in_a_background_logging_call_loses_no_other_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P1, P4: a signal handler raises the limit inside the logging call; only that record may be lost."""
    monkeypatch.setenv("BACKGROUND_WORKER", "thread")

    with _celery_in(tmp_path, "errands_background") as server:
        sent = _send(tmp_path, "work_overtime", *"abcdefgh")
        server.wait_until(lambda: _reported(server).keys() >= set(sent))
        server.stop()
    records, counts = _all_records(tmp_path / "app.log"), _reported(server)
    interrupted = {f"{source}-{count}" for source, count in counts.items()}

    assert_exactly_once(_of_app(records), ids(counts), possible=interrupted)
    assert_in_order(_of_app(records))

"""gunicorn in real processes: four forked workers under load write one log file that rolls over each second."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.processes import Load, Server, serving
from support.programs.writing import FORMAT
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

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn needs fork")

_BY_NAME = "concurrent_log.ConcurrentTimedRotatingFileHandler"
_REGISTERED = "logging.handlers.ConcurrentTimedRotatingFileHandler"

_PATIENT = ["--timeout", "120", "--graceful-timeout", "120"]  # seconds: a busy machine must meet them

_CONFIGURATION = """
{first_line}

workers = 4
timeout = graceful_timeout = 120
accesslog = "-"
access_log_format = "GET %(U)s"
logconfig_dict = {{
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {{"line": {{"format": "{format}"}}}},
    "handlers": {{
        "file": {{
            "class": "{handler}",
            "filename": "app.log",
            "when": "S",
            "utc": True,
            "formatter": "line",
        }},
    }},
    "root": {{"level": "INFO", "handlers": []}},
    "loggers": {{
        "app": {{"level": "INFO", "handlers": ["file"]}},
        "gunicorn.error": {{"level": "INFO", "handlers": ["file"], "propagate": False}},
        "gunicorn.access": {{"level": "INFO", "handlers": ["file"], "propagate": False}},
    }},
}}
"""


@pytest.fixture(autouse=True)
def _gunicorn(require: Callable[[str], None]) -> None:
    require("gunicorn")


@contextmanager
def _gunicorn_in(folder: Path, handler: str = _BY_NAME) -> Iterator[Server]:
    first_line = "import concurrent_log" if handler == _REGISTERED else ""
    configuration = _CONFIGURATION.format(first_line=first_line, handler=handler, format=FORMAT)
    (folder / "gunicorn.conf.py").write_text(configuration, encoding="utf-8")
    with serving(folder, lambda fd: ["-m", "gunicorn", "--bind", f"fd://{fd}", "wsgi"]) as server:
        yield server


def _rolls_over(log_file: Path, times: int = 1) -> Callable[[], bool]:
    wanted = len(backups(log_file)) + times
    return lambda: len(backups(log_file)) >= wanted


def _gets_another_response(load: Load) -> Callable[[], bool]:
    seen = len(load.answered)
    return lambda: len(load.answered) > seen


def _of(records: list[Record], logger: str) -> list[Record]:
    return [record for record in records if record.logger == logger]


@pytest.mark.parametrize("handler", [_BY_NAME, pytest.param(_REGISTERED, marks=pytest.mark.slow)])
def test_workers_lose_no_record_over_rollovers(tmp_path: Path, handler: str) -> None:
    """P1, P2, P6: each record of each request and of the access log is there once, in the file of its period."""
    log_file = tmp_path / "app.log"

    with _gunicorn_in(tmp_path, handler) as server:
        with Load(server.port) as load:
            server.wait_until(_rolls_over(log_file, times=2))
            server.wait_until(lambda: len(load.workers) == 4)
        server.stop()
    records = read_back(log_file)

    assert not load.unanswered
    assert_exactly_once(_of(records, "app"), load.ids(load.answered))
    assert_in_order(_of(records, "app"))
    assert_exactly_once(_of(records, "gunicorn.access"), load.answered)
    assert {record.process for record in _of(records, "app")} == load.workers


@pytest.mark.slow
def test_reopening_on_usr1_loses_no_record(tmp_path: Path) -> None:
    """P1, P6: on USR1, gunicorn closes and reopens the stream of every handler, also while a record is written."""
    log_file = tmp_path / "app.log"

    with _gunicorn_in(tmp_path) as server:
        with Load(server.port) as load:
            server.wait_until(lambda: len(load.workers) == 4)
            rolled_over = _rolls_over(log_file, times=2)
            while not rolled_over():
                server.process.send_signal(signal.SIGUSR1)
                server.wait_until(_gets_another_response(load))
        server.stop()
    records = read_back(log_file)

    assert not load.unanswered
    assert_exactly_once(_of(records, "app"), load.ids(load.answered))
    assert_exactly_once(_of(records, "gunicorn.access"), load.answered)
    assert any(record.message == "Handling signal: usr1" for record in _of(records, "gunicorn.error"))


@pytest.mark.slow
def test_logrotate_with_usr1_loses_no_record(tmp_path: Path) -> None:
    """P1, P6: a rename and then USR1, as logrotate does it; the renamed file and the new ones contain all records."""
    log_file, renamed = tmp_path / "app.log", tmp_path / "renamed.log"

    with _gunicorn_in(tmp_path) as server:
        with Load(server.port) as load:
            server.wait_until(lambda: len(load.workers) == 4)
            log_file.rename(renamed)
            server.process.send_signal(signal.SIGUSR1)
            server.wait_until(_rolls_over(log_file))
        server.stop()
    records = [*records_of(renamed), *read_back(log_file)]

    assert not load.unanswered
    assert_exactly_once(_of(records, "app"), load.ids(load.answered))
    assert_exactly_once(_of(records, "gunicorn.access"), load.answered)


@pytest.mark.slow
def test_killed_worker_loses_no_answered_request(tmp_path: Path) -> None:
    """P1: workers are killed under load; each request with a response is in the log once, and rollovers continue."""
    log_file = tmp_path / "app.log"

    with _gunicorn_in(tmp_path) as server:
        with Load(server.port) as load:
            server.wait_until(lambda: len(load.workers) == 4)
            first = sorted(load.workers)
            for worker in first[:2]:
                os.kill(worker, signal.SIGKILL)
                server.wait_until(_rolls_over(log_file))
            server.wait_until(lambda: len(load.workers) == 6)
        server.stop()
    records = read_back(log_file)

    assert_exactly_once(_of(records, "app"), load.ids(load.answered), possible=load.ids(load.unanswered))


@pytest.mark.slow
def test_handler_created_before_the_fork_loses_no_record(tmp_path: Path) -> None:
    """P1: with --preload, the arbiter opens the file, and one of its threads logs while it forks the workers."""
    log_file = tmp_path / "app.log"
    arguments = ["-m", "gunicorn", *_PATIENT, "--preload", "--workers", "4", "wsgi_own_logging"]

    with serving(tmp_path, lambda fd: [*arguments, "--bind", f"fd://{fd}"]) as server:
        with Load(server.port) as load:
            server.wait_until(_rolls_over(log_file, times=2))
            server.wait_until(lambda: len(load.workers) == 4)
        server.stop()
    records = read_back(log_file)
    from_arbiter = [record for record in records if record.process == server.process.pid]
    from_workers = [record for record in records if record.process != server.process.pid]
    count = source_counts(server.output)["background"]

    assert not load.unanswered
    assert_exactly_once(from_workers, load.ids(load.answered))
    assert_exactly_once(from_arbiter, {"imported-0"} | ids({"background": count}), possible={f"background-{count}"})
    assert_in_order(records)


@pytest.mark.slow
def test_reload_on_hup_loses_no_record(tmp_path: Path) -> None:
    """P1, P6: HUP replaces all workers under load; each request with a response is in the log once."""
    log_file = tmp_path / "app.log"

    with _gunicorn_in(tmp_path) as server:
        with Load(server.port) as load:
            server.wait_until(lambda: len(load.workers) == 4)
            server.process.send_signal(signal.SIGHUP)
            server.wait_until(_rolls_over(log_file))
            server.wait_until(lambda: len(load.workers) == 8)
        server.stop()
    records = read_back(log_file)

    assert_exactly_once(_of(records, "app"), load.ids(load.answered), possible=load.ids(load.unanswered))


@pytest.mark.slow
def test_shutdown_under_load_loses_no_answered_request(tmp_path: Path) -> None:
    """P1: TERM arrives while requests are in flight; each request with a response is in the log once."""
    log_file = tmp_path / "app.log"

    with _gunicorn_in(tmp_path) as server, Load(server.port) as load:
        server.wait_until(lambda: len(load.workers) == 4)
        server.wait_until(_rolls_over(log_file))
        server.stop()
    records = read_back(log_file)

    assert_exactly_once(_of(records, "app"), load.ids(load.answered), possible=load.ids(load.unanswered))
    assert _of(records, "gunicorn.error")[-1].message.startswith("Shutting down")


@pytest.mark.slow
@pytest.mark.parametrize("worker", ["thread", "process"])
def test_background_handler_created_before_the_fork_loses_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worker: str
) -> None:
    """P1: the arbiter logs in the background while it forks; USR1 and TERM arrive under load."""
    monkeypatch.setenv("BACKGROUND_WORKER", worker)
    log_file = tmp_path / "app.log"
    arguments = ["-m", "gunicorn", *_PATIENT, "--preload", "--workers", "4", "wsgi_background"]

    with serving(tmp_path, lambda fd: [*arguments, "--bind", f"fd://{fd}"]) as server:
        with Load(server.port) as load:
            server.wait_until(_rolls_over(log_file))
            server.process.send_signal(signal.SIGUSR1)
            server.wait_until(_rolls_over(log_file))
            server.wait_until(lambda: len(load.workers) == 4)
        server.stop()
    records = [record for path in (*backups(log_file), log_file) for record in records_of(path)]
    from_arbiter = [record for record in records if record.process == server.process.pid]
    from_workers = [record for record in records if record.process != server.process.pid]
    count = source_counts(server.output)["background"]

    assert not load.unanswered
    assert_exactly_once(from_workers, load.ids(load.answered))
    assert_exactly_once(from_arbiter, {"imported-0"} | ids({"background": count}), possible={f"background-{count}"})

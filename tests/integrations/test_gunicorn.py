"""gunicorn, started for real: four forked workers under load on one log file that rolls over each second."""

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

_CONFIGURATION = """
{first_line}

workers = 4
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


def _answers_more(load: Load) -> Callable[[], bool]:
    seen = len(load.answered)
    return lambda: len(load.answered) > seen


def _of(records: list[Record], logger: str) -> list[Record]:
    return [record for record in records if record.logger == logger]


@pytest.mark.parametrize("handler", [_BY_NAME, _REGISTERED])
def test_four_workers_lose_nothing_over_rollovers(tmp_path: Path, handler: str) -> None:
    """P1, P2, P6: each record of each request, and each of the access log, is there once, in its own period."""
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


def test_reopening_on_usr1_under_load_loses_nothing(tmp_path: Path) -> None:
    """P1, P6: gunicorn closes and reopens every handler's stream on USR1, also in the middle of a record."""
    log_file = tmp_path / "app.log"

    with _gunicorn_in(tmp_path) as server:
        with Load(server.port) as load:
            server.wait_until(lambda: len(load.workers) == 4)
            rolled_over = _rolls_over(log_file, times=2)
            while not rolled_over():
                server.process.send_signal(signal.SIGUSR1)
                server.wait_until(_answers_more(load))
        server.stop()
    records = read_back(log_file)

    assert not load.unanswered
    assert_exactly_once(_of(records, "app"), load.ids(load.answered))
    assert_exactly_once(_of(records, "gunicorn.access"), load.answered)
    assert any(record.message == "Handling signal: usr1" for record in _of(records, "gunicorn.error"))


def test_file_moved_away_and_usr1_under_load_lose_nothing(tmp_path: Path) -> None:
    """P1, P6: what logrotate does, a rename and then USR1; the moved file and the new ones together are complete."""
    log_file, moved = tmp_path / "app.log", tmp_path / "moved.log"

    with _gunicorn_in(tmp_path) as server:
        with Load(server.port) as load:
            server.wait_until(lambda: len(load.workers) == 4)
            log_file.rename(moved)
            server.process.send_signal(signal.SIGUSR1)
            server.wait_until(_rolls_over(log_file))
        server.stop()
    records = [*records_of(moved), *read_back(log_file)]

    assert not load.unanswered
    assert_exactly_once(_of(records, "app"), load.ids(load.answered))
    assert_exactly_once(_of(records, "gunicorn.access"), load.answered)


def test_killed_worker_takes_no_answered_request_with_it(tmp_path: Path) -> None:
    """P1: a worker is killed under load; whatever got a response is in the log once, and others roll on."""
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


def test_handler_made_before_the_fork_loses_nothing(tmp_path: Path) -> None:
    """P1: with --preload, the arbiter opens the file, and a thread of it logs while it forks the workers."""
    log_file = tmp_path / "app.log"
    arguments = ["-m", "gunicorn", "--preload", "--workers", "4", "wsgi_own_logging"]

    with serving(tmp_path, lambda fd: [*arguments, "--bind", f"fd://{fd}"]) as server:
        with Load(server.port) as load:
            server.wait_until(_rolls_over(log_file, times=2))
            server.wait_until(lambda: len(load.workers) == 4)
        server.stop()
    records = read_back(log_file)
    of_arbiter = [record for record in records if record.process == server.process.pid]
    of_workers = [record for record in records if record.process != server.process.pid]
    told = source_counts(server.output)["background"]

    assert not load.unanswered
    assert_exactly_once(of_workers, load.ids(load.answered))
    assert_exactly_once(of_arbiter, {"imported-0"} | ids({"background": told}), possible={f"background-{told}"})
    assert_in_order(records)


def test_reload_on_hup_under_load_loses_nothing(tmp_path: Path) -> None:
    """P1, P6: HUP replaces all workers under load; each answered request is in the log once."""
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


def test_stopping_under_load_loses_no_answered_request(tmp_path: Path) -> None:
    """P1: TERM comes while requests are under way; each one that got its response is in the log once."""
    log_file = tmp_path / "app.log"

    with _gunicorn_in(tmp_path) as server, Load(server.port) as load:
        server.wait_until(lambda: len(load.workers) == 4)
        server.wait_until(_rolls_over(log_file))
        server.stop()
    records = read_back(log_file)

    assert_exactly_once(_of(records, "app"), load.ids(load.answered), possible=load.ids(load.unanswered))
    assert _of(records, "gunicorn.error")[-1].message.startswith("Shutting down")


@pytest.mark.parametrize("worker", ["thread", "process"])
def test_background_handler_made_before_the_fork_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worker: str
) -> None:
    """P1: the arbiter logs in the background while it forks; USR1 and TERM come under load; all of it is written."""
    monkeypatch.setenv("BACKGROUND_WORKER", worker)
    log_file = tmp_path / "app.log"
    arguments = ["-m", "gunicorn", "--preload", "--workers", "4", "wsgi_background"]

    with serving(tmp_path, lambda fd: [*arguments, "--bind", f"fd://{fd}"]) as server:
        with Load(server.port) as load:
            server.wait_until(_rolls_over(log_file))
            server.process.send_signal(signal.SIGUSR1)
            server.wait_until(_rolls_over(log_file))
            server.wait_until(lambda: len(load.workers) == 4)
        server.stop()
    records = [record for path in (*backups(log_file), log_file) for record in records_of(path)]
    of_arbiter = [record for record in records if record.process == server.process.pid]
    of_workers = [record for record in records if record.process != server.process.pid]
    told = source_counts(server.output)["background"]

    assert not load.unanswered
    assert_exactly_once(of_workers, load.ids(load.answered))
    assert_exactly_once(of_arbiter, {"imported-0"} | ids({"background": told}), possible={f"background-{told}"})

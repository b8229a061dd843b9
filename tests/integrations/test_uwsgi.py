"""uWSGI in real processes: its master process imports the application and then forks the workers."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.processes import Load, Server, serving
from support.record_counter import assert_exactly_once, assert_in_order, backups, read_back

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uWSGI needs fork")


@pytest.fixture(autouse=True)
def _uwsgi(require: Callable[[str], None]) -> None:
    require("pyuwsgi")


@contextmanager
def _uwsgi_in(folder: Path, *options: str) -> Iterator[Server]:
    start = "import pyuwsgi; pyuwsgi.run()"
    common = ["--master", "--die-on-term", "--need-app", "--module", "wsgi_configured"]
    with serving(folder, lambda fd: ["-c", start, "--http-socket", f"fd://{fd}", *common, *options]) as server:
        yield server


def _rolls_over(log_file: Path, times: int = 1) -> Callable[[], bool]:
    wanted = len(backups(log_file)) + times
    return lambda: len(backups(log_file)) >= wanted


@pytest.mark.parametrize(
    ("options", "workers"),
    [pytest.param(["--processes", "4"], 4, marks=pytest.mark.slow), (["--processes", "2", "--threads", "2"], 2)],
)
def test_workers_forked_after_the_import_lose_no_record(tmp_path: Path, options: list[str], workers: int) -> None:
    """P1, P2: the master creates and uses the handler, and forks in C, which may skip Python's fork hooks."""
    log_file = tmp_path / "app.log"

    with _uwsgi_in(tmp_path, *options) as server:
        with Load(server.port) as load:
            server.wait_until(_rolls_over(log_file, times=2))
            server.wait_until(lambda: len(load.workers) == workers)
        server.stop()
    records = read_back(log_file)
    from_master = [record.id for record in records if record.process == server.process.pid]

    assert not load.unanswered
    assert from_master == ["imported-0"]
    assert_exactly_once(records, load.ids(load.answered) | {"imported-0"})
    assert_in_order(records)


@pytest.mark.slow
def test_killed_workers_lose_no_answered_request(tmp_path: Path) -> None:
    """P1: workers are killed under load; each request with a response is in the log once, and new workers continue."""
    log_file = tmp_path / "app.log"

    with _uwsgi_in(tmp_path, "--processes", "4") as server:
        with Load(server.port) as load:
            server.wait_until(lambda: len(load.workers) == 4)
            for worker in sorted(load.workers)[:2]:
                os.kill(worker, signal.SIGKILL)
                server.wait_until(_rolls_over(log_file))
            server.wait_until(lambda: len(load.workers) == 6)
        server.stop()
    records = read_back(log_file)

    expected = load.ids(load.answered) | {"imported-0"}
    assert_exactly_once(records, expected, possible=load.ids(load.unanswered))


@pytest.mark.slow
def test_harakiri_during_a_rollover_loses_no_record(tmp_path: Path) -> None:
    """P1, P4: uWSGI kills a slow worker that holds the exclusive lock; rollovers continue."""
    log_file = tmp_path / "app.log"

    with _uwsgi_in(tmp_path, "--processes", "4") as server:
        with Load(server.port) as load:
            server.wait_until(lambda: len(load.workers) == 4)
            with socket.create_connection(("127.0.0.1", server.port)) as stuck:
                stuck.sendall(b"GET /stuck HTTP/1.0\r\n\r\n")
                server.wait_until(lambda: "stuck in a rollover" in server.output)
                server.wait_until(lambda: "HARAKIRI" in server.output)
            server.wait_until(_rolls_over(log_file, times=2))
            server.wait_until(lambda: len(load.workers) == 5)
        server.stop()
    records = read_back(log_file)

    assert not load.unanswered
    assert_exactly_once(records, load.ids(load.answered) | {"imported-0"})

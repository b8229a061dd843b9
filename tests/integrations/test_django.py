"""Django in real processes: its development server, and a management command beside web workers."""

import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.processes import PROGRAMS, Load, run, serving
from support.record_counter import Record, assert_exactly_once, assert_in_order, backups, ids, read_back, source_counts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the server is stopped by a signal"),
]


@pytest.fixture(autouse=True)
def _django(require: Callable[[str], None]) -> None:
    require("django")


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_development_server_and_its_reloader_lose_no_record(tmp_path: Path) -> None:
    """P1, P2: two processes have the file open, and a change of a source file replaces one of them."""
    log_file, port = tmp_path / "app.log", _free_port()
    project = shutil.copytree(PROGRAMS / "shop", tmp_path / "shop")
    arguments = ["-m", "django", "runserver", "--settings", "shop.settings", f"127.0.0.1:{port}"]

    with serving(tmp_path, lambda fd: arguments) as server:
        server.wait_until(lambda: _is_listening(port))
        with Load(port, "ab") as load:
            server.wait_until(_rolls_over(log_file, times=2))
            os.utime(project / "urls.py")
            server.wait_until(lambda: len(source_counts(server.output)) == 3)
        server.wait_until(lambda: _is_listening(port))
        with Load(port, "cd") as later:
            server.wait_until(_rolls_over(log_file))
        server.stop()
    records = read_back(log_file)
    counts = source_counts(server.output)  # from the reloader, and from the server before and after the reload
    answered, unanswered = load.answered | later.answered, load.unanswered | later.unanswered
    unreported = {f"{source}-{count}" for source, count in counts.items()}

    assert not later.unanswered
    assert len(load.workers | later.workers) == 2
    assert_exactly_once(_of(records, "app"), load.ids(answered) | ids(counts), load.ids(unanswered) | unreported)
    assert_in_order(_of(records, "app"))
    last = _last(load.answered) | _last(later.answered)  # The server logs a request after its response.
    assert_exactly_once(_of(records, "django.server"), answered - last, unanswered | last)


def test_management_command_beside_web_workers_loses_no_record(tmp_path: Path, require: Callable[[str], None]) -> None:
    """P1, P2: commands start, log and exit while three web workers log; each process configures LOGGING itself."""
    require("gunicorn")
    log_file = tmp_path / "app.log"
    arguments = ["-m", "gunicorn", "--workers", "3", "shop.wsgi"]

    with serving(tmp_path, lambda fd: [*arguments, "--bind", f"fd://{fd}"]) as server:
        with Load(server.port) as load:
            server.wait_until(lambda: len(load.workers) == 3)
            output = "".join(_restock(tmp_path, source) for source in ("first", "second"))
        server.stop()
    records = read_back(log_file)

    assert not load.unanswered
    assert all(source_counts(output).values())
    assert_exactly_once(_of(records, "app"), load.ids(load.answered) | ids(source_counts(output)))
    assert_in_order(_of(records, "app"))


def _last(requests: set[str]) -> set[str]:
    """Return the last request of each client."""
    newest = {request[0]: request for request in sorted(requests, key=lambda request: int(request[1:]))}
    return set(newest.values())


def _restock(folder: Path, source: str) -> str:
    return run(folder, "-m", "django", "restock", source, "--settings", "shop.settings")


def _rolls_over(log_file: Path, times: int = 1) -> Callable[[], bool]:
    wanted = len(backups(log_file)) + times
    return lambda: len(backups(log_file)) >= wanted


def _of(records: list[Record], logger: str) -> list[Record]:
    return [record for record in records if record.logger == logger]

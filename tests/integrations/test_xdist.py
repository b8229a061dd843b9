"""pytest-xdist in real processes: its workers log to one file that rolls over each second."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.processes import PROGRAMS, run
from support.record_counter import assert_all_there, assert_exactly_once, assert_in_order, ids, read_back, source_counts

_WORKERS = 4
_TESTS = 8

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _xdist(require: Callable[[str], None]) -> None:
    require("xdist")


def _run_suite(folder: Path, *options: str, status: int = 0) -> str:
    shutil.copy(PROGRAMS / "xdist_suite.py", folder / "test_suite.py")
    arguments = ["-m", "pytest", "-p", "xdist.plugin", "--numprocesses", str(_WORKERS), *options]
    # Each of the five processes would otherwise import every pytest plugin of the environment.
    return run(folder, *arguments, status=status, variables={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})


def test_workers_lose_no_record(tmp_path: Path) -> None:
    """P1, P2: tests in four workers log while pytest captures output and installs its own handlers."""
    log_file = tmp_path / "app.log"

    output = _run_suite(tmp_path, "-k", "not killed")

    assert f"{_TESTS} passed" in output
    assert_all_there(log_file, (tmp_path / "reports.txt").read_text("utf-8"), sources=_TESTS)
    assert len({record.process for record in read_back(log_file)}) == _WORKERS


@pytest.mark.skipif(sys.platform == "win32", reason="a worker is killed by a signal")
def test_crash_of_a_worker_loses_no_record(tmp_path: Path) -> None:
    """P1: a worker is killed while it logs, and pytest-xdist replaces it."""
    output = _run_suite(tmp_path, status=1)
    records = read_back(tmp_path / "app.log")
    counts = source_counts((tmp_path / "reports.txt").read_text("utf-8"))

    assert "replacing crashed worker" in output
    assert len(counts) == _TESTS + 1
    assert_exactly_once(records, ids(counts), possible={f"killed-{counts['killed']}"})
    assert_in_order(records)

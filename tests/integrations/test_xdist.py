"""pytest-xdist, started for real: its workers log into one file that rolls over each second."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.processes import PROGRAMS, run
from support.record_counter import assert_all_there, assert_exactly_once, assert_in_order, ids, read_back, source_counts

_WORKERS = 4
_TESTS = 8


@pytest.fixture(autouse=True)
def _xdist(require: Callable[[str], None]) -> None:
    require("xdist")


def _run_suite(folder: Path, *options: str, status: int = 0) -> str:
    shutil.copy(PROGRAMS / "suite.py", folder / "test_suite.py")
    return run(folder, "-m", "pytest", "--numprocesses", str(_WORKERS), *options, status=status)


def test_workers_lose_nothing(tmp_path: Path) -> None:
    """P1, P2: tests in four workers log while pytest captures output, and has handlers of its own (HAZARDS 5)."""
    log_file = tmp_path / "app.log"

    output = _run_suite(tmp_path, "-k", "not killed")

    assert f"{_TESTS} passed" in output
    assert_all_there(log_file, (tmp_path / "told.txt").read_text("utf-8"), sources=_TESTS)
    assert len({record.process for record in read_back(log_file)}) == _WORKERS


@pytest.mark.skipif(sys.platform == "win32", reason="a worker is killed by a signal")
def test_crashed_worker_takes_no_record_with_it(tmp_path: Path) -> None:
    """P1: one worker is killed amid its records, and another one takes its place (HAZARDS 5)."""
    output = _run_suite(tmp_path, status=1)
    records = read_back(tmp_path / "app.log")
    told = source_counts((tmp_path / "told.txt").read_text("utf-8"))

    assert "replacing crashed worker" in output
    assert len(told) == _TESTS + 1
    assert_exactly_once(records, ids(told), possible={f"killed-{told['killed']}"})
    assert_in_order(records)

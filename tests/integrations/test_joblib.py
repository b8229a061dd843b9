"""joblib with loky: its worker processes run many tasks each, and write one log file."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.processes import PROGRAMS, run
from support.record_counter import assert_all_there, assert_exactly_once, assert_in_order, ids, read_back, source_counts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="a worker is killed by a signal"),
]

_WORKERS = 4


@pytest.fixture(autouse=True)
def _joblib(require: Callable[[str], None]) -> None:
    require("joblib")


@pytest.mark.parametrize("way", ["configuration", "argument"])
def test_reused_workers_lose_no_record(tmp_path: Path, way: str) -> None:
    """P1, P2: each task in a worker configures logging again, or brings its own pickled handler."""
    log_file = tmp_path / "app.log"

    output = run(tmp_path, str(PROGRAMS / "joblib_tasks.py"), way)

    assert_all_there(log_file, output, sources=8)
    assert len({record.process for record in read_back(log_file)}) == _WORKERS


def test_killed_worker_loses_no_record(tmp_path: Path, program: Callable[[str], str]) -> None:
    """P1: a worker is killed while it logs, joblib kills the others, and new workers continue."""
    if importlib.util.find_spec("psutil") is None:
        program("pgrep")  # With neither of them, joblib kills no worker, and waits for them indefinitely.
    output = run(tmp_path, str(PROGRAMS / "joblib_tasks.py"), "killed")
    records, counts = read_back(tmp_path / "app.log"), source_counts(output)
    unreported = {f"{source}-{count}" for source, count in counts.items()}

    assert "the pool broke" in output
    assert counts.keys() >= {"a", *(f"{source}{number}" for source in "abcd" for number in range(2))}
    assert_exactly_once(records, ids(counts), possible=unreported)
    assert_in_order(records)

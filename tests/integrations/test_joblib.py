"""joblib, with the workers of loky: processes that are used again for many tasks, on one log file."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.processes import PROGRAMS, run
from support.record_counter import assert_all_there, assert_exactly_once, assert_in_order, ids, read_back, told_counts

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a worker is killed by a signal")

_WORKERS = 4


@pytest.fixture(autouse=True)
def _joblib(require: Callable[[str], None]) -> None:
    require("joblib")


@pytest.mark.parametrize("way", ["configuration", "argument"])
def test_workers_that_are_used_again_lose_nothing(tmp_path: Path, way: str) -> None:
    """P1, P2: each task of a worker configures logging anew, or brings a pickled handler of its own (HAZARDS 5)."""
    log_file = tmp_path / "app.log"

    output = run(tmp_path, str(PROGRAMS / "crew.py"), way)

    assert_all_there(log_file, output, sources=8)
    assert len({record.process for record in read_back(log_file)}) == _WORKERS


def test_killed_worker_takes_no_record_with_it(tmp_path: Path, program: Callable[[str], str]) -> None:
    """P1: one worker is killed amid its records, joblib kills the others, and new workers log on (HAZARDS 5)."""
    if importlib.util.find_spec("psutil") is None:
        program("pgrep")  # With neither of them, joblib kills no worker, and waits for them indefinitely.
    output = run(tmp_path, str(PROGRAMS / "crew.py"), "killed")
    records, told = read_back(tmp_path / "app.log"), told_counts(output)
    untold = {f"{source}-{count}" for source, count in told.items()}

    assert "the pool broke" in output
    assert told.keys() >= {"a", *(f"{source}{number}" for source in "abcd" for number in range(2))}
    assert_exactly_once(records, ids(told), possible=untold)
    assert_in_order(records)

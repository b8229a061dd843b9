"""Programs of several processes, with every start method of Python, on one log file."""

import multiprocessing
import os
from pathlib import Path

import pytest

from support.processes import PROGRAMS, run
from support.record_counter import assert_all_there
from support.selection import first_quick

_needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")


@pytest.mark.parametrize("way", first_quick(["initializer", "argument"]))
@pytest.mark.parametrize("start_method", first_quick(multiprocessing.get_all_start_methods()))
def test_executor_loses_nothing(tmp_path: Path, start_method: str, way: str) -> None:
    """P1, P2: workers of every start method share the file, by name in a configuration or as a pickled handler."""
    output = run(tmp_path, str(PROGRAMS / "executor.py"), start_method, way)

    assert_all_there(tmp_path / "app.log", output, sources=4)


def test_pool_loses_nothing_when_its_workers_are_terminated(tmp_path: Path) -> None:
    """P1: multiprocessing.Pool ends its workers with SIGTERM; each record they logged is there once."""
    output = run(tmp_path, str(PROGRAMS / "pool.py"))

    assert_all_there(tmp_path / "app.log", output, sources=4)


def test_children_that_exit_abruptly_lose_nothing(tmp_path: Path) -> None:
    """P1: no record is in a buffer when a child ends by os._exit, which closes no handler."""
    output = run(tmp_path, str(PROGRAMS / "children.py"))

    assert_all_there(tmp_path / "app.log", output, sources=4)


@pytest.mark.slow
@_needs_fork
def test_fork_beside_logging_threads_loses_nothing(tmp_path: Path) -> None:
    """P1: twenty children are forked while threads of the parent are inside the handler that they all use."""
    output = run(tmp_path, str(PROGRAMS / "forking.py"))

    assert_all_there(tmp_path / "app.log", output, sources=23)

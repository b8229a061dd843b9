"""Tests of somebody's own, each of which logs; pytest-xdist hands them out to its workers."""

import os

import pytest
import writing


@pytest.fixture(scope="session", autouse=True)
def _logging() -> None:
    writing.configure()


@pytest.fixture
def told() -> int:
    """Return the descriptor of a file for what is told, since a worker's standard output is pytest's."""
    return os.open("told.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)


@pytest.mark.parametrize("number", range(8))
def test_logs(number: int, told: int, caplog: pytest.LogCaptureFixture) -> None:
    """Log, while pytest has handlers of its own."""
    writing.tell(writing.log_over_rollover(f"test{number}"), told)


def test_is_killed(told: int) -> None:
    """Log, and end the worker, as a crash of C code does."""
    writing.log_and_tell("killed", told, is_killed=True)

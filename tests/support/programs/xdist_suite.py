"""A test suite in which each test logs; pytest-xdist distributes the tests to its workers."""

import os

import pytest
import writing


@pytest.fixture(scope="session", autouse=True)
def _logging() -> None:
    writing.configure()


@pytest.fixture
def reports() -> int:
    """Return the descriptor of a file for the reports: pytest uses the standard output of its workers."""
    return os.open("reports.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)


@pytest.mark.parametrize("number", range(8))
def test_logs(number: int, reports: int, caplog: pytest.LogCaptureFixture) -> None:
    """Log while pytest has its own handlers."""
    writing.report(writing.log_over_rollover(f"test{number}"), reports)


def test_is_killed(reports: int) -> None:
    """Log, and kill the worker, as a crash of C code would."""
    writing.log_and_report("killed", reports, is_killed=True)

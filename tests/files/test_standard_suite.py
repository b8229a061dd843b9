"""CPython's own tests of its file handlers, run with our classes in their place (P6)."""

import json
import os
import pathlib
import subprocess
import sys
import unittest

import pytest

from support.selection import first_quick

theirs = pytest.importorskip("test.test_logging", reason="this Python was installed without its test suite")

# In a separate process: the standard tests reset the root logger, which pytest uses.
_RUN = """
import json, logging, logging.handlers, sys, types, unittest
import concurrent_log
from unittest import mock
from test import test_logging as theirs

class Outcomes(unittest.TestResult):
    seen = {}
    def startTest(self, test):
        self.seen[test.id().split(".", 2)[2]] = "passed"
    def addError(self, test, error):
        self.seen[test.id().split(".", 2)[2]] = self._exc_info_to_string(error, test)
    addFailure = addError
    def addSkip(self, test, reason):
        self.seen[test.id().split(".", 2)[2]] = "skipped: " + reason

Ours = concurrent_log.ConcurrentTimedRotatingFileHandler
logging.handlers.TimedRotatingFileHandler = Ours
logging.handlers.RotatingFileHandler = concurrent_log.ConcurrentRotatingFileHandler
# Used only by the test itself: the standard handlers build on the class of this name.
named = types.SimpleNamespace(**{**vars(logging), "FileHandler": Ours})
theirs.FileHandlerTest.test_delay = mock.patch.object(theirs, "logging", named)(theirs.FileHandlerTest.test_delay)
names = ["test.test_logging." + name for name in sys.argv[1:]]
unittest.TestLoader().loadTestsFromNames(names).run(Outcomes())
print(json.dumps(Outcomes.seen))
"""

_ROTATING = [
    f"{case.__name__}.{name}"
    for case in (theirs.RotatingFileHandlerTest, theirs.TimedRotatingFileHandlerTest)
    for name in unittest.TestLoader().getTestCaseNames(case)
]
# Tests that our handlers fail on purpose, and how; docs/migrating.md lists the differences for users.
_DIFFERENT = {
    # Where a backup of that name exists, the standard class keeps the records in the log file until the next rollover
    # (CPython gh-159690), and a backup has the records of two periods. Ours numbers the new backup: each record is in
    # the file of its own period (P2), and the existing backup stays as it is (P3).
    "TimedRotatingFileHandlerTest.test_rollover_existing_backup": r"AssertionError: 'b\n' != 'a\nb\n'",
}
# FileHandlerTest's other test needs mode="w", which empties a file that other processes write.
_NAMES = [*_ROTATING, "FileHandlerTest.test_delay"]
_SAME = [name for name in _NAMES if name not in _DIFFERENT]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Run all of them once."""
    folder: pathlib.Path = tmp_path_factory.mktemp("standard")
    run = subprocess.run(
        [sys.executable, "-c", _RUN, *_NAMES],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(run.stdout.splitlines()[-1]))


@pytest.mark.parametrize("name", _SAME)
def test_passes_the_standard_test(name: str, outcomes: dict[str, str]) -> None:
    """P6: our handlers pass CPython's tests of its own handlers, on this Python."""
    assert outcomes[name] == "passed"


@pytest.mark.parametrize("name", _DIFFERENT)
def test_differs_from_the_standard_test_on_purpose(name: str, outcomes: dict[str, str]) -> None:
    """P3: the handler differs as `_DIFFERENT` states, and in nothing else."""
    if name not in outcomes:
        pytest.skip("this Python's test suite does not have this test")

    assert _DIFFERENT[name] in outcomes[name]


@pytest.mark.parametrize(
    "name",
    first_quick(["RotatingFileHandlerTest.test_rollover_filenames", "TimedRotatingFileHandlerTest.test_rollover"]),
)
def test_the_standard_class_was_replaced(name: str) -> None:
    """P6: the tests above can fail; with handlers that never roll over, these do."""
    broken = _RUN.replace(
        "names =",
        "concurrent_log.files.rollover.Mover.begin = lambda self, start, found: False\nnames =",
    )
    run = subprocess.run(
        [sys.executable, "-c", broken, name],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "AssertionError" in run.stdout

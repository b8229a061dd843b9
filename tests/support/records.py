"""Handlers and records for the tests: with chosen times, so that no test has to wait."""

import calendar
import itertools
import logging
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from concurrent_log import ConcurrentRotatingFileHandler, ConcurrentTimedRotatingFileHandler
from concurrent_log.dated import DatedFileHandler
from concurrent_log.files.lock_file import LockFile
from support.deadlines import DEADLINE

TEN = calendar.timegm((2024, 5, 17, 10, 0, 0))  # 2024-05-17 10:00:00 UTC, a Friday
HOUR, DAY = 3600, 86400


class _Watching(logging.Handler):
    """Stores the errors that a handler reports instead of printing them."""

    problems: list[BaseException]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.problems = []
        super().__init__(*args, **kwargs)

    def handleError(self, record: logging.LogRecord) -> None:
        """Store the exception that is being handled."""
        error = sys.exc_info()[1]
        assert error is not None
        self.problems.append(error)


class Watched(_Watching, ConcurrentTimedRotatingFileHandler):
    """The timed handler, with its reported errors."""


class WatchedBySize(_Watching, ConcurrentRotatingFileHandler):
    """The handler that rolls over by size, with its reported errors."""


class WatchedByDay(_Watching, DatedFileHandler):
    """The handler of dated files, with its reported errors."""


def record(message: str, created: float | None = None) -> logging.LogRecord:
    """Return a record of ``message``, created at that time, or now."""
    made = logging.LogRecord("test", logging.INFO, __file__, 1, message, None, None)
    if created is not None:
        made.created = created
        made.msecs = int((created % 1) * 1000)
    return made


def write(handler: logging.Handler, message: str, created: float | None = None) -> None:
    """Log one record through ``handler``."""
    handler.handle(record(message, created))


def lines(path: pathlib.Path) -> list[str]:
    """Return the lines of a file."""
    return path.read_text(encoding="utf-8").splitlines()


def files(folder: pathlib.Path) -> dict[str, list[str]]:
    """Return the lines of all files in ``folder`` except the lock files, by name."""
    return {
        path.name: lines(path) for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")
    }


def all_lines(folder: pathlib.Path) -> list[str]:
    """Return the lines of all files in ``folder`` except the lock files."""
    return list(itertools.chain.from_iterable(files(folder).values()))


def wait_until(holds: Callable[[], bool], seconds: float = DEADLINE) -> None:
    """Wait for another process until ``holds`` returns true; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"the condition was false for {seconds} seconds"
        time.sleep(0.005)


def as_in_another_process(handler: Any) -> None:
    """Give ``handler`` a lock file of its own, so that it excludes the other handlers of this process."""
    stream, handler._log_file.stream = handler._log_file.stream, None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LockFile, "at", LockFile)
        handler._attach(handler.baseFilename)
    handler._log_file.stream = stream

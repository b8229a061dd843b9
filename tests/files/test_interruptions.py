"""A signal handler closes, reopens, rolls over or uses the log file at any line of the code that writes a record."""

import logging
import os
import pathlib
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

import concurrent_log
from concurrent_log import ConcurrentRotatingFileHandler

PACKAGE = os.path.dirname(concurrent_log.__file__)
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the exclusive lock is needed for each record there")


class StandardStream(ConcurrentRotatingFileHandler):
    """A subclass that opens the file itself, with a buffer."""

    def _open(self) -> Any:
        return open(self.baseFilename, "a", encoding=self.encoding)


class Interruption:
    """Calls ``act`` at the line ``number`` of the package; a trace function stands for the signal handler."""

    def __init__(self, number: int, act: Callable[[], object]) -> None:
        self._left = number
        self._act = act
        self.line = ""

    def trace(self, frame: FrameType, event: str, argument: object) -> Any:
        """Count the lines of the package."""
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line":
            self._left -= 1
            if not self._left:
                # The interpreter does not trace what a trace function calls.
                self.line = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                self._act()
        return self.trace


def close(handler: logging.FileHandler) -> None:
    """Close the handler."""
    handler.close()


def reopen(handler: logging.FileHandler) -> None:
    """Reopen the log file as gunicorn does."""
    handler.close()
    handler.stream = handler._open()


def close_stream(handler: logging.FileHandler) -> None:
    """Close the stream, and leave it to the handler."""
    if handler.stream is not None:
        handler.stream.close()


def roll_over(handler: logging.FileHandler) -> None:
    """Roll over."""
    handler.doRollover()  # type: ignore[attr-defined]


def set_aside(handler: logging.FileHandler) -> None:
    """Close the files as if the process had too many of them."""
    handler._log_writer.set_aside()  # type: ignore[attr-defined]


def log(handler: logging.FileHandler) -> None:
    """Log a record."""
    handler.handle(logging.makeLogRecord({"msg": "of the signal"}))


@pytest.mark.parametrize("act", [close, reopen, close_stream, roll_over, set_aside, log])
@pytest.mark.parametrize("kind", [ConcurrentRotatingFileHandler, StandardStream])
@pytest.mark.parametrize("before", [[], ["first"]], ids=["slow path", "straight path"])
def test_no_record_is_lost_or_doubled_by_an_interruption(
    tmp_path: pathlib.Path,
    kind: type[ConcurrentRotatingFileHandler],
    act: Callable[[logging.FileHandler], None],
    before: list[str],
) -> None:
    """Whatever the signal handler does, each record is in the file once, and no error is reported."""
    number = 0
    while True:
        number += 1
        path = tmp_path / f"{number}.log"
        handler = kind(path, maxBytes=100_000, backupCount=1)
        failed: list[BaseException | None] = []
        handler.handleError = lambda record, failed=failed: failed.append(sys.exc_info()[1])  # type: ignore[assignment, misc]
        for text in before:
            handler.handle(logging.makeLogRecord({"msg": text}))
        interruption = Interruption(number, lambda handler=handler: act(handler))  # type: ignore[misc]
        record = logging.makeLogRecord({"msg": "interrupted"})
        previous = sys.gettrace()
        sys.settrace(interruption.trace)
        try:
            handler.handle(record)
        finally:
            sys.settrace(previous)
        handler.handle(logging.makeLogRecord({"msg": "last"}))
        handler.close()
        found = [
            line
            for file in (tmp_path / f"{number}.log.1", path)
            if file.exists()
            for line in file.read_text().splitlines()
        ]
        assert not failed, interruption.line
        assert [line for line in found if line != "of the signal"] == [*before, "interrupted", "last"], (
            interruption.line
        )
        for file in tmp_path.iterdir():
            file.unlink()
        if not interruption.line:
            break
    assert number > 20

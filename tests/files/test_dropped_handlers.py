"""Descriptors of the handler that the program closed, or uses for another file, and those of dropped handlers."""

import fcntl
import gc
import logging
import os
import pathlib
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator

import pytest

from concurrent_log import ConcurrentRotatingFileHandler, ConcurrentTimedRotatingFileHandler
from concurrent_log.dated import DatedFileHandler

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="descriptors are handles there")

Create = Callable[[pathlib.Path], logging.FileHandler]

HANDLERS: list[Create] = [
    lambda folder: ConcurrentRotatingFileHandler(folder / "app.log", maxBytes=10_000, backupCount=1),
    lambda folder: ConcurrentTimedRotatingFileHandler(folder / "app.log", "midnight", maxBytes=10_000),
    lambda folder: DatedFileHandler(folder),
]
all_handlers = pytest.mark.parametrize("create", HANDLERS, ids=["by size", "by time", "dated"])


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Turn the garbage collection off."""
    gc.disable()
    yield
    gc.enable()


def record(text: str) -> logging.LogRecord:
    """Return a record with this message."""
    return logging.makeLogRecord({"msg": text})


def test_nothing_goes_to_a_file_of_the_program_when_the_log_cannot_be_opened_again(tmp_path: pathlib.Path) -> None:
    """The number of the log's descriptor is a file of the program, and the log's path is a folder."""
    path, other = tmp_path / "app.log", tmp_path / "other"
    handler = ConcurrentRotatingFileHandler(path, maxBytes=10_000, backupCount=1)
    reported: list[logging.LogRecord] = []
    handler.handleError = reported.append  # type: ignore[method-assign]
    handler.handle(record("first"))
    number = handler.stream.fileno()
    fd = os.open(other, os.O_RDWR | os.O_CREAT)
    os.dup2(fd, number)
    path.unlink()
    path.mkdir()
    handler.handle(record("second"))
    assert other.read_bytes() == b""
    assert reported
    path.rmdir()
    handler.handle(record("third"))
    assert path.read_text() == "third\n"
    assert other.read_bytes() == b""
    os.fstat(number)
    os.close(number)
    os.close(fd)
    handler.close()


def test_a_lock_of_the_program_survives_when_its_file_has_our_numbers(tmp_path: pathlib.Path) -> None:
    """The program closed the log and the lock file, and has its own locked file at both numbers."""
    handler = ConcurrentRotatingFileHandler(tmp_path / "app.log", maxBytes=10_000, backupCount=1)
    handler.handle(record("first"))
    numbers = handler.stream.fileno(), handler._lock_file.fd
    mine = tmp_path / "mine.lock"
    fd = os.open(mine, os.O_RDWR | os.O_CREAT)
    for number in numbers:
        os.dup2(fd, number)
    fcntl.flock(fd, fcntl.LOCK_EX)
    handler.handle(record("second"))
    program = f"import fcntl; fcntl.flock(open({str(mine)!r}), fcntl.LOCK_SH | fcntl.LOCK_NB)"
    found = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, check=False)
    assert "BlockingIOError" in found.stderr
    assert (tmp_path / "app.log").read_text() == "first\nsecond\n"
    for number in (fd, *numbers):
        os.close(number)
    handler.close()


@all_handlers
def test_a_dropped_handler_gives_back_its_descriptors_at_once(
    tmp_path: pathlib.Path, create: Create, no_collection: None
) -> None:
    """No reference cycle keeps them until the next garbage collection."""
    before = set(os.listdir("/dev/fd"))
    handler = create(tmp_path)
    handler.handle(record("first"))
    reference = weakref.ref(handler)
    del handler
    assert reference() is None
    assert len(os.listdir("/dev/fd")) == len(before)


def test_backups_of_a_dropped_handler_are_compressed(tmp_path: pathlib.Path) -> None:
    """The thread that compresses keeps the handler alive."""
    handler = ConcurrentTimedRotatingFileHandler(tmp_path / "app.log", "midnight", maxBytes=100, use_gzip=True)
    for _ in range(3):
        handler.handle(record("x" * 60))
    del handler
    give_up_at = time.monotonic() + 30
    while len(list(tmp_path.glob("*.gz"))) < 2:
        assert time.monotonic() < give_up_at
        time.sleep(0.01)

"""The process that writes: the handlers and records that it receives."""

import itertools
import logging
import pathlib
import threading

import pytest

from concurrent_log import ConcurrentTimedRotatingFileHandler
from concurrent_log.background import process_writer
from concurrent_log.background.exact_snapshot import Snapshot
from concurrent_log.background.process_writer import ProcessWriter
from concurrent_log.background.snapshot import take_snapshot
from support.background_handlers import Create, logger_of
from support.deadlines import DEADLINE
from support.records import files, lines, record


@pytest.mark.parametrize("item", [None, threading.Lock()])
def test_filters_select_the_handlers_in_the_process(create: Create, tmp_path: pathlib.Path, item: object) -> None:
    """P6: one of two handlers has a filter; also for a record whose attributes are sent as text."""
    first, second = (logging.FileHandler(tmp_path / name) for name in ("first.log", "second.log"))
    first.addFilter(logging.Filter("other"))
    handler = create(first, second, worker="process")
    logger_of(handler).info("this", extra={"item": item})
    handler.flush()

    assert files(tmp_path) == {"first.log": [], "second.log": ["this"]}


class StrangeError(Exception):
    """Can be pickled, but not unpickled: it needs two arguments, and passes on only one."""

    def __init__(self, subject: str, reason: str) -> None:
        super().__init__(f"{subject} {reason}")


def test_record_that_cannot_be_unpickled_keeps_its_position(tmp_path: pathlib.Path) -> None:
    """P1: batches that were sent after it do not overtake it."""
    handler = ConcurrentTimedRotatingFileHandler(tmp_path / "app.log")
    writer = ProcessWriter([handler])
    for number in range(20):
        each = record(f"{number}")
        if number in (3, 4, 9):
            each.error = StrangeError("a", "b")
        writer.write([_snapshot(each)])
    writer.wait_until_written()
    writer.close(DEADLINE)
    handler.close()

    assert lines(tmp_path / "app.log") == [str(number) for number in range(20)]


def test_process_is_started_again_later(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """P4: if no process can start, the program writes the records itself, warns once, and tries again."""
    handler = ConcurrentTimedRotatingFileHandler(tmp_path / "app.log")
    writer = ProcessWriter([handler])
    now = itertools.count(1000)  # seconds: the retry interval passes again and again
    monkeypatch.setattr(process_writer, "monotonic", lambda: next(now))
    with monkeypatch.context() as patch:
        patch.setattr(process_writer.spawn, "get_executable", lambda: str(tmp_path / "missing"))
        for number in range(200):
            writer.write([_snapshot(record(f"{number}"))])
        assert writer._process is None
    for number in range(200, 300):
        writer.write([_snapshot(record(f"{number}"))])
    writer.wait_until_written()
    assert writer._process is not None
    writer.close(DEADLINE)
    handler.close()

    assert lines(tmp_path / "app.log") == [str(number) for number in range(300)]
    assert capsys.readouterr().err.count("this process writes the records itself") == 1


def _snapshot(record: logging.LogRecord) -> Snapshot:
    snapshot = take_snapshot(record, ())
    assert snapshot is not None
    return snapshot

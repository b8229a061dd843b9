"""Records that reach our handler through a queue with a listener, and records of asyncio tasks."""

import logging
import logging.handlers
import queue
import time
from pathlib import Path

import pytest

from concurrent_log import ConcurrentTimedRotatingFileHandler
from support.processes import PROGRAMS, run
from support.programs.writing import FORMAT
from support.record_counter import assert_all_there, assert_exactly_once, assert_in_order, backups, read_back


def test_records_from_a_queue_are_in_the_files_of_their_periods(tmp_path: Path) -> None:
    """P2: the listener starts after the seconds of all records have passed; each second has its file, in order."""
    log_file = tmp_path / "app.log"
    handler = ConcurrentTimedRotatingFileHandler(log_file, when="S", utc=True)
    handler.setFormatter(logging.Formatter(FORMAT))
    records_queue: queue.Queue[logging.LogRecord] = queue.Queue()
    sender = logging.handlers.QueueHandler(records_queue)
    listener = logging.handlers.QueueListener(records_queue, handler)
    start = float(int(time.time()) - 10)
    for number in range(300):
        record = logging.LogRecord("app", logging.INFO, __file__, 0, "record a-%d  0", (number,), None)
        record.created = start + number / 100
        sender.handle(record)

    listener.start()
    listener.stop()
    handler.close()
    records = read_back(log_file)

    assert_exactly_once(records, {f"a-{number}" for number in range(300)})
    assert_in_order(records)
    assert len(backups(log_file)) == 2


def test_late_record_is_added_to_the_backup_of_its_period(tmp_path: Path) -> None:
    """P2: records that arrive after newer ones are added to the backup of their second."""
    log_file = tmp_path / "app.log"
    handler = ConcurrentTimedRotatingFileHandler(log_file, when="S", utc=True)
    handler.setFormatter(logging.Formatter(FORMAT))
    start = float(int(time.time()) - 10)
    for created, name in [(0, "a-0"), (1, "b-0"), (2, "c-0"), (0.5, "a-1"), (1.5, "b-1"), (2.5, "c-1")]:
        record = logging.LogRecord("app", logging.INFO, __file__, 0, "record %s  0", (name,), None)
        record.created = start + created
        handler.handle(record)

    handler.close()
    records = read_back(log_file)

    assert [record.id for record in records] == ["a-0", "a-1", "b-0", "b-1", "c-0", "c-1"]


@pytest.mark.slow
def test_listener_writes_the_records_of_other_processes(tmp_path: Path) -> None:
    """P1, P2: two processes log into one queue; records that are queued during a rollover are not lost."""
    output = run(tmp_path, str(PROGRAMS / "queue_listener.py"))

    assert_all_there(tmp_path / "app.log", output, sources=2)


@pytest.mark.slow
def test_tasks_of_two_asyncio_programs_lose_no_record(tmp_path: Path) -> None:
    """P1, P2: the tasks of two event loops write the same file."""
    output = run(tmp_path, str(PROGRAMS / "asyncio_tasks.py"), "first")

    assert_all_there(tmp_path / "app.log", output, sources=8)

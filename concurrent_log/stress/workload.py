"""The work of a stress test's processes: log numbered records from many threads, and count them.

The count is stored outside the process, in a `Ledger`, so that it survives a process that is killed.
"""

import functools
import inspect
import logging
import logging.config
import mmap
import os
import pkgutil
import signal
import sys
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

from concurrent_log.stress import sequence
from concurrent_log.stress.sequence import Source

LOGGER = "concurrent_log.stress"
_CELL = 8  # bytes


class Ledger:
    """The number of returned logging calls of each thread, in a file that all processes map into memory.

    The counts of a killed process remain, because the kernel owns the memory. One row is one writer: its first cell is
    the writer's process id, 0 before it starts, and the others are the counts of its threads.
    """

    def __init__(self, path: str, rows: int, threads: int) -> None:
        self.path, self.rows, self.threads = path, rows, threads
        self._width = threads + 1
        with open(path, "ab+") as file:
            file.truncate(rows * self._width * _CELL)
            self._map = mmap.mmap(file.fileno(), rows * self._width * _CELL)
        self._cells = memoryview(self._map).cast("Q")

    def begin(self, row: int) -> None:
        """Record that this process writes ``row``."""
        self._cells[row * self._width] = os.getpid()

    def acknowledge(self, row: int, thread: int, count: int) -> None:
        """Record that ``count`` logging calls of the thread have returned."""
        self._cells[row * self._width + 1 + thread] = count

    def pid(self, row: int) -> int:
        """Return the id of the process that writes ``row``; 0 if none has started."""
        return self._cells[row * self._width]

    def counts(self, row: int) -> list[int]:
        """Return the counts of the threads of ``row``."""
        return self._cells[row * self._width + 1 : (row + 1) * self._width].tolist()

    def total(self) -> int:
        """Return the total number of returned logging calls."""
        return sum(sum(self.counts(row)) for row in range(self.rows))

    def close(self) -> None:
        """Unmap the file."""
        self._cells.release()
        self._map.close()


class Task(NamedTuple):
    """The work of one writer: one thread for each of ``counts``, which logs that number of records."""

    writer: int
    counts: tuple[int, ...]
    ledger: str
    rows: int
    row: int


def run(task: Task) -> None:
    """Run ``task`` in this process, through the logger `LOGGER`."""
    ledger = Ledger(task.ledger, task.rows, len(task.counts))
    ledger.begin(task.row)
    threads = [
        threading.Thread(
            target=_log, name=f"thread-{number}", args=(Source(task.writer, number), count, ledger, task.row)
        )
        for number, count in enumerate(task.counts)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.close()


def _log(source: Source, count: int, ledger: Ledger, row: int) -> None:
    logger = logging.getLogger(LOGGER)
    for number in range(count):
        try:
            logger.log(sequence.level(number), sequence.message(source, number))
        except Exception as error:
            # A handler must not raise into the program that logs. The record counts as logged.
            logger.handlers[0].handleError(logging.makeLogRecord({"msg": error}))
        ledger.acknowledge(row, source.thread, number + 1)


def arguments(class_name: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the arguments ``wanted`` that the handler class accepts.

    Raises:
        ImportError, AttributeError, ValueError: There is no such class.
    """
    parameters = inspect.signature(pkgutil.resolve_name(class_name)).parameters
    accepts_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return {name: value for name, value in wanted.items() if accepts_all or name in parameters}


def configure(class_name: str, options: Mapping[str, Any], errors: str) -> logging.Handler:
    """Configure the handler in this process with `logging.config.dictConfig`, and return it.

    Each error that it reports through ``handleError`` becomes one line in the file ``errors``.

    Raises:
        ValueError: The handler cannot be created; see the cause.
    """
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"default": {"format": sequence.FORMAT, "datefmt": sequence.DATE_FORMAT}},
            "handlers": {"file": {"class": class_name, "formatter": "default", **options}},
            "loggers": {LOGGER: {"handlers": ["file"], "level": "DEBUG", "propagate": False}},
        }
    )
    handler = logging.getLogger(LOGGER).handlers[0]
    setattr(handler, "handleError", functools.partial(_write_error, errors))  # noqa: B010 - mypy forbids the plain form
    return handler


def start_worker(class_name: str, options: Mapping[str, Any], errors: str) -> None:
    """Prepare a worker process: the parent handles Ctrl-C, and a handler created before the fork is used."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not logging.getLogger(LOGGER).handlers:
        configure(class_name, options, errors)


def _write_error(errors: str, record: logging.LogRecord) -> None:
    error = sys.exc_info()[1]
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    with open(errors, "a", encoding="utf-8") as file:
        file.write(f"{type(error).__name__}: {' '.join(text.split())}\n")

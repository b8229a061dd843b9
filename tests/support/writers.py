"""Writer processes that log until they are stopped, and then return the result of each logging call.

For each logging call they store the record's creation time, the time at which the call returned, and whether the
handler reported an error through ``handleError``. `account_for` compares this with the content of the files.

Writers have a fast clock: the second within which a handler notices changes to its file takes ten milliseconds.
"""

import ctypes  # noqa: F401 - a writer that changes its user may not be able to import it later
import functools
import gzip
import logging
import marshal
import multiprocessing
import os
import pathlib
import random
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

import pytest

import concurrent_log
from concurrent_log.stress import sequence
from concurrent_log.stress.sequence import Source
from concurrent_log.stress.workload import Ledger
from support.deadlines import DEADLINE

FAST = 100.0  # speed of the clock
NOTICED = 1.0  # seconds within which a handler notices changes to its file
ROUNDING = 0.01  # seconds by which two readings of the fast clock at one moment may differ

ARMS = pytest.mark.parametrize("keep_file_open", [None, False], ids=["shared", "exclusive"])

# Handlers that stay in one file for the whole of a test, and handlers that roll over all the time. The name of the
# class is an option like the others, so that one more handler is one more line.
_TIMED = {"class_name": "ConcurrentTimedRotatingFileHandler", "utc": True}
STEADY = [pytest.param({**_TIMED, "when": "D"}, id="timed")]
ROLLING = [pytest.param({**_TIMED, "when": "S"}, id="timed-rolling")]

_DONE, _FINE, _REPORTED = range(3)  # columns of the ledger: calls that returned, those without a report, those with one
_real_time = time.time


class Clock:
    """A clock that runs `FAST` times too fast, the same one in each process that uses it.

    It starts a day ago, so that no file time is ahead of it.
    """

    def __init__(self) -> None:
        self._begin = _real_time()

    def time(self) -> float:
        """Return the time of the clock."""
        return self._begin - 86400 + (_real_time() - self._begin) * FAST

    def set(self) -> None:
        """Use it as the clock of this process."""
        time.time = self.time
        time.time_ns = lambda: int(self.time() * 1e9)


class Logged(NamedTuple):
    """One logging call.

    Attributes:
        source: The number of the writer.
        number: The number of the record in the writer.
        created: The creation time of the record.
        returned: The time at which the call returned.
        report: The record as it should be in the file, if the handler reported an error, otherwise "".
    """

    source: int
    number: int
    created: float
    returned: float
    report: str


class Account(NamedTuple):
    """The comparison of the logging calls with the files.

    Attributes:
        logged: All logging calls.
        reported: Those with a reported error.
        lost: Those whose record is in no file, without a report.
        duplicated: Records that are in more than one place.
        unknown: Whole records that were never logged.
        torn: Lines that are not a whole record, by file.
        held: The calls whose records are in each file.
        lines: Whole records: those that were found, and the expected form of the reported ones.
    """

    logged: list[Logged]
    reported: list[Logged]
    lost: list[Logged]
    duplicated: list[tuple[int, int]]
    unknown: list[tuple[int, int]]
    torn: dict[str, list[bytes]]
    held: dict[str, list[Logged]]
    lines: list[bytes]

    def is_perfect(self) -> bool:
        """Return whether every unreported record is in one place, and the files contain nothing else."""
        return not (self.lost or self.duplicated or self.unknown or self.torn)

    def unexplained(self) -> list[bytes]:
        """Return the torn lines that are not the beginning of any record."""
        return [line for lines in self.torn.values() for line in lines if not self._begins_a_record(line)]

    def _begins_a_record(self, piece: bytes) -> bool:
        return any(line.startswith(piece) for line in self.lines)

    def __str__(self) -> str:
        torn = sum(map(len, self.torn.values()))
        return (
            f"{len(self.logged)} logged, {len(self.reported)} reported, {len(self.lost)} lost {self.lost[:3]}, "
            f"{len(self.duplicated)} twice {self.duplicated[:3]}, {len(self.unknown)} unknown, {torn} torn {self.torn}"
        )


class Writers:
    """Writer processes, each of which logs continuously from `start` to `finish`.

    Args:
        notes: A folder for the writers' results, not the one that the test damages.
        log_file: The path that they write to, unless `start` gets another one.
        clock: Their clock.
        options: The handler's arguments, and ``class_name``.
    """

    _ROWS = 8

    def __init__(self, notes: pathlib.Path, log_file: pathlib.Path, clock: Clock, options: dict[str, Any]) -> None:
        self._notes = notes
        self._log_file = log_file
        self._clock = clock
        self._options = {"encoding": "utf-8", **options}
        self._context: Any = multiprocessing.get_context(multiprocessing.get_all_start_methods()[0])
        self._stop = self._context.RawValue("b", 0)  # without a lock, which a killed writer might hold
        self._ledger = Ledger(str(notes / "ledger"), self._ROWS, len((_DONE, _FINE, _REPORTED)))
        self.processes: list[BaseProcess] = []
        self.killed: set[int] = set()

    def start(self, *paths: pathlib.Path, count: int = 3, user: int | None = None, **options: Any) -> None:
        """Start a writer for each of ``paths``, or ``count`` writers, and wait until each has logged something.

        Args:
            paths: Log files.
            count: Number of writers of the default log file if there are no paths.
            user: Id of the user that a writer becomes before it creates its handler.
            options: More arguments for the handler. With ``batch``, writers log batches of up to this size;
                with ``late``, every other batch is late by this number of seconds.
        """
        begun = len(self.processes)
        for path in paths or [self._log_file] * count:
            row = len(self.processes)
            ledger = self._ledger.path, self._ledger.rows, self._ledger.threads
            arguments = row, str(path), {**self._options, **options}, self._clock, ledger, self._journal(row), user
            process = self._context.Process(target=_write, args=(*arguments, self._stop), daemon=True)
            self.processes.append(process)
            process.start()
        self._wait_for_each(_DONE, 20, range(begun, len(self.processes)))

    def wait_for_records(self, each: int) -> None:
        """Wait until each writer has logged this many more records without a report."""
        self._wait_for_each(_FINE, each, self._living())

    def wait_for_calls(self, each: int) -> None:
        """Wait until this many more logging calls of each writer have returned, with or without a report."""
        self._wait_for_each(_DONE, each, self._living())

    def wait_for_any(self, records: int) -> None:
        """Wait until the writers together have logged this many more records without a report."""
        self._wait_until(lambda: sum(self._counts(_FINE)), sum(self._counts(_FINE)) + records)

    def wait_for_reports(self, each: int = 1) -> None:
        """Wait until each writer has this many records with a report, in total."""
        for row in range(len(self.processes)):
            self._wait_until(lambda row=row: self._counts(_REPORTED)[row], each)

    def wait_for_more_reports(self, each: int) -> None:
        """Wait until each writer has this many more records with a report."""
        self._wait_for_each(_REPORTED, each, self._living())

    def wait_for_a_while(self, seconds: float) -> None:
        """Wait for this many seconds of the fast clock, in which each writer checks its file."""
        until = self._clock.time() + seconds
        while self._clock.time() < until:
            self.wait_for_calls(1)

    def reports(self) -> list[int]:
        """Return the number of records with a report, for each writer."""
        return self._counts(_REPORTED)

    def kill(self, row: int) -> None:
        """Kill a writer; of its logging calls, only the number of returned ones is known then."""
        self.killed.add(row)
        self.processes[row].kill()
        self.processes[row].join()

    def finish(self) -> list[Logged]:
        """Stop the writers, and return their logging calls; fail if an exception was raised into a writer."""
        self._stop.value = 1
        for process in self.processes:
            process.join()
        raised = "".join(path.read_text() for path in self._notes.glob("raised-*"))

        assert raised == ""
        rows = range(len(self.processes))
        assert [self.processes[row].exitcode for row in rows if row not in self.killed] == [0] * (
            len(rows) - len(self.killed)
        )
        journals = [self._counted(row) if row in self.killed else self._journaled(row) for row in rows]
        return [
            Logged(row, number, *call) for row, journal in enumerate(journals) for number, call in enumerate(journal)
        ]

    def _journaled(self, row: int) -> Any:
        return marshal.loads(pathlib.Path(self._journal(row)).read_bytes())

    def _counted(self, row: int) -> Any:
        return [(0.0, 0.0, "")] * self._counts(_DONE)[row]

    def kill_all(self) -> None:
        """Kill all remaining processes."""
        for process in self.processes:
            if process.is_alive():
                process.kill()
                process.join()
        self._ledger.close()

    def _journal(self, row: int) -> str:
        return str(self._notes / f"journal-{row}")

    def _counts(self, column: int) -> list[int]:
        return [self._ledger.counts(row)[column] for row in range(len(self.processes))]

    def _living(self) -> list[int]:
        return [row for row in range(len(self.processes)) if row not in self.killed]

    def _wait_for_each(self, column: int, more: int, rows: Sequence[int]) -> None:
        for row, goal in [(row, self._counts(column)[row] + more) for row in rows]:
            self._wait_until(lambda row=row: self._counts(column)[row], goal)

    def _wait_until(self, count: Callable[[], int], goal: int) -> None:
        deadline = time.monotonic() + DEADLINE
        while count() < goal:
            assert all(self.processes[row].is_alive() for row in self._living()), "a writer died"
            assert time.monotonic() < deadline, f"expected {goal} within 60 seconds, got {count()}"
            time.sleep(0.001)


def _write(
    row: int,
    path: str,
    options: dict[str, Any],
    clock: Clock,
    ledger: tuple[str, int, int],
    journal: str,
    user: int | None,
    stop: Any,
) -> None:
    """Run one writer process."""
    with open(journal, "wb") as notes, open(f"{pathlib.Path(journal).parent}/raised-{row}", "w") as raised:
        try:
            clock.set()
            book = Ledger(*ledger)
            book.begin(row)
            if user is not None:
                os.setgid(user)
                os.setuid(user)
            options = dict(options)
            batch, late = options.pop("batch", 0), options.pop("late", 0.0)
            handler = getattr(concurrent_log, options.pop("class_name"))(path, **options)
            handler.setFormatter(logging.Formatter(sequence.FORMAT, sequence.DATE_FORMAT))
            log = functools.partial(_log_batches, size=batch, late=late) if batch else _log
            marshal.dump(log(handler, row, book, stop), notes)
            handler.close()
        except BaseException:
            raised.write(traceback.format_exc())
            raise


def _log(handler: logging.Handler, row: int, book: Ledger, stop: Any) -> list[tuple[float, float, str]]:
    calls: list[tuple[float, float, str]] = []
    created, report, reported = 0.0, "", 0

    def note_creation(record: logging.LogRecord) -> bool:
        nonlocal created
        created = record.created
        return True

    def note_report(record: logging.LogRecord) -> None:
        nonlocal report
        report = handler.format(record)

    handler.handleError = note_report  # type: ignore[method-assign]
    logger = logging.Logger("writer")
    logger.addHandler(handler)
    logger.addFilter(note_creation)
    while not stop.value:
        number, report = len(calls), ""
        logger.log(sequence.level(number), sequence.message(Source(row, 0), number))
        calls.append((created, time.time(), report))
        reported += bool(report)
        _acknowledge(book, row, len(calls), reported)
    return calls


def _log_batches(
    handler: Any, row: int, book: Ledger, stop: Any, size: int, late: float
) -> list[tuple[float, float, str]]:
    calls: list[tuple[float, float, str]] = []
    reports: dict[int, str] = {}
    handler.handleError = lambda record: reports.update({record.number: handler.format(record)})
    is_late = False
    while not stop.value:
        is_late = bool(late) and not is_late
        records = []
        for number in range(len(calls), len(calls) + random.randint(1, size)):
            text = sequence.message(Source(row, 0), number)
            record: Any = logging.LogRecord("writer", sequence.level(number), __file__, 1, text, None, None)
            record.number = number
            record.created -= late * is_late
            records.append(record)
        handler.emit_batch(records)
        returned = time.time()
        calls += [(record.created, returned, reports.get(record.number, "")) for record in records]
        _acknowledge(book, row, len(calls), len(reports))
    return calls


def _acknowledge(book: Ledger, row: int, done: int, reported: int) -> None:
    book.acknowledge(row, _REPORTED, reported)
    book.acknowledge(row, _FINE, done - reported)
    book.acknowledge(row, _DONE, done)


def account_for(logged: Sequence[Logged], contents: Iterable[tuple[str, bytes]]) -> Account:
    """Compare the logging calls with the ``contents`` of all files, by name."""
    calls = {(call.source, call.number): call for call in logged}
    places: Counter[tuple[int, int]] = Counter()
    torn: dict[str, list[bytes]] = {}
    held: dict[str, list[Logged]] = {}
    lines = [call.report.encode() for call in logged if call.report]
    for name, content in contents:
        for line in content.splitlines(keepends=True):
            entry = sequence.parse(line.removesuffix(b"\n")) if line.endswith(b"\n") else None
            if entry is None:
                torn.setdefault(name, []).append(line.removesuffix(b"\n"))
                continue
            key = entry.source.writer, entry.number
            places[key] += 1
            lines.append(line)
            if key in calls:
                held.setdefault(name, []).append(calls[key])
    return Account(
        logged=list(logged),
        reported=[call for call in logged if call.report],
        lost=[call for key, call in calls.items() if key not in places and not call.report],
        duplicated=[key for key, count in places.items() if count > 1],
        unknown=[key for key in places if key not in calls],
        torn=torn,
        held=held,
        lines=lines,
    )


def contents_of(*folders: pathlib.Path) -> list[tuple[str, bytes]]:
    """Return the content of all files in ``folders`` except the lock files, each file once even with several names."""
    files = {}
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
                status = path.stat()
                files[status.st_dev, status.st_ino] = path
    return [(str(path), _content(path)) for path in files.values()]


def _content(path: pathlib.Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if path.suffix == ".gz" else content

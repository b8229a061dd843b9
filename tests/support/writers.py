"""Writer processes that log until they are told to stop, and then say what became of each of their records.

Each logging call is remembered: when its record was created, when the call returned, and whether the handler
reported something through ``handleError``. `account_for` holds that against what stands in the files.

Time flies for writers: the second within which a handler notices what others did to its file takes ten milliseconds.
"""

import ctypes  # noqa: F401 - what the handler imports later, a user who may not read Python's library cannot
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

FAST = 100.0  # times the speed of time
NOTICED = 1.0  # seconds within which a handler notices what others did to its file
ROUNDING = 0.01  # seconds by which times of one moment may differ that a fast clock told

ARMS = pytest.mark.parametrize("keep_file_open", [None, False], ids=["shared", "exclusive"])

# Handlers that stay in one file for the whole of a test, and handlers that roll over all the time. The name of the
# class is an option like the others, so that one more handler is one more line.
_TIMED = {"class_name": "ConcurrentTimedRotatingFileHandler", "utc": True}
STEADY = [pytest.param({**_TIMED, "when": "D"}, id="timed")]
ROLLING = [pytest.param({**_TIMED, "when": "S"}, id="timed-rolling")]

_DONE, _FINE, _REPORTED = range(3)  # columns of the ledger: calls that returned, those without a report, and with one
_real_time = time.time


class Clock:
    """A clock that runs `FAST` times too fast, the same one in each process that sets it.

    It begins a day ago, so that no file is older than it seems.
    """

    def __init__(self) -> None:
        self._begin = _real_time()

    def time(self) -> float:
        """Return what the clock says."""
        return self._begin - 86400 + (_real_time() - self._begin) * FAST

    def set(self) -> None:
        """Let it be the clock of this process."""
        time.time = self.time
        time.time_ns = lambda: int(self.time() * 1e9)


class Logged(NamedTuple):
    """One logging call.

    Attributes:
        source: The number of the writer.
        number: The number of the record among the writer's own.
        created: When the record was created.
        returned: When the call returned.
        report: The record as it should stand in the file, if the handler reported something of it, else "".
    """

    source: int
    number: int
    created: float
    returned: float
    report: str


class Account(NamedTuple):
    """What became of the records.

    Attributes:
        logged: All logging calls.
        reported: Those of which the handler reported something.
        lost: Those whose record stands nowhere, although nothing was reported.
        duplicated: Records that stand in more than one place.
        unknown: Whole records that nobody logged.
        torn: Lines that are no whole record, by their file.
        held: The calls whose records stand in each file.
        lines: Whole records: those that were found, and how those that were reported should stand there.
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
        """Return whether every record that was not reported stands in one place, and nothing else does."""
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
    """Writer processes, each of which logs without a pause from `start` to `finish`.

    Args:
        notes: A folder for what the writers remember, not the one that the test spoils.
        log_file: The path that they write to, unless `start` says another.
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
            count: How many writers of the usual log file to start where no path is given.
            user: Whom a writer becomes before it makes its handler.
            options: More arguments for the handler; with ``batch``, writers hand over up to so many records at once,
                and with ``late``, every other batch is so many seconds late.
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
        """Wait until each writer has logged so many more records of which nothing was reported."""
        self._wait_for_each(_FINE, each, self._living())

    def wait_for_calls(self, each: int) -> None:
        """Wait until so many more logging calls of each writer have returned, whatever was reported."""
        self._wait_for_each(_DONE, each, self._living())

    def wait_for_any(self, records: int) -> None:
        """Wait until the writers together have logged so many more records of which nothing was reported."""
        self._wait_until(lambda: sum(self._counts(_FINE)), sum(self._counts(_FINE)) + records)

    def wait_for_reports(self, each: int = 1) -> None:
        """Wait until something was reported of so many records of each writer, in all."""
        for row in range(len(self.processes)):
            self._wait_until(lambda row=row: self._counts(_REPORTED)[row], each)

    def wait_for_more_reports(self, each: int) -> None:
        """Wait until each writer has reported something of so many more records."""
        self._wait_for_each(_REPORTED, each, self._living())

    def wait_for_a_while(self, seconds: float) -> None:
        """Wait until each writer has looked at the outside world: until so many of its fast seconds passed."""
        until = self._clock.time() + seconds
        while self._clock.time() < until:
            self.wait_for_calls(1)

    def reports(self) -> list[int]:
        """Return of how many records each writer has reported something."""
        return self._counts(_REPORTED)

    def kill(self, row: int) -> None:
        """Kill a writer; of its logging calls, only how many had returned is known then."""
        self.killed.add(row)
        self.processes[row].kill()
        self.processes[row].join()

    def finish(self) -> list[Logged]:
        """Stop the writers, and return their logging calls; fails where anything was raised into a writer."""
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
        """Leave no process behind."""
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
            assert time.monotonic() < deadline, f"waited in vain for {goal}, and there are {count()}"
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
    """Be one writer process."""
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
    """Hold the logging calls against the ``contents`` of all files, given by name."""
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
    """Return what stands in the files of ``folders`` but the lock files, each file once whatever its names."""
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

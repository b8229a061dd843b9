"""The tally of log files: reads them back and counts lost, duplicated, torn, misplaced and unordered records."""

import contextlib
import functools
import gzip
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, cast

from concurrent_log.files.periods import Schedule
from concurrent_log.stress import sequence
from concurrent_log.stress.sequence import Entry, Source


@dataclass(frozen=True)
class Tally:
    """The content of the log files, compared with the expected records.

    Attributes:
        expected: Records whose logging call returned.
        found: Number of expected records in the files.
        duplicated: Records that are in the files more than once.
        torn: Lines that are not exactly one whole record.
        misplaced: Records in the file of a period in which they were not created.
        out_of_order: Records after a later record of the same thread.
        unknown: Whole records that were never logged.
        unacknowledged: Records of killed writers whose logging call had not returned yet; not a failure.
        interrupted: Writers that were killed. Each may leave one torn line, which is not a failure.
        files: Log files, including the current one.
        periods: Periods in which the records were created; 0 if the handler has no periods.
    """

    expected: int
    found: int
    duplicated: int
    torn: int
    misplaced: int
    out_of_order: int
    unknown: int
    unacknowledged: int
    interrupted: int
    files: int
    periods: int

    @property
    def lost(self) -> int:
        """Number of expected records that are not in the files."""
        return self.expected - self.found

    @property
    def rollovers(self) -> int:
        """Number of rollovers."""
        return max(0, self.files - 1)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        wrong = self.lost, self.duplicated, self.misplaced, self.out_of_order, self.unknown
        return not any(wrong) and self.torn <= self.interrupted


def tally(
    log_file: str,
    expected: Mapping[Source, int],
    *,
    interrupted: Collection[int] = (),
    period_name: Callable[[float], str] | None = None,
    files: Collection[str] | None = None,
) -> Tally:
    """Read all log files and count.

    Args:
        log_file: The path of the current file.
        expected: Number of records that each thread logged, numbered from 0.
        interrupted: The numbers of the writers that were killed. Each of their threads may have written one record
            more than expected.
        period_name: Function that returns the time in the name of a record's backup, from its creation time. These
            texts must sort in the order of time. None means that periods are not checked.
        files: The paths to read; by default the log file and the files whose names begin with its name.
    """
    paths = log_files(log_file) if files is None else list(files)
    count = _Count(period_name)
    moment: Callable[[float], str | float] = period_name or float
    # Sorted by period first: a delayed thread may have written the first record of the second backup of a period.
    for path in sorted(paths, key=lambda path: (path == log_file, moment(_first_creation(path)), path)):
        count.read(path, is_current=path == log_file)
    return count.result(expected, frozenset(interrupted), len(paths))


def log_files(log_file: str) -> list[str]:
    """Return the paths of the log file and its backups."""
    folder, name = os.path.split(log_file)
    return [os.path.join(folder, found) for found in os.listdir(folder) if (found + ".").startswith(name + ".")]


def period_names(schedule: Schedule, suffix: str) -> Callable[[float], str]:
    """Return a function that returns the time in a backup's name for a creation time in seconds."""
    name = functools.cache(lambda start: schedule.name(start, suffix))
    return lambda created: name(schedule.period(created).start)


class _Count:
    """Counts the records of the files, oldest file first."""

    def __init__(self, period_name: Callable[[float], str] | None) -> None:
        self._period_name = period_name
        self._seen: dict[Source, set[int]] = defaultdict(set)
        self._last: dict[Source, int] = {}
        self._in_current: dict[str, int] = defaultdict(int)
        self._periods: set[str] = set()
        self._torn = self._duplicated = self._misplaced = self._out_of_order = 0

    def read(self, path: str, *, is_current: bool) -> None:
        with _opened(path) as file:
            for line in file:
                entry = _parse(line)
                if entry is None:
                    self._torn += 1
                else:
                    self._add(entry)
                    self._check_period(entry, path, is_current)

    def _add(self, entry: Entry) -> None:
        numbers = self._seen[entry.source]
        if entry.number in numbers:
            self._duplicated += 1
            return
        numbers.add(entry.number)
        last = self._last.get(entry.source, -1)
        self._out_of_order += entry.number < last
        self._last[entry.source] = max(last, entry.number)

    def _check_period(self, entry: Entry, path: str, is_current: bool) -> None:
        if self._period_name is None:
            return
        period = self._period_name(entry.created)
        self._periods.add(period)
        if is_current:
            self._in_current[period] += 1
        else:
            # Numbers and compression come after the period: app.log.2026-11-22.0001.gz
            self._misplaced += f".{period}." not in f"{path}."

    def result(self, expected: Mapping[Source, int], interrupted: frozenset[int], files: int) -> Tally:
        newest = max(self._periods, default="")
        unknown, unacknowledged = self._unexpected(expected, interrupted)
        return Tally(
            expected=sum(expected.values()),
            found=sum(map(len, self._seen.values())) - unknown - unacknowledged,
            duplicated=self._duplicated,
            torn=self._torn,
            misplaced=self._misplaced + sum(n for period, n in self._in_current.items() if period != newest),
            out_of_order=self._out_of_order,
            unknown=unknown,
            unacknowledged=unacknowledged,
            interrupted=len(interrupted),
            files=files,
            periods=len(self._periods),
        )

    def _unexpected(self, expected: Mapping[Source, int], interrupted: frozenset[int]) -> tuple[int, int]:
        unknown = unacknowledged = 0
        for source, numbers in self._seen.items():
            limit = expected.get(source, 0)
            surplus = {number for number in numbers if number >= limit}
            is_unacknowledged = source.writer in interrupted and surplus == {limit}
            unacknowledged += is_unacknowledged
            unknown += 0 if is_unacknowledged else len(surplus)
        return unknown, unacknowledged


def _parse(line: bytes) -> Entry | None:
    if not line.endswith(b"\n"):
        return None
    return sequence.parse(line[:-1].removesuffix(b"\r"))


def _first_creation(path: str) -> float:
    """Return the creation time of the first whole record in the file; 0 if there is none."""
    with _opened(path) as file:
        return next((entry.created for entry in map(_parse, file) if entry), 0)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
        yield cast(BinaryIO, file)

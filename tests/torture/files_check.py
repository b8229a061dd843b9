"""Read the files of a round back, and compare them with the journal and the excuses of the faults."""

import functools
import gzip
import pathlib
import re
import stat
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timezone
from typing import NamedTuple
from zoneinfo import ZoneInfo

from concurrent_log.files.periods import Schedule
from concurrent_log.stress import sequence
from concurrent_log.stress.sequence import Entry, Source
from concurrent_log.stress.tally import period_names
from torture.files_journal import FAMILY, INTERRUPTED, RETURNED
from torture.files_plan import ENDLESS, EXCUSES, Check, Fault, Round
from torture.files_round import Outcome
from torture.files_worker import padding

_SUFFIXES = {"S": "%Y-%m-%d_%H-%M-%S", "M": "%Y-%m-%d_%H-%M", "H": "%Y-%m-%d_%H", "midnight": "%Y-%m-%d"}
_TIMED = re.compile(r"app\.log\.(?P<period>\d{4}-\d\d-\d\d[\d_-]*)(?:\.(?P<number>\d{4,}))?(?:\.gz)?")
_SIZED = re.compile(r"app\.log\.(?P<number>[1-9]\d*)(?:\.gz)?")
_LOCK_FILES = (".__app.lock", ".__app.gz.lock")
_EXAMPLES = 5


class Place(NamedTuple):
    """The place of a file among the backups, in the order in which they were written."""

    is_current: bool
    period: str
    number: int


@dataclass
class Findings:
    """The result of the checks.

    Attributes:
        problems: Everything that is wrong, one line each.
        records: Number of whole records.
        files: Number of files.
        torn: Number of lines that are part of a record.
    """

    problems: list[str] = field(default_factory=list)
    records: int = 0
    files: int = 0
    torn: int = 0


def check(plan: Round, outcome: Outcome) -> Findings:
    """Read everything back."""
    return _Check(plan, outcome).findings()


class _Check:
    def __init__(self, plan: Round, outcome: Outcome) -> None:
        self._plan, self._outcome = plan, outcome
        self._timed = "Timed" in plan.handler
        self._schedule = _schedule(plan) if self._timed else None
        if self._schedule:
            self._period_name = period_names(self._schedule, _SUFFIXES[plan.options["when"]])
        self._problems: list[str] = list(outcome.problems)
        self._where: dict[Source, dict[int, str]] = defaultdict(dict)
        self._last: dict[Source, tuple[int, str]] = {}
        self._torn: list[str] = []
        self._wrong: dict[str, list[str]] = defaultdict(list)

    def findings(self) -> Findings:
        """Run all checks, and return the findings."""
        for path in sorted(self._outcome.outside.iterdir()):
            self._read(path, None)
        for path in sorted(self._places, key=lambda path: self._places[path]):
            self._read(path, self._places[path])
        self._check_journal()
        self._check_torn()
        self._check_reports()
        self._check_retention()
        self._check_files()
        for wrong, examples in self._wrong.items():
            if examples:
                self._problems.append(f"{len(examples)} {wrong}: {'; '.join(examples[:_EXAMPLES])}")
        return Findings(self._problems, sum(map(len, self._where.values())), len(self._places), len(self._torn))

    @functools.cached_property
    def _places(self) -> dict[pathlib.Path, Place]:
        """Return the log file and its backups, and report every other file as a problem."""
        places = {}
        for path in self._outcome.folder.iterdir():
            place = self._place(path.name)
            if place is not None:
                places[path] = place
            elif path.name not in _LOCK_FILES:
                self._wrong["stray files"].append(path.name)
        return places

    def _place(self, name: str) -> Place | None:
        if name == "app.log":
            return Place(True, "", 0)
        if match := (_TIMED if self._timed else _SIZED).fullmatch(name):
            if self._timed:
                return Place(False, match["period"], int(match["number"] or 0))
            return Place(False, "", -int(match["number"]))
        return None

    def _read(self, path: pathlib.Path, place: Place | None) -> None:
        """Read one file; ``place`` is None if the file was removed."""
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        if place is not None:
            self._check_size(path, content, place)
        in_file: dict[Source, int] = {}
        periods: Counter[str] = Counter()
        for line in self._lines(path.name, content):
            entry = _parse(line)
            if entry is None:
                self._torn.append(f"{path.name} {line[:60]!r}")
                continue
            if entry.number <= in_file.get(entry.source, -1):
                self._wrong["records out of order in one file"].append(f"{path.name} {_name(entry)}")
            in_file[entry.source] = entry.number
            self._add(entry, path.name)
            if place is None:
                self._check_removed(entry, path)
            else:
                self._check_order(entry, path.name)
                self._check_place(entry, path.name, place, periods)

    def _lines(self, name: str, content: bytes) -> Iterator[str]:
        text = content.decode(self._plan.options["encoding"], "replace") if content else ""
        if {Fault.SIGNAL, Fault.LONG_STOP, Fault.DELETED_LOCK} & set(self._plan.faults):
            # Two records may start a file at the same time, if one of them has no lock.
            text = text.replace("\ufeff", "")
        terminator = self._plan.options["terminator"]
        *lines, rest = text.split(terminator)
        if rest:
            self._torn.append(f"{name} ends with {rest[-60:]!r}")
        for line in lines:
            piece = terminator[1:]  # the remains of a torn record that is shorter than the terminator
            if piece and line.startswith(piece):
                self._torn.append(f"{name} {line[:60]!r}")
            yield line.removeprefix(piece)

    def _add(self, entry: Entry, name: str) -> None:
        known = self._where[entry.source].get(entry.number)
        # A writer without the lock that notices the removal of its file writes again. The first copy is gone.
        is_rescued = Fault.LONG_STOP in self._plan.faults and "removed-" in f"{known} {name}"
        if known is not None and not is_rescued:
            self._wrong["records twice"].append(f"{_name(entry)} in {known} and {name}")
        self._where[entry.source][entry.number] = name

    def _check_size(self, path: pathlib.Path, content: bytes, place: Place) -> None:
        largest = self._plan.options.get("maxBytes", 0)
        if not largest or len(content) <= largest or not self._plan.checks(Check.SIZE):
            return
        options = self._plan.options
        records = content.decode(options["encoding"], "replace").count(options["terminator"])
        if records > 1 and not self._accepts_late_records(place):
            self._wrong["files too large"].append(f"{path.name}: {len(content)} bytes, {records} records")

    def _accepts_late_records(self, place: Place) -> bool:
        """Return whether this is the last backup of its period: it gets late records, regardless of its size."""
        of_period = [other.number for other in self._places.values() if other.period == place.period]
        return self._timed and not place.is_current and place.number == max(of_period)

    def _check_order(self, entry: Entry, name: str) -> None:
        last, there = self._last.get(entry.source, (-1, ""))
        if entry.number < last and self._is_checked(Check.ORDER, entry.source):
            self._wrong["records out of order"].append(f"{_name(entry)} in {name} after {last} in {there}")
        if entry.number > last:
            self._last[entry.source] = entry.number, name

    def _check_place(self, entry: Entry, name: str, place: Place, periods: Counter[str]) -> None:
        if self._schedule is None or not self._is_checked(Check.PLACE, entry.source):
            return
        period = self._period_name(entry.created)
        if place.is_current:
            periods[period] += 1
            if len(periods) > 1 and not self._is_expired(entry, max(periods)):
                self._wrong["records of two periods in the log file"].append(f"{_name(entry)} of {period}")
        elif period != place.period and not self._is_expired(entry, place.period) and not self._is_early(entry, place):
            self._wrong["records in the wrong period"].append(f"{_name(entry)} of {period} in {name}")

    def _is_early(self, entry: Entry, place: Place) -> bool:
        """Return whether an interrupted rollover may have left the entry in the file of the period before its own.

        The process retries within a second, which is long with a fast clock.
        """
        before = self._schedule.period(entry.created).start - 1
        return Fault.INTERRUPT in self._plan.faults and self._period_name(before) == place.period

    def _is_expired(self, entry: Entry, period: str) -> bool:
        """Return whether retention has deleted the entry's own period by ``period``: then it goes elsewhere."""
        keep = self._plan.options["backupCount"]
        moment = entry.created
        for _ in range(keep if keep < ENDLESS else 0):
            moment = self._schedule.period(moment).end
        return keep < ENDLESS and self._period_name(moment) < period

    def _check_removed(self, entry: Entry, path: pathlib.Path) -> None:
        """Check that a removed file was noticed within a second."""
        if Fault.CLOCK_STEP in self._plan.faults or not self._is_checked(Check.PLACE, entry.source):
            return
        if entry.created > self._outcome.vanished[path] + 1:
            self._wrong["records still written to a removed file"].append(f"{_name(entry)} in {path.name}")

    def _check_journal(self) -> None:
        """Check that each record whose call returned is there, and no record that was never logged."""
        logged = dict(self._outcome.journal.used())
        for source in logged.keys() | self._where.keys():
            states, found = logged.get(source, b""), self._where.get(source, {})
            self._wrong_numbers("records that were never logged", source, [n for n in found if n >= len(states)])
            missing = [n for n, state in enumerate(states) if state == RETURNED and n not in found]
            lost = [n for n in missing if not self._may_be_deleted(source, n)]
            self._wrong_numbers("records lost", source, lost)

    def _may_be_deleted(self, source: Source, number: int) -> bool:
        """Return whether the record is older than the oldest file, so that retention may have deleted it."""
        if self._plan.options["backupCount"] == ENDLESS:
            return False
        begun = self._outcome.journal.begun(source, number)
        if self._schedule is not None:
            oldest = min((place.period for place in self._places.values() if not place.is_current), default="")
            # An affected record goes to the current file, which may still be that of the period before.
            is_struck = not self._is_checked(Check.PLACE, source)
            return self._period_name(begun) < oldest or (is_struck and self._period_name(begun) == oldest)
        return begun < self._oldest_file_grew

    @functools.cached_property
    def _oldest_file_grew(self) -> float:
        """Return a time at which the oldest file was being written: the next records of its threads began later."""
        oldest = min(self._places, key=lambda path: self._places[path]).name
        journal = self._outcome.journal
        here = [(source, n) for source, found in self._where.items() for n, name in found.items() if name == oldest]
        return min((moment for source, n in here if (moment := journal.begun(source, n + 1))), default=float("inf"))

    def _wrong_numbers(self, what: str, source: Source, numbers: list[int]) -> None:
        self._wrong[what] += [f"writer {source.writer} thread {source.thread} record {number}" for number in numbers]

    def _check_torn(self) -> None:
        reported = sum(line.startswith("reported ENOSPC ") for line in self._outcome.reports())
        budget = {Fault.KILL: self._outcome.faults[Fault.KILL], Fault.FULL_DISK: reported}
        allowed = sum(budget.get(fault, 0) for fault in self._plan.faults if EXCUSES[fault].torn)
        if len(self._torn) > allowed:
            self._wrong["half records"] += self._torn

    def _check_reports(self) -> None:
        allowed = frozenset[str]().union(*(EXCUSES[fault].reports for fault in self._plan.faults))
        for line in self._outcome.reports():
            how, kind, _ = line.split(" ", 2)
            if how == "raised":
                self._wrong["errors raised into a worker"].append(line)
            elif kind not in allowed:
                self._wrong["errors reported"].append(line)

    def _check_retention(self) -> None:
        """Check that no more backups are kept than backupCount says, and no fewer if any were deleted."""
        places = self._places.values()
        keep = self._plan.options["backupCount"]
        if keep == ENDLESS:
            return
        backups = {place.period if self._timed else place.number for place in places if not place.is_current}
        logged = sum(states.count(RETURNED) for _, states in self._outcome.journal.used())
        found = sum(map(len, self._where.values()))
        # Backups of the current period, by its size or by doRollover() at the end, do not count.
        most = keep + self._timed
        if len(backups) > most or (found < logged and len(backups) < keep):
            self._wrong["backups wrongly kept or deleted"] += map(str, sorted(backups, key=str))

    def _check_files(self) -> None:
        """Check that backups are compressed as configured, numbered without a gap, and have the right mode."""
        backups = {path.name: place for path, place in self._places.items() if not place.is_current}
        if self._plan.options.get("use_gzip"):
            self._wrong["backups not compressed"] += [name for name in backups if not name.endswith(".gz")]
        if not self._timed:
            holes = set(range(1, len(backups) + 1)) - {-place.number for place in backups.values()}
            self._wrong["numbers without a backup"] += map(str, sorted(holes))
        if mode := self._plan.options.get("chmod"):
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in self._places}
            self._wrong["files with the wrong mode"] += [
                f"{name}: {had:o}" for name, had in modes.items() if had != mode
            ]

    def _is_checked(self, check: Check, source: Source) -> bool:
        strikes = {0: Fault.INTERRUPT, self._plan.threads: Fault.SIGNAL}
        return self._plan.checks(check, strikes.get(source.thread))


def count_faults(plan: Round, outcome: Outcome) -> Counter[Fault]:
    """Return how often each fault of the round occurred, including those that the workers caused."""
    faults = Counter(outcome.faults)
    journal = outcome.journal
    for source, states in journal.used():
        faults[Fault.FORK] += source.writer % FAMILY != 0 and source.thread == 0
        if journal.is_nested(source):
            faults[Fault.SIGNAL] += len(states)
        faults[Fault.INTERRUPT] += states.count(INTERRUPTED)
    faults[Fault.INTERRUPT] += sum(" AsyncError " in line for line in outcome.reports())
    return +faults


def _schedule(plan: Round) -> Schedule:
    options = plan.options
    zone = ZoneInfo(options["timezone"]) if options.get("timezone") else timezone.utc if options["utc"] else None
    return Schedule(options["when"], options["interval"], None, zone)


def _parse(line: str) -> Entry | None:
    """Return the content of a line; None if it is not exactly one whole record."""
    bare = line.rstrip("#")
    entry = sequence.parse(bare.encode())
    if entry is None or len(line) - len(bare) != len(padding(entry.number)):
        return None
    return entry


def _name(entry: Entry) -> str:
    return f"writer {entry.source.writer} thread {entry.source.thread} record {entry.number}"

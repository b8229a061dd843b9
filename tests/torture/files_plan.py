"""The plan of a round of the torture test, drawn from a seed, and what each fault in it excuses."""

import enum
import inspect
import multiprocessing
import os
import random
import sys
from dataclasses import dataclass, field
from typing import Any

import concurrent_log

LONGEST = 4.0  # duration of a round in seconds
RECORDS_A_SECOND = 12_000  # maximum of all threads together
ENDLESS = 1_000_000  # backups: more than a round creates


class Check(enum.Enum):
    """A check that a fault may excuse; all other checks apply to every round."""

    PLACE = "each record is in the file of its own period"
    ORDER = "the records of a thread are in order from file to file"
    SIZE = "no file is larger than maxBytes, but for a single record"


class Fault(enum.Enum):
    """A fault that the test causes."""

    KILL = "workers killed"
    SHORT_STOP = "workers stopped for less than lock_timeout"
    LONG_STOP = "workers stopped for longer than lock_timeout"
    CLOCK_STEP = "clock steps"
    FULL_DISK = "full disks"
    DELETED_LOCK = "lock files deleted"
    REMOVED_LOG = "logs removed"
    MOVED_LOG = "logs moved"
    FORK = "forks in the middle of logging"
    INTERRUPT = "exceptions at random bytecodes"
    SIGNAL = "records logged by signal handlers"


@dataclass(frozen=True)
class Excuse:
    """What one fault excuses, and nothing else.

    Attributes:
        checks: The checks that are skipped in a round with the fault.
        struck: The checks that are skipped for the affected records: those that signal handlers logged, or those of the
            main thread, in which exceptions are raised.
        torn: Whether each occurrence may leave one torn record on a line of its own.
        reports: The errors that may be reported through ``handleError``.
        loses: Whether a record with such a report may be missing.
    """

    checks: frozenset[Check] = frozenset()
    struck: frozenset[Check] = frozenset()
    torn: bool = False
    reports: frozenset[str] = frozenset()
    loses: bool = False


EXCUSES = {
    # A record whose call had not returned may be missing, or torn.
    Fault.KILL: Excuse(torn=True),
    Fault.SHORT_STOP: Excuse(),
    # After lock_timeout records go to the current file without the lock, regardless of its period and size.
    Fault.LONG_STOP: Excuse(frozenset(Check), reports=frozenset({"TimeoutError"})),
    # A record created before the step and written after it is from the future, or a late record of any size.
    Fault.CLOCK_STEP: Excuse(frozenset(Check)),
    # A rollover that fails leaves the record in the current file.
    Fault.FULL_DISK: Excuse(frozenset(Check), torn=True, reports=frozenset({"ENOSPC"}), loses=True),
    # For a second, two processes may hold different lock files.
    Fault.DELETED_LOCK: Excuse(frozenset(Check)),
    # The file is read at its new place; its place among the backups is unknown.
    Fault.REMOVED_LOG: Excuse(frozenset({Check.ORDER})),
    Fault.MOVED_LOG: Excuse(frozenset({Check.ORDER})),
    Fault.FORK: Excuse(),
    # A reported error may have cost the record, or the rollover before it, which is tried again.
    Fault.INTERRUPT: Excuse(
        frozenset({Check.SIZE}),
        struck=frozenset({Check.PLACE, Check.ORDER}),
        reports=frozenset({"AsyncError"}),
        loses=True,
    ),
    # A re-entrant record goes to the current file at once.
    Fault.SIGNAL: Excuse(frozenset({Check.SIZE}), struck=frozenset({Check.PLACE, Check.ORDER})),
}

_OCCURRENCES = {  # of the faults from outside the workers, in one round
    Fault.KILL: (2, 25),
    Fault.SHORT_STOP: (1, 10),
    Fault.LONG_STOP: (1, 4),
    Fault.CLOCK_STEP: (1, 5),
    Fault.FULL_DISK: (1, 4),
    Fault.DELETED_LOCK: (1, 5),
    Fault.REMOVED_LOG: (1, 3),
    Fault.MOVED_LOG: (1, 3),
}
_LENGTHS = {("S", 1): 1, ("S", 20): 20, ("M", 1): 60, ("H", 1): 3600, ("H", 6): 21600, ("midnight", 1): 86400}


@dataclass(frozen=True)
class Event:
    """One fault from outside: its time in seconds, and two numbers below 1 that choose the target and the extent."""

    at: float
    fault: Fault
    target: float
    amount: float


@dataclass(frozen=True)
class Round:
    """One round, as drawn.

    Attributes:
        seed: The seed of the round.
        handler: The name of the handler's class.
        options: The handler's arguments.
        processes: Number of workers at a time.
        threads: Number of threads of each worker, including the main thread.
        handlers: Number of handlers of the one file in each worker.
        start_method: Their start method.
        inherited: Whether they inherit a handler that was created before them.
        speed: Speed of their clock; 1 is the real clock.
        seconds: Duration of their logging.
        faults: The faults.
        events: The times of the faults from outside.
    """

    seed: int
    handler: str
    options: dict[str, Any]
    processes: int
    threads: int
    handlers: int
    start_method: str
    inherited: bool
    speed: float
    seconds: float
    faults: tuple[Fault, ...]
    events: tuple[Event, ...] = field(repr=False)

    @property
    def pause(self) -> float:
        """Return the average number of seconds that a thread sleeps for each record."""
        return max(self.processes * self.threads, 4) / RECORDS_A_SECOND

    def checks(self, check: Check, struck_by: Fault | None = None) -> bool:
        """Return whether ``check`` applies in this round, to affected records or to others."""
        if any(check in EXCUSES[fault].checks for fault in self.faults):
            return False
        return struck_by not in self.faults or check not in EXCUSES[struck_by].struck


def draw(seed: int) -> Round:
    """Return the round of that seed; it is the same for the same package and platform."""
    dice = random.Random(seed)
    handler = dice.choice(_handlers())
    seconds = dice.uniform(1, LONGEST)
    faults = tuple(dice.sample(_possible(), dice.choice((0, 1, 1, 2, 2, 3))))
    options = _common_options(dice, Fault.LONG_STOP in faults)
    if "Timed" in handler:
        speed = _draw_period(dice, options)
    else:
        speed = 1.0
        options["maxBytes"] = dice.choice((5_000, 20_000, 100_000))
    # If the order is unknown, deleted records cannot be distinguished from lost ones.
    may_delete = all(Check.ORDER not in EXCUSES[fault].checks for fault in faults)
    options["backupCount"] = dice.choice((3, 10)) if may_delete and dice.random() < 0.3 else ENDLESS
    _draw_new_options(dice, handler, options)
    return Round(
        seed=seed,
        handler=handler,
        options=options,
        processes=dice.randint(1, 8),
        threads=dice.randint(1, 6),
        handlers=dice.choice((1, 1, 2)),
        start_method=dice.choice(multiprocessing.get_all_start_methods()),
        inherited=dice.random() < 0.3,
        speed=speed,
        seconds=seconds,
        faults=faults,
        events=tuple(_events(dice, faults, seconds)),
    )


def can_mount() -> bool:
    """Return whether this process may mount the small disk."""
    return sys.platform == "linux" and os.geteuid() == 0


def _handlers() -> list[str]:
    names = ("ConcurrentTimedRotatingFileHandler", "ConcurrentRotatingFileHandler")
    return [name for name in names if hasattr(concurrent_log, name)]


def _possible() -> list[Fault]:
    return [fault for fault in Fault if fault is not Fault.FULL_DISK or can_mount()]


def _common_options(dice: random.Random, long_stop: bool) -> dict[str, Any]:
    return {
        "encoding": dice.choice(("utf-8", "utf-8", "utf-8", "utf-16")),
        "delay": dice.random() < 0.5,
        "terminator": dice.choice(("\n", "\n", "\n", "\r\n", "\x1e\n")),
        # No process waits longer than the default, unless a worker is stopped: this machine may be slow.
        "lock_timeout": dice.choice((0.05, 0.3)) if long_stop else 20.0,
        "keep_file_open": dice.choice((None, None, True, False)),
    }


def _draw_period(dice: random.Random, options: dict[str, Any]) -> float:
    """Choose a schedule, and return a clock speed with which it rolls over often enough."""
    (when, interval), length = dice.choice(list(_LENGTHS.items()))
    options.update(when=when, interval=interval, utc=dice.random() < 0.5)
    if length == 1 and dice.random() < 0.3:
        return 1.0
    return length / dice.choice((0.01, 0.05, 0.2, 1.0))


def _draw_new_options(dice: random.Random, handler: str, options: dict[str, Any]) -> None:
    """Choose values for arguments that the handler may not have yet."""
    taken = inspect.signature(getattr(concurrent_log, handler)).parameters
    if "Timed" in handler and "maxBytes" in taken and dice.random() < 0.4:
        options["maxBytes"] = dice.choice((5_000, 20_000, 100_000))
    if "timezone" in taken and dice.random() < 0.3:
        options["timezone"] = dice.choice(("Europe/Berlin", "Australia/Lord_Howe", "America/New_York"))
        options["utc"] = False
    if "use_gzip" in taken:
        options["use_gzip"] = dice.random() < 0.3
    if "chmod" in taken and dice.random() < 0.2:
        options["chmod"] = 0o640


def _events(dice: random.Random, faults: tuple[Fault, ...], seconds: float) -> list[Event]:
    events = []
    for fault in faults:
        for _ in range(dice.randint(*_OCCURRENCES.get(fault, (0, 0)))):
            events.append(Event(dice.uniform(0.1, seconds), fault, dice.random(), dice.random()))
    return sorted(events, key=lambda event: event.at)

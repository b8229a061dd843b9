"""What was lost, and why: counted, said on stderr, and reported to the server."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from concurrent_log.internal import stderr

_BETWEEN = 30.0  # seconds at least between two lines on stderr


class Drop(NamedTuple):
    """How many records were dropped for one reason, and since when, in seconds since the epoch."""

    reason: str
    records: int
    since: float


class Losses:
    """Counts what is lost. Safe in any thread, and where a signal handler logs in the middle of it.

    Args:
        ring: Called when there is something to be said at once.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._lock = threading.RLock()
        self._totals: dict[str, int] = {}
        self._unreported: dict[str, Drop] = {}
        self._untold: dict[str, int] = {}
        self._since = 0.0  # the first that is not told
        self._next_line = 0.0  # by time.monotonic

    def add(self, reason: str, records: int = 1) -> None:
        """Count what was lost."""
        if records <= 0:
            return
        with self._lock:
            self._totals[reason] = self._totals.get(reason, 0) + records
            self.give_back([Drop(reason, records, time.time())])
            is_first = not self._untold
            if is_first:
                self._since = time.time()
            self._untold[reason] = self._untold.get(reason, 0) + records
        if is_first:
            self._ring()

    def totals(self) -> dict[str, int]:
        """Return how many were lost, by reason."""
        with self._lock:
            return dict(self._totals)

    def is_unreported(self) -> bool:
        """Return whether the server does not know of all."""
        return bool(self._unreported)

    def take_report(self) -> list[Drop]:
        """Return what is to be reported; it is out of here until it is given back."""
        with self._lock:
            found, self._unreported = list(self._unreported.values()), {}
            return found

    def give_back(self, report: list[Drop]) -> None:
        """Let what did not reach the server be reported again."""
        with self._lock:
            for drop in report:
                before = self._unreported.get(drop.reason, Drop(drop.reason, 0, drop.since))
                records, since = before.records + drop.records, min(before.since, drop.since)
                self._unreported[drop.reason] = Drop(drop.reason, records, since)

    def next_line_in(self, now: float) -> float | None:
        """Return after how many seconds something is to be said; None for nothing."""
        return max(0.0, self._next_line - now) if self._untold else None

    def report(self, now: float, *, at_once: bool = False) -> None:
        """Say what was lost, where that is due."""
        if not self._untold or (now < self._next_line and not at_once):
            return
        with self._lock:
            untold, self._untold, since = self._untold, {}, self._since
            self._next_line = now + _BETWEEN
        reasons = ", ".join(f"{reason}: {records:,}" for reason, records in untold.items())
        when = time.strftime("%H:%M:%S", time.localtime(since))
        stderr.warn(f"records for the collector lost since {when}: {sum(untold.values()):,} ({reasons})")

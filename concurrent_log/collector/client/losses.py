"""Lost records: counted by reason, reported on stderr, and reported to the server. So are records that were changed."""

import time
from collections.abc import Callable
from typing import NamedTuple

from concurrent_log.internal import stderr
from concurrent_log.internal.threads import make_rlock

_REPORT_INTERVAL = 30.0  # seconds between two lines on stderr


class Loss(NamedTuple):
    """The number of records lost or changed for one reason, and the time of the first, in seconds since the epoch.

    The field names are those of the protocol.
    """

    reason: str
    records: int
    since: float


class Losses:
    """Counts lost records. Safe in all threads, and re-entrant for signal handlers that log.

    Args:
        wake: Called if there is something to report immediately.
        is_reported: Whether losses are reported to the server; not every protocol can.
    """

    def __init__(self, wake: Callable[[], None], *, is_reported: bool = True) -> None:
        self._wake = wake
        self._is_reported = is_reported
        self.lock = make_rlock()
        self._totals: dict[str, int] = {}
        self._changed: dict[str, int] = {}
        self._not_sent: dict[str, Loss] = {}  # not reported to the server
        self._not_printed: dict[str, int] = {}  # not reported on stderr
        self._first_not_printed = 0.0
        self._next_line_at = 0.0  # by time.monotonic

    def add(self, reason: str, records: int = 1) -> None:
        """Count lost records."""
        if records <= 0:
            return
        with self.lock:
            self._totals[reason] = self._totals.get(reason, 0) + records
            self.give_back([Loss(reason, records, time.time())])
            is_first = not self._not_printed
            if is_first:
                self._first_not_printed = time.time()
            self._not_printed[reason] = self._not_printed.get(reason, 0) + records
        if is_first:
            self._wake()

    def note(self, reason: str, records: int) -> None:
        """Count records that the server has stored, but not as they were sent at first, and report them to it."""
        if records > 0:
            with self.lock:
                self._changed[reason] = self._changed.get(reason, 0) + records
                self.give_back([Loss(reason, records, time.time())])

    def totals(self) -> dict[str, int]:
        """Return the number of lost records by reason."""
        with self.lock:
            return dict(self._totals)

    def changed(self) -> dict[str, int]:
        """Return the number of changed records by reason."""
        with self.lock:
            return dict(self._changed)

    def is_unreported(self) -> bool:
        """Return whether there are losses that the server does not know of."""
        return bool(self._not_sent)

    def take_report(self) -> list[Loss]:
        """Remove the losses that the server does not know of, and return them."""
        with self.lock:
            report, self._not_sent = list(self._not_sent.values()), {}
            return report

    def give_back(self, report: list[Loss]) -> None:
        """Report these losses again, because they did not reach the server."""
        if not self._is_reported:
            return
        with self.lock:
            for loss in report:
                before = self._not_sent.get(loss.reason, Loss(loss.reason, 0, loss.since))
                records, since = before.records + loss.records, min(before.since, loss.since)
                self._not_sent[loss.reason] = Loss(loss.reason, records, since)

    def seconds_until_line(self, now: float) -> float | None:
        """Return the seconds until the next line on stderr is due; None if there is nothing to print."""
        return max(0.0, self._next_line_at - now) if self._not_printed else None

    def print_if_due(self, now: float, *, at_once: bool = False) -> None:
        """Report the losses on stderr if the interval has passed, or in any case with ``at_once``."""
        if not self._not_printed or (now < self._next_line_at and not at_once):
            return
        with self.lock:
            reasons, self._not_printed, since = self._not_printed, {}, self._first_not_printed
            self._next_line_at = now + _REPORT_INTERVAL
        details = ", ".join(f"{reason}: {records:,}" for reason, records in reasons.items())
        when = time.strftime("%H:%M:%S", time.localtime(since))
        stderr.warn(f"records for the collector lost since {when}: {sum(reasons.values()):,} ({details})")

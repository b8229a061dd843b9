"""Reports on stderr why the database is unavailable, and when it is available again."""

import time
from collections.abc import Callable

from concurrent_log.collector.store.interface import full_reason
from concurrent_log.internal import stderr

_REPEAT_INTERVAL = 60.0  # seconds until the same reason is reported again


class StoreProblems:
    """Reports each reason once, and again at intervals if the database recovers in between."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reported_at: dict[str, float] = {}
        self._is_reported = False

    def report(self, error: Exception) -> None:
        """Report the reason, unless that was done already."""
        reason, now = full_reason(error), self._clock()
        self._reported_at = {text: at for text, at in self._reported_at.items() if now < at + _REPEAT_INTERVAL}
        if reason not in self._reported_at:
            stderr.warn(reason)
            self._is_reported = True
        self._reported_at[reason] = now

    def end(self) -> None:
        """Report that the database is available, if a problem was reported."""
        if self._is_reported:
            self._is_reported = False
            stderr.warn("the database is available")

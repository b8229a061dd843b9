"""Periods: the span of time that a log file covers, computed from the wall clock.

Every process computes the same periods without communication, because their boundaries are aligned to the clock of the
zone (the full hour, midnight, Monday noon) and do not depend on the start of a process. This module does not read the
current time.

When clocks go back, the wall clock shows an hour twice. The repeated hour belongs to the period before the change, so
that no period repeats: with ``when="H"`` one period of that night lasts two hours. When clocks go forward and skip a
boundary, the period starts at the change.
"""

import calendar
from bisect import bisect_left
from collections.abc import Callable
from datetime import datetime, time, tzinfo
from math import floor
from typing import NamedTuple

from concurrent_log.internal.validation import check_whole

_SECONDS = {"S": 1, "M": 60, "H": 3600, "D": 86400, "MIDNIGHT": 86400}
_DAY = 86400
_WEEK = 7 * _DAY
_CACHED = 4  # periods: the current one, that of the file, and those of late records
_THURSDAY = 3  # the weekday of 1970-01-01


class Period(NamedTuple):
    """A half-open stretch of time, ``start <= t < end``, in seconds since the epoch."""

    start: int
    end: int


class Schedule:
    """The periods of one combination of ``when``, ``interval``, ``at_time`` and zone.

    Args:
        when: ``S``, ``M``, ``H``, ``D``, ``midnight`` or ``W0`` (Monday) to ``W6``, in any case, with the
            meaning of `logging.handlers.TimedRotatingFileHandler`.
        interval: Length of a period in seconds, minutes, hours, days or weeks, as ``when`` says. Periods are counted
            from the first one of 1970, so that all processes agree on them.
        at_time: The time of day at which ``midnight`` and ``W0`` to ``W6`` begin a period; the others
            ignore it, as the standard class does. Without it, ``W0`` ends at the end of Monday.
        zone: The zone of the wall clock; None means the zone of this machine.

    Raises:
        ValueError: ``when`` or ``interval`` is invalid.
        TypeError: ``interval`` is not a whole number, or ``at_time`` is not a `datetime.time`.
    """

    def __init__(self, when: str, interval: int = 1, at_time: time | None = None, zone: tzinfo | None = None) -> None:
        if not isinstance(when, str):
            raise TypeError(f"when must be a string such as 'midnight', not {when!r}")
        kind = when.upper()
        weekly = len(kind) == 2 and kind[0] == "W" and kind[1] in "0123456"
        if not weekly and kind not in _SECONDS:
            raise ValueError(f"when={when!r} is unknown: use S, M, H, D, midnight or W0 (Monday) to W6")
        interval = check_whole("interval", interval)
        if interval < 1:
            raise ValueError(f"interval={interval} must be at least 1")
        if at_time is not None and not isinstance(at_time, time):
            raise TypeError(f"atTime must be a datetime.time, not {at_time!r}")
        self.zone = zone
        self._recent: tuple[Period, ...] = ()
        self._length = interval * (_WEEK if weekly else _SECONDS[kind])
        self._first = 0  # the first boundary, in seconds of the wall clock since 1970-01-01 00:00
        if weekly:
            boundary = int(kind[1]) + (at_time is None)
            self._first = _seconds(at_time) - (_THURSDAY - boundary) % 7 * _DAY
        elif kind == "MIDNIGHT":
            self._first = _seconds(at_time)

    def period(self, timestamp: float) -> Period:
        """Return the period that contains ``timestamp``, in seconds since the epoch.

        Raises:
            ValueError, OverflowError, OSError: The platform cannot convert that time to a date.
        """
        for known in self._recent:
            if known.start <= timestamp < known.end:
                return known
        found = self._find(floor(timestamp))
        self._recent = (found, *self._recent[: _CACHED - 1])
        return found

    def name(self, start: int, suffix: str) -> str:
        """Return the time of the period that begins at ``start``, formatted by ``suffix`` (see `time.strftime`)."""
        return self._moment(start).strftime(suffix)

    def _find(self, at: int) -> Period:
        number = self._number(at)
        after = at
        while self._number(after) == number:
            inside = after
            after += (number + 1) * self._length + self._first - self._clock(after)
        end = _first(inside, after, lambda t: self._number(t) != number)
        before = at
        while self._number(before) == number:
            inside = before
            before -= self._clock(before) - number * self._length - self._first + 1
        return Period(_first(before, inside, lambda t: self._number(t) == number), end)

    def _number(self, timestamp: int) -> int:
        return (self._clock(timestamp) - self._first) // self._length

    def _clock(self, timestamp: int) -> int:
        """Return the latest time that the wall clock has shown up to ``timestamp``; it never goes back."""
        moment = self._moment(timestamp)
        if not moment.fold:
            return self._wall(timestamp)
        shown_first = floor(moment.replace(fold=0).timestamp())
        offset = self._wall(shown_first) - shown_first
        change = _first(shown_first, timestamp, lambda t: self._wall(t) - t != offset)
        return max(self._wall(timestamp), self._wall(change - 1))

    def _wall(self, timestamp: int) -> int:
        return calendar.timegm(self._moment(timestamp).timetuple())

    def _moment(self, timestamp: int) -> datetime:
        return datetime.fromtimestamp(timestamp, self.zone)


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """Return the first second from ``low`` to ``high`` from which on ``holds`` is true."""
    return low + bisect_left(range(high - low), True, key=lambda n: holds(low + n))


def _seconds(at_time: time | None) -> int:
    return 0 if at_time is None else at_time.hour * 3600 + at_time.minute * 60 + at_time.second

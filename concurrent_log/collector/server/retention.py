"""Retention: removes records that are older than a number of days, and the oldest beyond a size.

Each store does the removal itself: SQLite in ``store/sqlite/store.py``, PostgreSQL in ``store/postgres/partitions.py``.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from concurrent_log.collector.store.interface import Store
from concurrent_log.internal import stderr

_MAX_JUMP = 86_400.0  # seconds that the clock may be ahead of what the server expects
_DOUBT = 86_400.0  # seconds for which a clock that jumped is not believed, so that an operator can correct it


@dataclass(frozen=True)
class Retention:
    """What to keep: records of the last ``days``, and not more than ``size`` bytes; None is no limit.

    ``services`` are pairs of a service and a number of days, for services whose records are kept for a shorter time.
    """

    days: int | None = None
    size: int | None = None
    services: tuple[tuple[str, int], ...] = ()


class ClockCheck:
    """Doubts a clock that jumped ahead, because by it all records would be old.

    Args:
        now: The time when the last record was received, in seconds since 1970.
        monotonic: The time of a clock that never jumps, in seconds.
    """

    def __init__(self, now: float, monotonic: float) -> None:
        self._now = now
        self._monotonic = monotonic
        self._doubt_since: float | None = None

    def is_plausible(self, now: float, monotonic: float) -> bool:
        """Return whether retention may go by the time ``now``."""
        expected = self._now + monotonic - self._monotonic
        if self._doubt_since is None and now > expected + _MAX_JUMP:
            self._doubt_since = monotonic
            days = (now - expected) / 86_400
            message = f"the clock is {days:,.0f} days ahead of the last record: no record is removed for its age today"
            stderr.warn(message)
        if self._doubt_since is not None and now <= expected + _MAX_JUMP:
            self._doubt_since = None  # The clock was corrected.
        if self._doubt_since is not None and monotonic < self._doubt_since + _DOUBT:
            return False
        self._now, self._monotonic, self._doubt_since = now, monotonic, None
        return True


async def remove_expired_records(store: Store, days: int) -> int:
    """Remove records from before the day that is ``days`` ago, in UTC; return their number."""
    today = datetime.now(timezone.utc).date()
    return await store.remove_before(today - timedelta(days=days))


async def remove_expired_records_of(store: Store, service: str, days: int) -> int:
    """Remove the records of a service from before the day that is ``days`` ago, in UTC; return their number."""
    midnight = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)
    return await store.delete("service = $1 AND created_at < $2", [service, int(midnight.timestamp()) * 1_000_000])

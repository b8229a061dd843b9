"""The rates of keys: how many records and bytes may be sent with a key in a minute, on this server."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.store.keys import Key

_MINUTE = 60.0  # seconds


@dataclass
class _Bucket:
    """An allowance that fills up continuously; a full one lasts for a minute's worth at once."""

    size: int
    level: float
    updated_at: float

    def fill(self, now: float) -> None:
        self.level = min(self.size, self.level + (now - self.updated_at) * self.size / _MINUTE)
        self.updated_at = now


class RateLimiter:
    """The allowances of all limited keys.

    Args:
        clock: A monotonic clock in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def require(self, key: Key, records: int, size: int) -> None:
        """Take records and bytes from the key's allowance; raise `Problem` if it does not have them now."""
        wanted = [
            (self._bucket(key.id, name, limit), count, name)
            for name, limit, count in (
                ("records", key.records_per_minute, records),
                ("bytes", key.bytes_per_minute, size),
            )
            if limit is not None
        ]
        for bucket, count, name in wanted:
            if count > bucket.size:
                raise Problem(
                    413, f"this key may send {bucket.size:,} {name} a minute, not {count:,}: send less at once"
                )
        wait = max([0.0, *((count - bucket.level) * _MINUTE / bucket.size for bucket, count, _ in wanted)])
        if wait > 0:
            raise Problem(429, "this key has reached its rate: send the batch again later", retry_after=math.ceil(wait))
        for bucket, count, _ in wanted:
            bucket.level -= count

    def _bucket(self, key_id: str, name: str, limit: int) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.setdefault((key_id, name), _Bucket(limit, limit, now))
        bucket.fill(now)
        return bucket

"""Figures about everything that is kept, which are not counted anew whenever somebody asks."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from concurrent_log.collector.store.reader import Reader, Row, TooSlow, iso
from concurrent_log.collector.store.sql import statements as query

_SECOND = 1_000_000
_HOUR = 3600 * _SECOND
_DAY = 24 * _HOUR
_LEAST_AGE = 5.0  # seconds for which an answer is given again
_SHARE = 20  # an answer is given again for this many times as long as it took
_BRIEFLY = 2.0  # seconds for counting; what takes longer is counted of a shorter time
_MOST_RECEIVED = 300_000
_MOST_DROPS = 100
_SERVICES = 10
_WEEK = 7 * _DAY


@dataclass(frozen=True)
class _Tally:
    """How many records there are by service and level, from ``since`` on, or of all times."""

    since: int | None
    rows: list[Row]

    def by(self, column: int) -> list[tuple[str, int]]:
        """Return the sums by the values of a column, the largest first."""
        sums: dict[str, int] = {}
        for row in self.rows:
            sums[row[column]] = sums.get(row[column], 0) + row[2]
        return sorted(sums.items(), key=lambda item: -item[1])


class Statistics:
    """What `GET /stats` says."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._lock = asyncio.Lock()
        self._answer: dict[str, Any] = {}
        self._good_until = 0.0

    async def answer(self) -> dict[str, Any]:
        """Return the figures, which may be some seconds old; ``counted_at`` says from when they are."""
        async with self._lock:
            begin = time.monotonic()
            if begin >= self._good_until:
                self._answer = await self._count(time.time_ns() // 1000)
                end = time.monotonic()
                self._good_until = end + max(_LEAST_AGE, _SHARE * (end - begin))
            return self._answer

    async def _count(self, now: int) -> dict[str, Any]:
        reader = self._reader
        tally, sizes = await self._tally(now), await reader.sizes()
        errors = await reader.rows(query.count_wrong(reader.dialect, now - _HOUR))
        received = await reader.rows(query.count_received(reader.dialect, now - 60 * _SECOND, _MOST_RECEIVED))
        drops = await reader.rows(query.drops(reader.dialect, now - _WEEK, _MOST_DROPS))
        total = sum(row[2] for row in tally.rows)
        return {
            "total_logs": total if tally.since is None else max(total, sizes.records),
            "is_estimate": tally.since is not None,
            "counted_at": iso(now),
            "counted_since": None if tally.since is None else iso(tally.since),
            "level_distribution": [{"level": level, "count": count} for level, count in tally.by(1)],
            "service_distribution": _named(tally)[:_SERVICES],
            "recent_errors_1h": errors[0][0],
            "records_per_second": round(received[0][0] / 60, 2),
            "size_bytes": sizes.bytes,
            "partitions": sizes.partitions,
            "services": _services(tally),
            "drops": [_drop(row) for row in drops],
        }

    async def _tally(self, now: int) -> _Tally:
        """Count all there is, or what is from the last day or hour, if that takes too long."""
        for since in (None, now - _DAY, now - _HOUR):
            try:
                return _Tally(since, await self._reader.rows(query.tally(self._reader.dialect, since), _BRIEFLY))
            except TooSlow:
                continue
        return _Tally(now, [])


def _named(tally: _Tally) -> list[dict[str, Any]]:
    return [{"service": service, "count": count} for service, count in tally.by(0) if service]


def _services(tally: _Tally) -> list[dict[str, Any]]:
    """Return when each service was last seen, the latest first."""
    seen: dict[str, int] = {}
    for service, _, _, received_at in tally.rows:
        seen[service] = max(seen.get(service, 0), received_at)
    counts = dict(tally.by(0))
    latest = sorted((service for service in seen if service), key=lambda service: -seen[service])
    return [{"service": name, "last_seen": iso(seen[name]), "records": counts[name]} for name in latest]


def _drop(row: Row) -> dict[str, Any]:
    client, name, service, host, reason, records, since, last_seen = row
    who = {"client": client, "name": name, "service": service, "host": host}
    return {**who, "reason": reason, "records": records, "since": iso(since), "last_seen": iso(last_seen)}

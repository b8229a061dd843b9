"""Figures about the whole store; they are cached, so that frequent requests do not count again."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from concurrent_log.collector.store.interface import CHANGES, QueryTimeout
from concurrent_log.collector.store.reader import RecordReader, ResultRow, StoreSize, iso_time
from concurrent_log.collector.store.sql import statements

_SECOND = 1_000_000  # microseconds
_HOUR = 3600 * _SECOND
_DAY = 24 * _HOUR
_WEEK = 7 * _DAY
_MIN_CACHE_TIME = 5.0  # seconds
_CACHE_FACTOR = 20  # The figures are cached for this many times as long as counting them took.
_COUNT_TIMEOUT = 2.0  # seconds; if counting takes longer, a shorter time range is counted
_MAX_RECEIVED = 300_000
_MAX_LOSSES, _MAX_COUNTED_LOSSES = 100, 1000
_MAX_SENDERS, _MAX_COUNTED_SENDERS = 100, 1000
_MAX_SERVICES = 10
_REASON = 4  # the column of `statements.sum_losses`


@dataclass(frozen=True)
class _Tally:
    """The number of records by service and level, from ``since`` on; None means all records."""

    since: int | None
    rows: list[ResultRow]

    def by(self, column: int) -> list[tuple[str, int]]:
        """Return the sums by the values of a column, largest first."""
        sums: dict[str, int] = {}
        for row in self.rows:
            sums[row[column]] = sums.get(row[column], 0) + row[2]
        return sorted(sums.items(), key=lambda item: -item[1])


@dataclass(frozen=True)
class _Figures:
    """What was counted at a time, by service."""

    now: int
    tally: _Tally
    size: StoreSize
    errors: list[ResultRow]
    received: list[ResultRow]
    losses: list[ResultRow]
    senders: list[ResultRow]

    def of(self, services: Sequence[str]) -> "_Figures":
        """Return the figures of some services alone, without the size of the store, which is that of all."""
        return _Figures(
            self.now,
            _Tally(self.tally.since, [row for row in self.tally.rows if row[0] in services]),
            StoreSize(0, 0, []),
            [row for row in self.errors if row[0] in services],
            [row for row in self.received if row[0] in services],
            [row for row in self.losses if row[2] in services],
            [row for row in self.senders if row[0] in services],
        )


class StoreStatistics:
    """The response to ``GET /stats``."""

    def __init__(self, reader: RecordReader) -> None:
        self._reader = reader
        self._lock = asyncio.Lock()
        self._cached: _Figures | None = None
        self._valid_until = 0.0

    async def read(self, services: Sequence[str] = ()) -> dict[str, Any]:
        """Return the figures of all services or some, which may be cached; ``counted_at`` is the time of the count."""
        async with self._lock:
            begin = time.monotonic()
            if self._cached is None or begin >= self._valid_until:
                self._cached = await self._count(time.time_ns() // 1000)
                end = time.monotonic()
                self._valid_until = end + max(_MIN_CACHE_TIME, _CACHE_FACTOR * (end - begin))
            return _describe(self._cached.of(services) if services else self._cached)

    async def _count(self, now: int) -> _Figures:
        reader = self._reader
        return _Figures(
            now,
            await self._tally(now),
            await reader.size(),
            await reader.rows(statements.count_errors(reader.dialect, now - _HOUR)),
            await reader.rows(statements.count_received(reader.dialect, now - 60 * _SECOND, _MAX_RECEIVED)),
            await reader.rows(statements.sum_losses(reader.dialect, now - _WEEK, _MAX_COUNTED_LOSSES)),
            await reader.rows(statements.list_senders(reader.dialect, now - _WEEK, _MAX_COUNTED_SENDERS)),
        )

    async def _tally(self, now: int) -> _Tally:
        """Count all records; if that takes too long, those of the last day or hour."""
        for since in (None, now - _DAY, now - _HOUR):
            statement = statements.count_by_service_and_level(self._reader.dialect, since)
            try:
                return _Tally(since, await self._reader.rows(statement, _COUNT_TIMEOUT))
            except QueryTimeout:
                continue
        return _Tally(now, [])


def _describe(figures: _Figures) -> dict[str, Any]:
    tally, size, losses = figures.tally, figures.size, figures.losses[:_MAX_LOSSES]
    total = sum(row[2] for row in tally.rows)
    return {
        "total_logs": total if tally.since is None else max(total, size.records),
        "is_estimate": tally.since is not None,
        "counted_at": iso_time(figures.now),
        "counted_since": None if tally.since is None else iso_time(tally.since),
        "level_distribution": [{"level": level, "count": count} for level, count in tally.by(1)],
        "service_distribution": _service_counts(tally)[:_MAX_SERVICES],
        "recent_errors_1h": sum(row[1] for row in figures.errors),
        "records_per_second": round(sum(row[1] for row in figures.received) / 60, 2),
        "size_bytes": size.bytes,
        "partitions": size.partitions,
        "services": _service_activity(tally),
        "senders": [_describe_sender(row) for row in figures.senders[:_MAX_SENDERS]],
        "drops": [_describe_loss(row) for row in losses if row[_REASON] not in CHANGES],
        "changes": [_describe_loss(row) for row in losses if row[_REASON] in CHANGES],
    }


def _service_counts(tally: _Tally) -> list[dict[str, Any]]:
    return [{"service": service, "count": count} for service, count in tally.by(0) if service]


def _service_activity(tally: _Tally) -> list[dict[str, Any]]:
    """Return the time at which each service was last seen, latest first."""
    seen: dict[str, int] = {}
    for service, _, _, received_at in tally.rows:
        seen[service] = max(seen.get(service, 0), received_at)
    counts = dict(tally.by(0))
    latest = sorted((service for service in seen if service), key=lambda service: -seen[service])
    return [{"service": name, "last_seen": iso_time(seen[name]), "records": counts[name]} for name in latest]


def _describe_sender(row: ResultRow) -> dict[str, Any]:
    service, name, count, last_seen = row
    return {"service": service, "name": name, "count": count, "last_seen": iso_time(last_seen)}


def _describe_loss(row: ResultRow) -> dict[str, Any]:
    client, name, service, host, reason, records, since, last_seen = row
    sender = {"client": client, "name": name, "service": service, "host": host}
    return {
        **sender,
        "reason": reason,
        "records": records,
        "since": iso_time(since),
        "last_seen": iso_time(last_seen),
    }

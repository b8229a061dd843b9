"""Groups of records with the same message template: their number, their first and last time, and their services."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from concurrent_log.collector.store.interface import QueryTimeout, TooManyQueries
from concurrent_log.collector.store.message_templates import message_template
from concurrent_log.collector.store.reader import QUERY_TIMEOUT, RecordReader, ResultRow, iso_time
from concurrent_log.collector.store.sql.filters import Filters, RecordKey

MAX_RECORDS = 50_000  # records that are grouped
_FIRST_READ, _MAX_READ = 200, 2000  # records that are read and held at a time
_MAX_GROUPS = 10_000
_MAX_SERVICES = 10  # of a group
_MAX_REQUESTS = 8  # at the same time


@dataclass
class _Group:
    newest: RecordKey
    oldest: int
    count: int = 0
    services: dict[str, int] = field(default_factory=dict)

    def add(self, created_at: int, service: str | None) -> None:
        self.oldest = created_at
        self.count += 1
        if service and (service in self.services or len(self.services) < _MAX_SERVICES):
            self.services[service] = self.services.get(service, 0) + 1

    @property
    def sort_key(self) -> tuple[int, int, int]:
        """The largest group is first; of equal ones, the one that was seen last."""
        return -self.count, -self.newest.created_at, -self.newest.id


class MessageGroups:
    """Records by level, error type and message template; they are added newest first."""

    def __init__(self) -> None:
        self.count = 0
        self.last_key: RecordKey | None = None
        self._groups: dict[tuple[str, str, str], _Group] = {}

    def add(self, rows: Iterable[ResultRow]) -> None:
        """Add records; if there are too many groups, a record that needs a new group is only counted."""
        for created_at, number, sequence, level, service, error_type, message in rows:
            self.count += 1
            self.last_key = RecordKey(created_at, number, sequence or 0)
            key = level, error_type or "", message_template(message or "")
            group = self._groups.get(key)
            if group is None:
                if len(self._groups) >= _MAX_GROUPS:
                    continue
                group = self._groups[key] = _Group(self.last_key, created_at)
            group.add(created_at, service)

    def largest(self, limit: int) -> list[dict[str, Any]]:
        """Return the groups with the most records, as JSON objects."""
        ranked = sorted(self._groups.items(), key=lambda item: item[1].sort_key)[:limit]
        return [_describe(*key, group) for key, group in ranked]


class MessageGrouping:
    """The response to ``GET /groups``."""

    def __init__(self, reader: RecordReader) -> None:
        self._reader = reader
        self._requests = 0
        self._turn = asyncio.Lock()  # Only one thread groups at a time, so that ingestion keeps most of the processor.

    async def read(self, filters: Filters, limit: int) -> dict[str, Any]:
        """Return the largest groups among the newest `MAX_RECORDS` records, or among those that can be read in time.

        Holds at most `_MAX_READ` records and `_MAX_GROUPS` groups. Raises the exceptions of `RecordReader` if not even
        the first records can be read.
        """
        if self._requests >= _MAX_REQUESTS:
            raise TooManyQueries("too many requests for groups at the same time: try again later")
        self._requests += 1
        try:
            return await self._read(filters, limit)
        finally:
            self._requests -= 1

    async def _read(self, filters: Filters, limit: int) -> dict[str, Any]:
        groups, deadline = MessageGroups(), time.monotonic() + QUERY_TIMEOUT
        is_more = True
        while is_more and groups.count < MAX_RECORDS and time.monotonic() < deadline:
            number = min(_MAX_READ, MAX_RECORDS - groups.count) if groups.count else _FIRST_READ
            try:
                rows = await self._reader.newest(filters, limit=number + 1, after=groups.last_key, deadline=deadline)
            except QueryTimeout:
                if not groups.count:
                    raise
                break
            is_more = len(rows) > number
            async with self._turn:
                await asyncio.to_thread(groups.add, rows[:number])
        largest = groups.largest(limit)
        return {
            "groups": largest,
            "looked_at": groups.count,
            "looked_since": None if groups.last_key is None else iso_time(groups.last_key.created_at),
            "is_sample": is_more,
            "others": groups.count - sum(group["count"] for group in largest),
        }


def _describe(level: str, error_type: str, message: str, group: _Group) -> dict[str, Any]:
    return {
        "level": level,
        "error_type": error_type,
        "message": message,
        "count": group.count,
        "first_seen": iso_time(group.oldest),
        "last_seen": iso_time(group.newest.created_at),
        "services": sorted(group.services, key=lambda service: (-group.services[service], service)),
        "newest": str(group.newest),
    }

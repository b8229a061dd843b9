"""Records that say the same, as groups: how many, since when, of whom."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from concurrent_log.collector.store.message_templates import template_of
from concurrent_log.collector.store.reader import SECONDS, Reader, Row, TooMany, TooSlow, iso
from concurrent_log.collector.store.sql.statements import Filters, Place

MOST = 50_000  # records that are looked at
_FIRST, _AT_ONCE = 200, 2000  # records that are read and held at the same time
_MOST_GROUPS = 10_000
_MOST_SERVICES = 10  # of a group
_QUESTIONS = 8  # at the same time


@dataclass
class _Group:
    newest: Place
    oldest: int
    count: int = 0
    services: dict[str, int] = field(default_factory=dict)

    def add(self, created_at: int, service: str | None) -> None:
        self.oldest = created_at
        self.count += 1
        if service and (service in self.services or len(self.services) < _MOST_SERVICES):
            self.services[service] = self.services.get(service, 0) + 1

    @property
    def rank(self) -> tuple[int, int, int]:
        """What groups are sorted by."""
        return -self.count, -self.newest.created_at, -self.newest.id


class Groups:
    """Records by their level, the type of their error, and the template of their message; the newest come first."""

    def __init__(self) -> None:
        self.count = 0
        self.place: Place | None = None
        self._groups: dict[tuple[str, str, str], _Group] = {}

    def add(self, rows: Iterable[Row]) -> None:
        """Add records; those of a new group are only counted where there are too many groups already."""
        for created_at, number, level, service, error_type, message in rows:
            self.count += 1
            self.place = Place(created_at, number)
            key = level, error_type or "", template_of(message or "")
            group = self._groups.get(key)
            if group is None:
                if len(self._groups) >= _MOST_GROUPS:
                    continue
                group = self._groups[key] = _Group(self.place, created_at)
            group.add(created_at, service)

    def largest(self, limit: int) -> list[dict[str, Any]]:
        """Return the groups with the most records, as JSON objects."""
        ranked = sorted(self._groups.items(), key=lambda item: item[1].rank)[:limit]
        return [_described(*key, group) for key, group in ranked]


class Grouping:
    """What `GET /groups` says."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._questions = 0
        self._turn = asyncio.Lock()  # One thread at a time groups, so that it takes little from those who send.

    async def answer(self, filters: Filters, limit: int) -> dict[str, Any]:
        """Return the largest groups among the newest `MOST` records, or among those that can be read in time.

        No more than `_AT_ONCE` records are held, and no more than `_MOST_GROUPS` groups. Raises what a `Reader` raises
        where not even the first records can be read.
        """
        if self._questions >= _QUESTIONS:
            raise TooMany("too many ask for groups at the same time: try again later")
        self._questions += 1
        try:
            return await self._answer(filters, limit)
        finally:
            self._questions -= 1

    async def _answer(self, filters: Filters, limit: int) -> dict[str, Any]:
        groups, deadline = Groups(), time.monotonic() + SECONDS
        is_more = True
        while is_more and groups.count < MOST and time.monotonic() < deadline:
            number = min(_AT_ONCE, MOST - groups.count) if groups.count else _FIRST
            try:
                rows = await self._reader.newest(filters, limit=number + 1, after=groups.place, deadline=deadline)
            except TooSlow:
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
            "looked_since": None if groups.place is None else iso(groups.place.created_at),
            "is_sample": is_more,
            "others": groups.count - sum(group["count"] for group in largest),
        }


def _described(level: str, error_type: str, message: str, group: _Group) -> dict[str, Any]:
    return {
        "level": level,
        "error_type": error_type,
        "message": message,
        "count": group.count,
        "first_seen": iso(group.oldest),
        "last_seen": iso(group.newest.created_at),
        "services": sorted(group.services, key=lambda service: (-group.services[service], service)),
        "newest": str(group.newest),
    }

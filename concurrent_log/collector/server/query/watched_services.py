"""The services that programs watch: what their monitors have logged, read and told."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from concurrent_log.collector.server.query.monitor_events import told
from concurrent_log.collector.server.query.monitor_history import Programs, Who
from concurrent_log.collector.store.reader import PAGE_BYTES, SECONDS, Reader, Row, TooMany, TooSlow, iso, place, size
from concurrent_log.collector.store.sql import statements as query
from concurrent_log.collector.store.sql.statements import Filters, Place

MOST = 20_000  # records that are looked at
_AT_ONCE = 1000  # records that are read and held at the same time
_LEAST = 0.1  # seconds for the last query of several
_QUESTIONS = 8  # at the same time
_CREATED_AT, _ATTRIBUTES = (query.SELECTED.index(name) for name in ("created_at", "attributes"))
_WHO = tuple(query.SELECTED.index(name) for name in Who._fields)


class _Reading:
    """What is known of the services within a range so far."""

    def __init__(self, since: int, until: int) -> None:
        self.programs = Programs(since, until)
        self.records = self.unreadable = 0
        self.place: Place | None = None

    def add(self, rows: Sequence[Row]) -> None:
        """Take records, which are older than those before."""
        for row in rows:
            found = told(row[_ATTRIBUTES])
            if found is None:
                self.unreadable += 1
            else:
                self.programs.add(row[_CREATED_AT], Who(*(row[position] for position in _WHO)), found)
        self.records += len(rows)
        self.place = place(rows[-1]) if rows else self.place


class Services:
    """What `GET /services` says."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._questions = 0
        self._turn = asyncio.Lock()  # One after the other, so that it takes little from those who send.

    async def answer(self, filters: Filters, since: int, until: int) -> dict[str, Any]:
        """Return the programs and their services, of the newest `MOST` records, or of those that are read in time.

        Raises what a `Reader` raises where not even the first records can be read.
        """
        if self._questions >= _QUESTIONS:
            raise TooMany("too many ask for services at the same time: try again later")
        self._questions += 1
        try:
            async with self._turn:
                return await self._answer(filters, since, until)
        finally:
            self._questions -= 1

    async def _answer(self, filters: Filters, since: int, until: int) -> dict[str, Any]:
        reading, deadline, is_more = _Reading(since, until), time.monotonic() + SECONDS, True
        while is_more and reading.records < MOST and time.monotonic() < deadline:
            try:
                rows = await self._rows(filters, reading, deadline)
            except TooSlow:
                if not reading.records:
                    raise
                break
            is_more = len(rows) == _AT_ONCE or size(rows) > PAGE_BYTES
            await asyncio.to_thread(reading.add, rows)
        return {
            "since": iso(since),
            "until": iso(until),
            "programs": await asyncio.to_thread(reading.programs.described),
            "is_cut": reading.programs.is_cut,
            "looked_at": reading.records,
            "looked_since": None if reading.place is None else iso(reading.place.created_at),
            "is_sample": is_more,
            "unreadable": reading.unreadable,
        }

    async def _rows(self, filters: Filters, reading: _Reading, deadline: float) -> list[Row]:
        statement = query.page(self._reader.dialect, filters, limit=_AT_ONCE, newest_first=True, after=reading.place)
        return await self._reader.rows(statement, max(_LEAST, deadline - time.monotonic()))

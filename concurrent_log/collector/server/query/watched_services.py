"""The response to ``GET /services``: reads the records of health monitors, and builds the history of each service."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from concurrent_log.collector.server.query.monitor_events import parse_monitor_event
from concurrent_log.collector.server.query.monitor_history import ProgramHistories, ProgramId
from concurrent_log.collector.store.interface import QueryTimeout, TooManyQueries
from concurrent_log.collector.store.reader import (
    MAX_RESULT_BYTES,
    QUERY_TIMEOUT,
    RecordReader,
    ResultRow,
    iso_time,
    record_key,
    result_size,
)
from concurrent_log.collector.store.sql.filters import Filters, RecordKey
from concurrent_log.collector.store.sql.statements import RECORD_COLUMNS, select_page

MAX_RECORDS = 20_000  # records that are read
_PAGE_LENGTH = 1000  # records that are read and held at a time
_MIN_TIMEOUT = 0.1  # seconds for the last of several queries
_MAX_REQUESTS = 8  # at the same time
_CREATED_AT, _ATTRIBUTES = (RECORD_COLUMNS.index(name) for name in ("created_at", "attributes"))
_PROGRAM = tuple(RECORD_COLUMNS.index(name) for name in ProgramId._fields)


class _ReadProgress:
    """The histories from the records that were read so far."""

    def __init__(self, since: int, until: int) -> None:
        self.histories = ProgramHistories(since, until)
        self.records = self.unreadable = 0
        self.last_key: RecordKey | None = None

    def add(self, rows: Sequence[ResultRow]) -> None:
        """Add records, which are older than those before."""
        for row in rows:
            event = parse_monitor_event(row[_ATTRIBUTES])
            if event is None:
                self.unreadable += 1
            else:
                program = ProgramId(*(row[position] for position in _PROGRAM))
                self.histories.add(row[_CREATED_AT], program, event)
        self.records += len(rows)
        self.last_key = record_key(rows[-1]) if rows else self.last_key


class WatchedServices:
    """Reads the histories; one request at a time, so that ingestion keeps most of the processor."""

    def __init__(self, reader: RecordReader) -> None:
        self._reader = reader
        self._requests = 0
        self._turn = asyncio.Lock()

    async def read(self, filters: Filters, since: int, until: int) -> dict[str, Any]:
        """Return the programs and their services, from the newest `MAX_RECORDS` records or those read in time.

        Raises the exceptions of `RecordReader` if not even the first records can be read.
        """
        if self._requests >= _MAX_REQUESTS:
            raise TooManyQueries("too many requests for services at the same time: try again later")
        self._requests += 1
        try:
            async with self._turn:
                return await self._read(filters, since, until)
        finally:
            self._requests -= 1

    async def _read(self, filters: Filters, since: int, until: int) -> dict[str, Any]:
        progress, deadline, is_more = _ReadProgress(since, until), time.monotonic() + QUERY_TIMEOUT, True
        while is_more and progress.records < MAX_RECORDS and time.monotonic() < deadline:
            try:
                rows = await self._read_page(filters, progress, deadline)
            except QueryTimeout:
                if not progress.records:
                    raise
                break
            is_more = len(rows) == _PAGE_LENGTH or result_size(rows) > MAX_RESULT_BYTES
            await asyncio.to_thread(progress.add, rows)
        return {
            "since": iso_time(since),
            "until": iso_time(until),
            "programs": await asyncio.to_thread(progress.histories.describe),
            "is_cut": progress.histories.is_cut,
            "looked_at": progress.records,
            "looked_since": None if progress.last_key is None else iso_time(progress.last_key.created_at),
            "is_sample": is_more,
            "unreadable": progress.unreadable,
        }

    async def _read_page(self, filters: Filters, progress: _ReadProgress, deadline: float) -> list[ResultRow]:
        statement = select_page(
            self._reader.dialect, filters, limit=_PAGE_LENGTH, newest_first=True, after=progress.last_key
        )
        return await self._reader.rows(statement, max(_MIN_TIMEOUT, deadline - time.monotonic()))

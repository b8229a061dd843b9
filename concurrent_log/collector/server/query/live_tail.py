"""The live tail: sends new records to every listener."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import msgspec

from concurrent_log.collector.store.interface import QueryTimeout, StoreUnavailable, TooManyQueries
from concurrent_log.collector.store.reader import NewRecords, RecordReader
from concurrent_log.collector.store.sql.filters import Filters

MAX_LISTENERS = 100
MAX_EVENT_LENGTH = 500  # records
EVENT_INTERVAL = 0.25  # seconds between two events, at least
_POLL_INTERVAL = 1.0  # seconds between two queries for records that other servers stored
_PAUSE_FACTOR = 3  # The pause after a query is at least this many times as long as the query took.
_RETRY_INTERVAL = 2.0  # seconds, while the database is unavailable


class CommitNotifier:
    """Wakes the listeners after each commit."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def notify(self) -> None:
        """Wake all waiting listeners."""
        self._next.set()
        self._next = asyncio.Event()

    def next(self) -> asyncio.Event:
        """Return an event that the next call of `notify` sets."""
        return self._next


async def tail(
    reader: RecordReader,
    filters: Filters,
    notifier: CommitNotifier,
    position: Any,
    ending: anyio.Event,
    is_allowed: Callable[[], Awaitable[bool]],
) -> AsyncIterator[dict[str, str]]:
    """Yield events with records that were stored after ``position``, and the number of skipped ones.

    It ends with ``ending``, or when ``is_allowed`` returns False because the listener's key was revoked.

    Holds at most the latest `MAX_EVENT_LENGTH` records, and none while the listener is slow: the next query finds the
    records that arrive meanwhile.
    """
    while not ending.is_set() and await is_allowed():
        committed, begin = notifier.next(), time.monotonic()
        new = await _read_new_records(reader, filters, position)
        if new is None:
            await asyncio.sleep(_RETRY_INTERVAL)
            continue
        position, took = new.position, time.monotonic() - begin
        if new.skipped:
            yield {"event": "skipped", "data": str(new.skipped)}
        if new.records:
            yield {"event": "logs", "data": msgspec.json.encode(new.records).decode()}
        await asyncio.sleep(max(EVENT_INTERVAL, _PAUSE_FACTOR * took))
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(committed.wait(), _POLL_INTERVAL)


async def _read_new_records(reader: RecordReader, filters: Filters, position: Any) -> NewRecords | None:
    """Return the new records; None if the database is unavailable or busy, which the listener need not know."""
    try:
        return await reader.new_records(filters, position, MAX_EVENT_LENGTH)
    except (StoreUnavailable, TooManyQueries, QueryTimeout):
        return None

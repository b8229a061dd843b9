"""Records as they come in, for everybody who listens."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
import msgspec

from concurrent_log.collector.store import StoreAway
from concurrent_log.collector.store.reader import Arrived, Reader, TooMany, TooSlow
from concurrent_log.collector.store.sql.statements import Filters

LISTENERS = 100
AT_ONCE = 500  # records in one event
PAUSE = 0.25  # seconds between two events
_ELSEWHERE = 1.0  # seconds until we look for what another server has stored
_SHARE = 3  # a look is followed by a pause of this many times as long as it took
_AGAIN = 2.0  # seconds until we look again when the database is away


class Arrivals:
    """Wakes those who wait for new records."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def tell(self) -> None:
        """Say that something was stored."""
        self._next.set()
        self._next = asyncio.Event()

    def next(self) -> asyncio.Event:
        """Return what is set when something is stored from now on."""
        return self._next


async def tail(
    reader: Reader, filters: Filters, arrivals: Arrivals, position: Any, ending: anyio.Event
) -> AsyncIterator[dict[str, str]]:
    """Yield events with what has been stored since ``position``, and with how many were left out, until ``ending``.

    No more than the latest `AT_ONCE` records are held, and none while the listener is slow: what arrives meanwhile is
    found by the next look.
    """
    while not ending.is_set():
        woken, begin = arrivals.next(), time.monotonic()
        arrived = await _look(reader, filters, position)
        if arrived is None:
            await asyncio.sleep(_AGAIN)
            continue
        position, took = arrived.position, time.monotonic() - begin
        if arrived.skipped:
            yield {"event": "skipped", "data": str(arrived.skipped)}
        if arrived.records:
            yield {"event": "logs", "data": msgspec.json.encode(arrived.records).decode()}
        await asyncio.sleep(max(PAUSE, _SHARE * took))
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(woken.wait(), _ELSEWHERE)


async def _look(reader: Reader, filters: Filters, position: Any) -> Arrived | None:
    """Return what has arrived; None where the database cannot say now, which the listener need not know."""
    try:
        return await reader.arrived(filters, position, AT_ONCE)
    except (StoreAway, TooMany, TooSlow):
        return None

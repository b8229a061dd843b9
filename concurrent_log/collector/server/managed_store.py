"""What the server does by itself: opens the store, again and again while it is away, and keeps it in order."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from concurrent_log.collector.store import Added, Batch, Store, StoreAway, StoreUnusable
from concurrent_log.internal import stderr

_RETRY = 2.0  # seconds between two looks for a database that is away
_ROUND = 3600.0  # seconds between two rounds of keeping it in order


class KeptStore:
    """A store that is opened as soon as its database answers, and kept in order while it is open.

    Attributes:
        store: The store; to be asked only while `is_open`.
        is_open: Whether the store has been opened.
        told: Called after each batch.
    """

    def __init__(self, store: Store, retention_days: int | None) -> None:
        self.store = store
        self.is_open = False
        self.told: Callable[[], None] = lambda: None
        self._retention_days = retention_days
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Open the store, or go on trying; raise `StoreUnusable` where this makes no sense."""
        if self._task is not None:
            return
        if not await self._open():
            stderr.warn("the database is away; the server answers 503 until it is there")
        self._task = asyncio.create_task(self._keep())

    async def end(self) -> None:
        """Close the store."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self.is_open:
            await self.store.close()

    async def add(self, batch: Batch) -> Added:
        """Store ``batch``, as `Store.add`."""
        self.require()
        added = await self.store.add(batch)
        self.told()
        return added

    async def is_ready(self) -> bool:
        """Return whether the store is open, and its database answers."""
        return self.is_open and await self.store.is_ready()

    def require(self) -> None:
        """Raise `StoreAway` unless the store is open."""
        if not self.is_open:
            raise StoreAway("the database is away")

    async def _open(self) -> bool:
        try:
            await self.store.open()
        except StoreAway:
            return False
        self.is_open = True
        return True

    async def _keep(self) -> None:
        while not self.is_open:
            await asyncio.sleep(_RETRY)
            try:
                if await self._open():
                    stderr.warn("the database is there")
            except StoreUnusable as error:
                stderr.warn(str(error))
        while True:
            try:
                await self._put_in_order()
            except (StoreAway, OSError) as error:
                stderr.warn(f"old records could not be removed: {error}")
            await asyncio.sleep(_ROUND)

    async def _put_in_order(self) -> None:
        await self.store.prepare()
        if self._retention_days is not None:
            today = datetime.now(timezone.utc).date()
            removed = await self.store.remove_before(today - timedelta(days=self._retention_days))
            if removed:
                stderr.warn(f"removed {removed:,} records that were older than {self._retention_days} days")

"""The life of the store: opens it, tries again while the database is unavailable, and runs hourly maintenance."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from concurrent_log.collector.server.retention import remove_expired_records
from concurrent_log.collector.store.interface import (
    AddResult,
    IncomingBatch,
    Store,
    StoreUnavailable,
    StoreUnusable,
)
from concurrent_log.internal import stderr

_RETRY_INTERVAL = 2.0  # seconds between two attempts to open the store
_MAINTENANCE_INTERVAL = 3600.0  # seconds


class ManagedStore:
    """A store that is opened as soon as its database responds, and maintained while it is open.

    Attributes:
        store: The store; use it only while `is_open` is true.
        is_open: Whether the store is open.
        on_commit: Called after each batch is stored.
        on_open: Awaited once, when the store is open.
    """

    def __init__(self, store: Store, retention_days: int | None) -> None:
        self.store = store
        self.is_open = False
        self.on_commit: Callable[[], None] = lambda: None
        self.on_open: Callable[[], Awaitable[None]] | None = None
        self._retention_days = retention_days
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the store, or keep trying in the background; raise `StoreUnusable` if trying again is pointless."""
        if self._task is not None:
            return
        if not await self._open():
            stderr.warn("the database is unavailable; the server responds with 503 until it is available")
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Close the store."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self.is_open:
            await self.store.close()

    async def add(self, batch: IncomingBatch) -> AddResult:
        """Store ``batch``, as `Store.add` does."""
        self.require_open()
        added = await self.store.add(batch)
        self.on_commit()
        return added

    async def is_ready(self) -> bool:
        """Return whether the store is open, and its database responds."""
        return self.is_open and await self.store.is_ready()

    def require_open(self) -> None:
        """Raise `StoreUnavailable` unless the store is open."""
        if not self.is_open:
            raise StoreUnavailable("the database is unavailable")

    async def _open(self) -> bool:
        try:
            await self.store.open()
        except StoreUnavailable:
            return False
        self.is_open = True
        if self.on_open is not None:
            await self.on_open()
        return True

    async def _run(self) -> None:
        while not self.is_open:
            await asyncio.sleep(_RETRY_INTERVAL)
            try:
                if await self._open():
                    stderr.warn("the database is available")
            except StoreUnusable as error:
                stderr.warn(str(error))
        while True:
            try:
                await self._maintain()
            except (StoreUnavailable, OSError) as error:
                stderr.warn(f"old records could not be removed: {error}")
            await asyncio.sleep(_MAINTENANCE_INTERVAL)

    async def _maintain(self) -> None:
        await self.store.prepare()
        if self._retention_days is not None:
            removed = await remove_expired_records(self.store, self._retention_days)
            if removed:
                stderr.warn(f"removed {removed:,} records that were older than {self._retention_days} days")

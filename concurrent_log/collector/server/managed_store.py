"""The life of the store: opens it, tries again while the database is unavailable, and maintains it."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from concurrent_log.collector.server.background_tasks import BackgroundTasks
from concurrent_log.collector.server.retention import (
    ClockCheck,
    Retention,
    remove_expired_records,
    remove_expired_records_of,
)
from concurrent_log.collector.server.store_problems import StoreProblems
from concurrent_log.collector.store.interface import (
    AddResult,
    DiskFull,
    IncomingBatch,
    RemovalDelayed,
    Store,
    StoreUnavailable,
    StoreUnusable,
)
from concurrent_log.internal import stderr

_RETRY_INTERVAL = 2.0  # seconds between two attempts to open the store
_MAINTENANCE_INTERVAL = 3600.0  # seconds
_SIZE_INTERVAL = 60.0  # seconds between two looks at the size of the store


class ManagedStore:
    """A store that is opened as soon as its database responds, and maintained while it is open.

    Attributes:
        store: The store; use it only while `is_open` is true.
        is_open: Whether the store is open.
        on_commit: Called after each batch is stored.
        on_open: Awaited once, when the store is open.
        tasks: The tasks in the background.
        problems: Reports why the database is unavailable.
        failed_write: Why the last batch could not be stored; None if it was stored.
    """

    def __init__(self, store: Store, retention: Retention) -> None:
        self.store = store
        self.is_open = False
        self.on_commit: Callable[[], None] = lambda: None
        self.on_open: Callable[[], Awaitable[None]] | None = None
        self.tasks = BackgroundTasks()
        self.failed_write: Exception | None = None
        self.problems = StoreProblems()
        self._retention = retention
        self._clock: ClockCheck | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the store, or keep trying in the background; raise `StoreUnusable` if trying again is pointless."""
        if self._task is not None:
            return
        try:
            await self._open()
        except StoreUnavailable as error:
            self.problems.report(error)
            stderr.warn("the server responds with 503 until the database is available")
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Close the store."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.tasks.stop()
        if self.is_open:
            await self.store.close()

    async def add(self, batch: IncomingBatch) -> AddResult:
        """Store ``batch``, as `Store.add` does."""
        self.require_open()
        try:
            added = await self.store.add(batch)
        except (StoreUnavailable, StoreUnusable) as error:
            if self.failed_write is None:
                self.tasks.wake()  # It may be the time for retention.
            self.failed_write = error
            self.problems.report(error)
            raise error if isinstance(error, StoreUnavailable) else StoreUnavailable(str(error)) from error
        self.failed_write = None
        self.problems.end()
        self.on_commit()
        return added

    async def is_ready(self) -> bool:
        """Return whether the store is open, and its database can be read and written."""
        if not self.is_open:
            return False
        is_ready = await self.store.is_ready()
        if is_ready and self.failed_write is None:
            return True
        try:
            await self.store.check_writable()
        except Exception as error:
            self.failed_write = error
            return False
        self.failed_write = None
        return is_ready or await self.store.is_ready()

    @property
    def problem(self) -> str:
        """Why the store is not ready, without paths and addresses."""
        if isinstance(self.failed_write, DiskFull):
            return str(self.failed_write)
        return "the database is unavailable" if self.failed_write is None else "the database cannot be written"

    def require_open(self) -> None:
        """Raise `StoreUnavailable` unless the store is open."""
        if not self.is_open:
            raise StoreUnavailable("the database is unavailable")

    async def _open(self) -> None:
        if not self.is_open:
            await self.store.open()
            self.is_open = True
        if self.on_open is not None:
            await self.on_open()
            self.on_open = None

    async def _run(self) -> None:
        while not self.is_open or self.on_open is not None:
            await asyncio.sleep(_RETRY_INTERVAL)
            try:
                await self._open()
            except Exception as error:
                self.problems.report(error)
            else:
                self.problems.end()
        self.tasks.start("partitions", self.store.prepare, _MAINTENANCE_INTERVAL)
        if self._retention.days is not None:
            self.tasks.start("retention by age", self._remove_old, _MAINTENANCE_INTERVAL)
        if self._retention.services:
            self.tasks.start("retention of services", self._remove_old_of_services, _MAINTENANCE_INTERVAL)
        if self._retention.size is not None:
            self.tasks.start("retention by size", self._remove_excess, _SIZE_INTERVAL)

    async def _may_go_by_the_clock(self) -> bool:
        if self._clock is None:
            newest = await self.store.newest_arrival()
            self._clock = ClockCheck(time.time() if newest is None else newest / 1_000_000, time.monotonic())
        return self._clock.is_plausible(time.time(), time.monotonic())

    async def _remove_old_of_services(self) -> None:
        if await self._may_go_by_the_clock():
            for service, days in self._retention.services:
                removed = await remove_expired_records_of(self.store, service, days)
                if removed:
                    stderr.warn(f"removed {removed:,} records of {service} that were older than {days} days")

    async def _remove_old(self) -> None:
        days = self._retention.days
        assert days is not None
        if await self._may_go_by_the_clock():
            await _report_removed(remove_expired_records(self.store, days), f"that were older than {days} days")

    async def _remove_excess(self) -> None:
        size = self._retention.size
        assert size is not None
        await _report_removed(self.store.remove_to_size(size), f"because the store had more than {size:,} bytes")


async def _report_removed(removal: Awaitable[int], reason: str) -> None:
    """Report the number of removed records, also if others cannot be removed yet."""
    removed = 0
    try:
        removed = await removal
    except RemovalDelayed as delayed:
        removed = delayed.removed
        raise
    finally:
        if removed:
            stderr.warn(f"removed {removed:,} records {reason}")

"""The bounded queue between the logging calls and the worker. It is safe against signals and forks.

It builds on the interpreter's `queue.SimpleQueue`, whose ``put`` is reentrant: a signal handler may log while the same
thread is logging.
"""

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable
from queue import Empty
from typing import NamedTuple

from concurrent_log.background.exact_snapshot import Snapshot
from concurrent_log.internal.threads import Event, make_queue, make_rlock, take

_BATCH_DELAY = 0.01  # seconds to collect a batch while no thread waits for a flush or for room
_WORKER_CHECK_INTERVAL = 0.1  # seconds after which a blocked logging call checks that a worker runs
_MAX_BATCH = 1000  # records


class FlushMarker(Event):
    """An item of the queue that is set when all records before it are written."""


class DroppedRecords(NamedTuple):
    """The number of dropped records, and the time of the first one, in seconds since the epoch."""

    records: int
    since: float


class RecordQueue:
    """The records of one handler that are not written yet.

    Args:
        capacity: Maximum number of records. Threads that log at the same moment may exceed it by one each.
        when_full: What to do with a record when the queue is full: ``block``, ``drop_oldest`` or ``drop_newest``.
        may_wait: Returns whether the calling thread may wait for the worker; it does not if it is the worker.
        ensure_worker: Starts the worker if it does not run; called by a thread that waits for room.
    """

    def __init__(
        self, capacity: int, when_full: str, may_wait: Callable[[], bool], ensure_worker: Callable[[], None]
    ) -> None:
        self._capacity = capacity
        self._when_full = when_full
        self._may_wait = may_wait
        self._ensure_worker = ensure_worker
        self._items = make_queue()
        self._markers: deque[FlushMarker] = deque()
        self._blocked: deque[None] = deque()  # one item for each thread that waits for room
        self._wake_up = make_queue()  # ends the batch delay of the worker
        self._room = make_queue()  # wakes up the blocked threads
        self.lock = make_rlock()
        self._dropped = self._reported_dropped = 0
        self._dropped_since = 0.0
        self._pid = os.getpid()

    def __len__(self) -> int:
        """Return the number of records."""
        return max(0, self._items.qsize() - len(self._markers))

    def size(self) -> int:
        """Return the number of items: records and flush markers."""
        return self._items.qsize()

    def put(self, item: Snapshot) -> None:
        """Add one record. If the queue is full, block or drop a record."""
        if self._items.qsize() < self._capacity or self._make_room():
            self._items.put(item)

    def take_batch(self, *, wait: bool) -> "list[Snapshot | FlushMarker]":
        """Remove and return the oldest items.

        With ``wait``, wait for the first item and then for the batch delay. Without it, the list may be empty.
        """
        items = []
        with contextlib.suppress(Empty):
            items.append(take(self._items) if wait else self._items.get_nowait())
            if wait:
                self._wait_for_batch()
            while len(items) < _MAX_BATCH:
                items.append(self._items.get_nowait())
        if self._blocked and self._items.qsize() <= self._capacity // 2:
            for _ in range(len(self._blocked)):
                self._room.put(None)
        return items

    def put_marker(self) -> FlushMarker:
        """Add a flush marker behind all queued records, and end the batch delay of the worker."""
        marker = FlushMarker()
        self._markers.append(marker)
        self._items.put(marker)
        self._wake_up.put(None)
        return marker

    def interrupt(self) -> None:
        """End the waiting of `take_batch`, with a flush marker if none is queued."""
        if self._markers:
            self._wake_up.put(None)
        else:
            self.put_marker()

    def complete_marker(self, marker: FlushMarker) -> None:
        """Notify the thread that waits for ``marker``: everything before it is written."""
        with contextlib.suppress(ValueError):
            self._markers.remove(marker)
        marker.set()

    def dropped(self) -> int:
        """Return the number of dropped records."""
        return self._dropped

    def take_dropped(self) -> DroppedRecords | None:
        """Return the records dropped since the last call; None if there are none, or while the queue is still full."""
        if self._dropped == self._reported_dropped or self._items.qsize() >= self._capacity:
            return None
        with self.lock:
            records = self._dropped - self._reported_dropped
            self._reported_dropped += records
            return DroppedRecords(records, self._dropped_since)

    def _wait_for_batch(self) -> None:
        """Wait for more records: a worker that wakes up for each record interrupts the program each time."""
        while not self._wake_up.empty():
            self._wake_up.get_nowait()
        if not (self._markers or self._blocked or self._items.qsize() > self._capacity // 2):
            with contextlib.suppress(Empty):
                take(self._wake_up, _BATCH_DELAY)

    def _make_room(self) -> bool:
        """Return whether the record may be added."""
        if self._when_full == "block":
            self._wait_for_room()
        elif self._when_full == "drop_newest":
            self._count_dropped()
            return False
        else:
            self._drop_oldest()
        return True

    def _wait_for_room(self) -> None:
        if not self._may_wait():
            return  # The queue exceeds its capacity.
        try:
            self._blocked.append(None)
            self._wake_up.put(None)
            # Until half of the queue is free: with less room, the thread would block again at its next record.
            while self._items.qsize() > self._capacity // 2 and self._pid == os.getpid():
                try:
                    take(self._room, _WORKER_CHECK_INTERVAL)
                except Empty:
                    self._ensure_worker()
        finally:
            with contextlib.suppress(IndexError):  # A signal handler may have raised before the append.
                self._blocked.pop()

    def _drop_oldest(self) -> None:
        for _ in range(self._items.qsize()):  # Bounded: there may be nothing but flush markers, which go back.
            if self._items.qsize() < self._capacity:
                return
            try:
                oldest = self._items.get_nowait()
            except Empty:
                return
            if isinstance(oldest, FlushMarker):
                self._items.put(oldest)
            else:
                self._count_dropped()

    def _count_dropped(self) -> None:
        with self.lock:
            if self._dropped == self._reported_dropped:
                self._dropped_since = time.time()
            self._dropped += 1  # In one step: a signal handler that logs may interrupt this method.

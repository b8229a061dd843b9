"""The queue of records that wait to be written: bounded, in order, and safe against signals and forks.

It is built of `queue.SimpleQueue`, whose ``put`` may be interrupted by itself: a signal handler may log while the
same thread is logging.
"""

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import NamedTuple

from concurrent_log.background.snapshot import Snapshot

_PAUSE = 0.01  # seconds for which records gather before they are written, as far as nobody waits for them
_LOOK_AGAIN = 0.1  # seconds after which one who waits for room makes sure that there is a worker
_MOST = 1000  # records that are taken at once


class Barrier(threading.Event):
    """A mark in the queue; it is set when everything before it is written."""


class Dropped(NamedTuple):
    """How many records were dropped, and since when, in seconds since the epoch."""

    records: int
    since: float


class RecordQueue:
    """The records of one handler that wait to be written.

    Args:
        capacity: How many may wait; threads that log at the same moment may exceed it by one each.
        when_full: What becomes of one more: ``block``, ``drop_oldest`` or ``drop_newest``.
        is_worker: Called by one who finds the queue full: returns whether he is the one who takes records, and so
            must not wait for himself.
        need_worker: Called by one who waits for room: makes sure that somebody takes records.
    """

    def __init__(
        self, capacity: int, when_full: str, is_worker: Callable[[], bool], need_worker: Callable[[], None]
    ) -> None:
        self._capacity = capacity
        self._when_full = when_full
        self._is_worker = is_worker
        self._need_worker = need_worker
        self._items: SimpleQueue[Snapshot | Barrier] = SimpleQueue()
        self._barriers: deque[Barrier] = deque()
        self._blocked: deque[None] = deque()  # one for each thread that waits for room
        self._bell: SimpleQueue[None] = SimpleQueue()  # ends the pause of the worker
        self._room: SimpleQueue[None] = SimpleQueue()  # ends the waiting for room
        self._lock = threading.RLock()
        self._dropped = self._told = 0
        self._dropped_since = 0.0
        self._pid = os.getpid()

    def __len__(self) -> int:
        """Return how many records wait."""
        return max(0, self._items.qsize() - len(self._barriers))

    def size(self) -> int:
        """Return how many items wait: records and marks."""
        return self._items.qsize()

    def put(self, item: Snapshot) -> None:
        """Let one record wait; where the queue is full, do what is to be done then."""
        if self._items.qsize() < self._capacity or self._make_room():
            self._items.put(item)

    def take(self, *, wait: bool) -> "list[Snapshot | Barrier]":
        """Return the items that come next, oldest first.

        With ``wait``, wait for the first one, and a moment for others to gather; else the list may be empty.
        """
        items = []
        with contextlib.suppress(Empty):
            items.append(self._items.get(block=wait))
            if wait:
                self._pause()
            while len(items) < _MOST:
                items.append(self._items.get_nowait())
        if self._blocked and self._items.qsize() <= self._capacity // 2:
            for _ in range(len(self._blocked)):
                self._room.put(None)
        return items

    def put_barrier(self) -> Barrier:
        """Put a mark behind all records that wait now; it wakes the worker up and lets it hurry."""
        mark = Barrier()
        self._barriers.append(mark)
        self._items.put(mark)
        self._bell.put(None)
        return mark

    def pass_barrier(self, mark: Barrier) -> None:
        """Tell who waits at the mark that everything before it is written."""
        with contextlib.suppress(ValueError):
            self._barriers.remove(mark)
        mark.set()

    def dropped(self) -> int:
        """Return how many records have been dropped."""
        return self._dropped

    def newly_dropped(self) -> Dropped | None:
        """Return what was dropped since this was last asked; None for nothing, or while the queue is still full."""
        if self._dropped == self._told or self._items.qsize() >= self._capacity:
            return None
        with self._lock:
            records = self._dropped - self._told
            self._told += records
            return Dropped(records, self._dropped_since)

    def _pause(self) -> None:
        """Let records gather: a worker that wakes up for each of them interrupts the program each time."""
        while not self._bell.empty():
            self._bell.get_nowait()
        if not (self._barriers or self._blocked or self._items.qsize() > self._capacity // 2):
            with contextlib.suppress(Empty):
                self._bell.get(timeout=_PAUSE)

    def _make_room(self) -> bool:
        """Return whether one more record may wait."""
        if self._when_full == "block":
            self._wait_for_room()
        elif self._when_full == "drop_newest":
            self._drop()
            return False
        else:
            self._drop_oldest()
        return True

    def _wait_for_room(self) -> None:
        if self._is_worker():
            return
        try:
            self._blocked.append(None)
            self._bell.put(None)
            # Until half of it is free: who is let in as soon as there is room waits again for the next record.
            while self._items.qsize() > self._capacity // 2 and self._pid == os.getpid():
                try:
                    self._room.get(timeout=_LOOK_AGAIN)
                except Empty:
                    self._need_worker()
        finally:
            with contextlib.suppress(IndexError):  # A signal handler raised before it was there.
                self._blocked.pop()

    def _drop_oldest(self) -> None:
        for _ in range(self._items.qsize()):  # Once round: what is put back may be all there is.
            if self._items.qsize() < self._capacity:
                return
            try:
                oldest = self._items.get_nowait()
            except Empty:
                return
            if isinstance(oldest, Barrier):
                self._items.put(oldest)
            else:
                self._drop()

    def _drop(self) -> None:
        with self._lock:
            if self._dropped == self._told:
                self._dropped_since = time.time()
            self._dropped += 1  # In one step: a signal handler that logs may be here, too.

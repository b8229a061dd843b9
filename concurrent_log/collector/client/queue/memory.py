"""The queue in memory: bounded in records and in bytes; when it is full, the oldest record is dropped."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from concurrent_log.collector.client.batch import LARGEST_BATCH, OutgoingBatch
from concurrent_log.collector.client.deferred_entry import DeferredEntry, Entry, build_entry
from concurrent_log.collector.client.json_values import encode_entry, freeze
from concurrent_log.collector.client.losses import Losses
from concurrent_log.internal.threads import make_rlock

Counts = tuple[int, ...]  # of records, one number for each part of a queue

FULL, TOO_LARGE = "queue full", "larger than the queue"


class MemoryQueue:
    """Entries to send.

    No method blocks. A signal handler or a finalizer may log in the middle of a method: the lock is re-entrant, and the
    counts are right after each step.

    Attributes:
        wake_at: The number of queued records that wakes the worker; the worker sets it before it waits.
    """

    wake_at: float

    def __init__(
        self,
        client_id: str,
        common: bytes,
        capacity: int,
        capacity_bytes: int,
        losses: Losses,
        wake: Callable[[], None],
    ) -> None:
        self.wake_at = float("inf")
        self._client_id = client_id
        self._common = common
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._losses = losses
        self._wake = wake
        self._lock = make_rlock()
        self._entries: deque[Entry | DeferredEntry] = deque()
        self._sizes: deque[int] = deque()
        self._bytes = 0
        self._enqueued = 0
        self._batches = 0

    def __len__(self) -> int:
        """Return the number of queued records."""
        return len(self._entries)

    def size(self) -> int:
        """Return the approximate size of the queued records in bytes."""
        return max(0, self._bytes)

    def locks(self) -> Iterable[Any]:
        """Return the locks that the worker may wait for."""
        return (self._lock,)

    def enqueued(self) -> Counts:
        """Return the number of records that have entered the queue."""
        return (self._enqueued,)

    def dequeued(self) -> Counts:
        """Return the number of records that have left the queue, taken or dropped."""
        with self._lock:
            return (self._enqueued - len(self._entries),)

    def put(self, entry: Entry | DeferredEntry, size: int = 0) -> None:
        """Add one entry; if there is no room, drop the oldest ones. A deferred entry is frozen, and needs ``size``."""
        if type(entry) is dict:
            size = freeze(entry)
        with self._lock:
            self._entries.append(entry)
            self._sizes.append(size)
            self._enqueued += 1
            self._bytes += size
            length = len(self._entries)
            if length > self._capacity or self._bytes > self._capacity_bytes:
                self._make_room(size)
        if length >= self.wake_at:
            self.wake_at = float("inf")
            self._wake()

    def _make_room(self, size: int) -> None:
        if size > self._capacity_bytes:
            # Drop this entry only, not the whole queue.
            self._entries.pop()
            self._bytes -= self._sizes.pop()
            self._losses.add(TOO_LARGE)
            return
        dropped = 0
        while len(self._entries) > self._capacity or (self._bytes > self._capacity_bytes and self._entries):
            self._entries.popleft()
            self._bytes -= self._sizes.popleft()
            dropped += 1
        self._losses.add(FULL, dropped)

    def take(self, most: int) -> OutgoingBatch | None:
        """Remove the next records and return them as a batch; None if the queue is empty."""
        entries: list[Entry | DeferredEntry] = []
        total = 0
        with self._lock:
            # One by one, because a finalizer that logs here may drop the oldest entries.
            while self._entries and len(entries) < most and total < LARGEST_BATCH:
                entries.append(self._entries.popleft())
                size = self._sizes.popleft() if self._sizes else 0
                self._bytes -= size
                total += size
        if not entries:
            return None
        return OutgoingBatch(self.new_id(), self._common, [encode_entry(build_entry(entry)) for entry in entries])

    def new_id(self) -> str:
        """Return a unique id for a batch."""
        self._batches += 1
        return f"{self._client_id}-{self._batches}"

    def settle(self, batch: OutgoingBatch) -> None:
        """Do nothing: the queue keeps no copy of ``batch``."""

    def adopt_orphans(self) -> None:
        """Do nothing: other processes leave no records in memory."""

    def describe_unsent(self, records: int, endpoint: str) -> str:
        """Return the message for ``records`` that could not be sent in time."""
        return f"{records:,} records were not sent to {endpoint} in time"

    def close(self) -> None:
        """Do nothing: queued records end with the process."""

    def close_in_child(self) -> None:
        """Do nothing: after a fork, the queue holds no resource of the parent."""

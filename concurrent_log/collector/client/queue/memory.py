"""The queue in memory: bounded in records and in bytes; when it is full, the oldest record goes."""

import threading
from collections import deque
from collections.abc import Callable

from concurrent_log.collector.client.batch import LARGEST_BATCH, Batch
from concurrent_log.collector.client.deferred_entry import Entry, Late, built
from concurrent_log.collector.client.json_values import encode_entry, freeze
from concurrent_log.collector.client.losses import Losses

Mark = tuple[int, ...]  # how many records had been put, in each part of a queue

FULL, TOO_LARGE = "queue full", "larger than the queue"


class MemoryQueue:
    """Entries that wait to be sent.

    Nobody waits in here, and a signal handler or a destructor may log in the middle of it: the lock is one that its
    owner may take again, and each step leaves the counts right.

    Attributes:
        ring_at: How many waiting records wake the worker up; it sets this when it begins to wait.
    """

    ring_at: float

    def __init__(
        self,
        client_id: str,
        common: bytes,
        capacity: int,
        capacity_bytes: int,
        losses: Losses,
        ring: Callable[[], None],
    ) -> None:
        self.ring_at = float("inf")
        self._client_id = client_id
        self._common = common
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._losses = losses
        self._ring = ring
        self._lock = threading.RLock()
        self._entries: deque[Entry | Late] = deque()
        self._sizes: deque[int] = deque()
        self._bytes = 0
        self._put = 0
        self._batches = 0

    def __len__(self) -> int:
        """Return how many records wait."""
        return len(self._entries)

    def size(self) -> int:
        """Return about how many bytes they take."""
        return max(0, self._bytes)

    def mark(self) -> Mark:
        """Return how many records have been put."""
        return (self._put,)

    def gone(self) -> Mark:
        """Return how many have left the queue, whichever way."""
        with self._lock:
            return (self._put - len(self._entries),)

    def put(self, entry: Entry | Late, size: int = 0) -> None:
        """Let one entry wait; where there is no room, the oldest ones go. A late one comes with its size, frozen."""
        if type(entry) is dict:
            size = freeze(entry)
        with self._lock:
            self._entries.append(entry)
            self._sizes.append(size)
            self._put += 1
            self._bytes += size
            waiting = len(self._entries)
            if waiting > self._capacity or self._bytes > self._capacity_bytes:
                self._make_room(size)
        if waiting >= self.ring_at:
            self.ring_at = float("inf")
            self._ring()

    def _make_room(self, size: int) -> None:
        if size > self._capacity_bytes:
            # It alone goes, not all that waits.
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

    def take(self, most: int) -> Batch | None:
        """Return the next records as a batch; None where none wait."""
        entries: list[Entry | Late] = []
        taken = 0
        with self._lock:
            # One by one: a destructor that logs in here may drop the oldest ones.
            while self._entries and len(entries) < most and taken < LARGEST_BATCH:
                entries.append(self._entries.popleft())
                size = self._sizes.popleft() if self._sizes else 0
                self._bytes -= size
                taken += size
        if not entries:
            return None
        return Batch(self.new_id(), self._common, [encode_entry(built(entry)) for entry in entries])

    def new_id(self) -> str:
        """Return an id that no other batch has."""
        self._batches += 1
        return f"{self._client_id}-{self._batches}"

    def settle(self, batch: Batch) -> None:
        """Forget ``batch``; nothing is kept of it here."""

    def look_around(self) -> None:
        """Do nothing: no other process left anything here."""

    def farewell(self, left: int, endpoint: str) -> str:
        """Return what to say where ``left`` records could not be sent in time."""
        return f"{left:,} records were not sent to {endpoint} in time"

    def close(self) -> None:
        """Do nothing: what still waits ends with the process."""

    def forget(self) -> None:
        """Do nothing: in the child after a fork, nothing here belongs to the parent alone."""

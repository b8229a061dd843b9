"""The queue on disk: a record is in a file when the logging call returns.

Each process appends to segments of its own, so that processes never wait for each other. A lock file beside the
segments shows whether the process is alive; another process sends what a dead one left. Nothing is synced to the disk:
records survive the end of the process, even a kill, but perhaps not a crash of the machine.

If the disk is full or cannot be written, records are queued in memory.
"""

import contextlib
import errno
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from concurrent_log.collector.client.batch import OutgoingBatch
from concurrent_log.collector.client.deferred_entry import DeferredEntry, Entry, build_entry
from concurrent_log.collector.client.json_values import encode_entry, freeze
from concurrent_log.collector.client.losses import Losses
from concurrent_log.collector.client.queue.memory import Counts, MemoryQueue
from concurrent_log.collector.client.queue.private_file import open_private
from concurrent_log.collector.client.queue.segment import SegmentPart, SpoolSegment, line_of
from concurrent_log.collector.client.queue.spool_lock import SpoolLock, try_lock
from concurrent_log.internal import stderr
from concurrent_log.internal.threads import make_rlock

FULL, CORRUPT, REMOVED = "spool full", "corrupt in the spool", "removed from the spool"

_LARGEST_SEGMENT = 8 * 2**20  # bytes
_MIN_SEGMENTS = 8  # in a full spool, whose oldest segment is dropped to make room for another one
_LOCK_ATTEMPTS = 10
_ADOPT_INTERVAL = 60.0  # seconds between two searches for segments of dead processes
_WARN_INTERVAL = 30.0  # seconds between two lines on stderr about a disk that cannot be written
_RETRY_INTERVAL = 1.0  # seconds between two attempts to write to such a disk


class Spool:
    """Records queued on disk, and in memory those that could not be written.

    Attributes:
        wake_at: The number of queued records that wakes the worker; the worker sets it before it waits.
    """

    wake_at: float

    def __init__(
        self, directory: str, limit: int, common: bytes, memory: MemoryQueue, losses: Losses, wake: Callable[[], None]
    ) -> None:
        self.wake_at = float("inf")
        self._directory = Path(directory)
        self._limit = limit
        self._segment_limit = max(1, min(_LARGEST_SEGMENT, limit // _MIN_SEGMENTS))
        self._common = common
        self._memory = memory
        self._losses = losses
        self._wake = wake
        self._lock = make_rlock()
        self._writer = 0  # id of the thread that holds the lock
        self._reentrant: deque[tuple[bytes, dict[str, Any]]] = deque()  # logged by that thread in the middle of a write
        self._segments: deque[SpoolSegment] = deque()  # of this process, the oldest first
        self._adopted: deque[SpoolSegment] = deque()  # of dead processes
        self._own_lock: SpoolLock | None = None
        self._adopted_locks: list[SpoolLock] = []
        self._fd = -1
        self._number = 0
        self._queued = 0
        self._enqueued = 0
        self._retry_at = self._adopt_at = 0.0
        self._warn_at = 0.0
        self._unsettled: SpoolSegment | None = None

    def __len__(self) -> int:
        """Return the number of queued records."""
        return self._queued + len(self._memory) + sum(segment.queued for segment in list(self._adopted))

    def size(self) -> int:
        """Return the approximate size in bytes of the records that are queued in memory."""
        return self._memory.size()

    def locks(self) -> Iterable[Any]:
        """Return the locks that the worker may wait for."""
        return (self._lock, *self._memory.locks())

    def enqueued(self) -> Counts:
        """Return the numbers of records that have entered the spool and the memory."""
        return (self._enqueued, *self._memory.enqueued())

    def dequeued(self) -> Counts:
        """Return the numbers of records that have left them, taken or dropped."""
        with self._lock:
            return (self._enqueued - self._queued, *self._memory.dequeued())

    def put(self, entry: Entry | DeferredEntry, size: int = 0) -> None:
        """Write one entry to disk; if that fails, queue it in memory."""
        entry = build_entry(entry)
        freeze(entry)
        line = line_of(encode_entry(entry))
        if self._writer == threading.get_ident():
            self._reentrant.append((line, entry))
            return
        with self._lock:
            self._writer = threading.get_ident()
            try:
                self._write(line, entry)
                while self._reentrant:
                    self._write(*self._reentrant.popleft())
            finally:
                self._writer = 0
        if self._queued + len(self._memory) >= self.wake_at:
            self.wake_at = float("inf")
            self._wake()

    def _write(self, line: bytes, entry: dict[str, Any]) -> None:
        now = time.monotonic()
        if now >= self._retry_at:
            try:
                self._append(line)
                return
            except OSError as error:
                self._retry_at = now + _RETRY_INTERVAL
                self._warn(f"cannot write to the spool {self._directory} ({error}): records are queued in memory", now)
                if isinstance(error, FileNotFoundError):
                    self._drop_own_lock()
        self._memory.put(entry)

    def _warn(self, message: str, now: float) -> None:
        if now >= self._warn_at:
            self._warn_at = now + _WARN_INTERVAL
            stderr.warn(message)

    def _append(self, line: bytes) -> None:
        if self._fd < 0 or (self._segments[-1].end or 0) + len(line) > self._segment_limit:
            self._begin_segment(len(line))
        segment = self._segments[-1]
        before = segment.end or 0
        if os.write(self._fd, line) != len(line):
            os.ftruncate(self._fd, before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        segment.end = before + len(line)
        segment.queued += 1
        self._queued += 1
        self._enqueued += 1

    def _begin_segment(self, needed: int) -> None:
        self._end_segment()
        self._make_room(max(needed, self._segment_limit))
        if self._own_lock is None:
            self._own_lock = self._lock_new_name()
        self._number += 1
        path = self._directory / f"{self._own_lock.name}-{self._number:06}.spool"
        head = line_of(self._common)
        fd = open_private(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL)
        if os.write(fd, head) != len(head):
            os.close(fd)
            path.unlink(missing_ok=True)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._fd = fd
        self._segments.append(SpoolSegment(path, self._common, position=len(head), queued=0, end=len(head)))

    def _end_segment(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _lock_new_name(self) -> SpoolLock:
        """Create and lock a lock file with a unique name."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for _ in range(_LOCK_ATTEMPTS):  # Another process that looks for dead ones may lock the file before we do.
            lock = try_lock(self._directory / f"{uuid.uuid4().hex}.lock")
            if lock is not None:
                return lock
        raise OSError(errno.ENOLCK, "its files cannot be locked")

    def _drop_own_lock(self) -> None:
        """Use a new name from now on, because the folder has been removed."""
        if self._own_lock is not None:
            self._own_lock.close()
            self._own_lock = None

    def _make_room(self, needed: int) -> None:
        """Drop the oldest segments until there is room; raise if that is not enough."""
        files = _sizes(self._directory)
        room = self._limit - needed - sum(files.values())
        for path in sorted(path for path in files if path.suffix == ".corrupt"):
            if room < 0:
                room += files[path]
                path.unlink(missing_ok=True)
        for segments in (self._adopted, self._segments):
            while room < 0 and segments:
                segment = segments[0]
                room += files.get(segment.path, 0)
                self._drop(segment, FULL, is_own=segments is self._segments)
        if room < 0:
            raise OSError(errno.ENOSPC, f"it has reached its limit of {self._limit:,} bytes")

    def _drop(self, segment: SpoolSegment, reason: str, *, is_own: bool) -> None:
        """Remove a segment, and count its records as lost."""
        if is_own:
            self._queued -= segment.queued
            if segment is self._segments[-1]:
                self._end_segment()
            self._segments.remove(segment)
        else:
            self._adopted.remove(segment)
        self._losses.add(reason, segment.queued)
        segment.queued = 0
        segment.is_bad = False
        segment.finish()

    # For the worker.

    def take(self, most: int) -> OutgoingBatch | None:
        """Return the next records as a batch; None if the queue is empty."""
        batch = self._memory.take(most)
        if batch is not None:
            return batch
        return self._take(self._adopted, most, is_own=False) or self._take(self._segments, most, is_own=True)

    def _take(self, segments: "deque[SpoolSegment]", most: int, *, is_own: bool) -> OutgoingBatch | None:
        while (segment := next(iter(segments), None)) is not None:
            try:
                part = segment.take(most)
            except OSError:
                part = None
            with self._lock:
                if segment not in segments:
                    continue  # Another thread has dropped it to make room.
                if part is None:
                    self._drop(segment, REMOVED, is_own=is_own)
                    continue
                self._count_taken(segment, part, is_own=is_own)
                if part.logs:
                    self._unsettled = segment
                    return segment.batch(part)
                if is_own and self._fd >= 0 and segment is segments[-1]:
                    return None
                segments.popleft()
                segment.finish()
            if not self._adopted:
                self._release_adopted_locks()
        return None

    def _count_taken(self, segment: SpoolSegment, part: SegmentPart, *, is_own: bool) -> None:
        taken = sum(map(bool, part.logs)) + part.bad
        segment.queued -= taken
        if is_own:
            self._queued -= taken
        self._losses.add(CORRUPT, part.bad)

    def new_id(self) -> str:
        """Return a unique id for a batch."""
        return self._memory.new_id()

    def settle(self, batch: OutgoingBatch) -> None:
        """Note that ``batch``, which came from this queue, is settled."""
        if batch.place is not None:
            segment, stop = batch.place
            segment.settle(stop)
            self._unsettled = None

    def adopt_orphans(self) -> None:
        """Adopt the segments of dead processes, at most once a minute."""
        now = time.monotonic()
        if now < self._adopt_at:
            return
        self._adopt_at = now + _ADOPT_INTERVAL
        with contextlib.suppress(OSError):
            names = {path.name[:32] for path in self._directory.iterdir() if path.suffix in (".spool", ".lock")}
            for name in sorted(names):
                with contextlib.suppress(OSError):
                    self._adopt(self._directory / f"{name}.lock")

    def _adopt(self, lock_path: Path) -> None:
        lock = try_lock(lock_path)
        if lock is None:
            return
        self._adopted_locks.append(lock)
        for path in sorted(self._directory.glob(f"{lock.name}-*.spool")):
            with contextlib.suppress(OSError):
                self._adopted.append(SpoolSegment.recover(path, b"{}"))
        if not self._adopted:
            self._release_adopted_locks()

    def _release_adopted_locks(self) -> None:
        for lock in self._adopted_locks:
            lock.release(is_empty=not list(self._directory.glob(f"{lock.name}-*.spool")))
        self._adopted_locks.clear()

    def describe_unsent(self, records: int, endpoint: str) -> str:
        """Return the message for ``records`` that could not be sent in time."""
        return f"{records:,} records for {endpoint} stay in {self._directory} for the next process"

    def close(self) -> None:
        """Leave queued records to the next process."""
        with self._lock:
            self._end_segment()
            for segment in list(self._segments):
                if not segment.queued and segment is not self._unsettled:
                    segment.finish()
                    self._segments.remove(segment)
            if self._own_lock is not None:
                self._own_lock.release(is_empty=not self._segments)
            for lock in self._adopted_locks:
                lock.release(is_empty=False)
            self._adopted_locks.clear()
            self._adopted.clear()
            self._segments.clear()
            self._own_lock = None
            self._queued = self._number = 0
            self._adopt_at = 0.0

    def close_in_child(self) -> None:
        """Close the files in the child after a fork; the records are the parent's."""
        self._end_segment()
        for lock in [*self._adopted_locks, *([self._own_lock] if self._own_lock else [])]:
            lock.close()


def _sizes(directory: Path) -> dict[Path, int]:
    """Return the sizes of all segments in the folder, including corrupt ones."""
    sizes: dict[Path, int] = {}
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(directory):
            if entry.name.endswith((".spool", ".corrupt")):
                with contextlib.suppress(OSError):
                    sizes[Path(entry.path)] = entry.stat().st_size
    return sizes

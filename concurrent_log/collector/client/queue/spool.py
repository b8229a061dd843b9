"""The queue on disk: a record is in a file when the call that logs it returns.

Each process appends to segments of its own, so that no process waits for another one. A lock file beside them says
whether the process lives; what a dead one left is sent by the next one that looks. Nothing is forced to the medium:
records survive the end of the process, whatever it is, but perhaps not a crash of the machine.

Where the disk is full or cannot be written, records wait in memory.
"""

import contextlib
import errno
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from concurrent_log.collector.client.batch import Batch
from concurrent_log.collector.client.deferred_entry import Entry, Late, built
from concurrent_log.collector.client.json_values import encode_entry, freeze
from concurrent_log.collector.client.losses import Losses
from concurrent_log.collector.client.queue.memory import Mark, MemoryQueue
from concurrent_log.collector.client.queue.segment import Part, Segment, line_of
from concurrent_log.collector.client.queue.spool_lock import Owned, own
from concurrent_log.internal import stderr

FULL, CORRUPT, REMOVED = "spool full", "corrupt in the spool", "removed from the spool"

_LARGEST_SEGMENT = 8 * 2**20  # bytes
_SEGMENTS = 8  # at least, of which the oldest goes when there is no room for another one
_TRIES = 10
_LOOK_EVERY = 60.0  # seconds between two looks for what a dead process left
_TELL_EVERY = 30.0  # seconds between two lines about that
_TRY_EVERY = 1.0  # seconds between two tries to write to a disk that could not be written


class Spool:
    """Records that wait on disk, and those in memory that could not be written.

    Attributes:
        ring_at: How many waiting records wake the worker up; it sets this when it begins to wait.
    """

    ring_at: float

    def __init__(
        self, directory: str, limit: int, common: bytes, memory: MemoryQueue, losses: Losses, ring: Callable[[], None]
    ) -> None:
        self.ring_at = float("inf")
        self._directory = Path(directory)
        self._limit = limit
        self._segment_limit = max(1, min(_LARGEST_SEGMENT, limit // _SEGMENTS))
        self._common = common
        self._memory = memory
        self._losses = losses
        self._ring = ring
        self._lock = threading.RLock()
        self._writer = 0  # the thread that holds the lock
        # What a signal handler or a destructor logged in the middle of writing.
        self._late: deque[tuple[bytes, dict[str, Any]]] = deque()
        self._segments: deque[Segment] = deque()  # of this process, the oldest first
        self._adopted: deque[Segment] = deque()
        self._owned: Owned | None = None
        self._dead: list[Owned] = []
        self._fd = -1
        self._number = 0
        self._waiting = 0
        self._put = 0
        self._try_at = self._look_at = 0.0
        self._tell_at = 0.0
        self._unsettled: Segment | None = None

    def __len__(self) -> int:
        """Return how many records wait."""
        return self._waiting + len(self._memory) + sum(segment.waiting for segment in list(self._adopted))

    def size(self) -> int:
        """Return about how many bytes of memory the records take that wait there."""
        return self._memory.size()

    def mark(self) -> Mark:
        """Return how many records have been put."""
        return (self._put, *self._memory.mark())

    def gone(self) -> Mark:
        """Return how many have left, whichever way."""
        with self._lock:
            return (self._put - self._waiting, *self._memory.gone())

    def put(self, entry: Entry | Late, size: int = 0) -> None:
        """Write one entry; where that is not possible, let it wait in memory."""
        entry = built(entry)
        freeze(entry)
        line = line_of(encode_entry(entry))
        if self._writer == threading.get_ident():
            self._late.append((line, entry))
            return
        with self._lock:
            self._writer = threading.get_ident()
            try:
                self._write(line, entry)
                while self._late:
                    self._write(*self._late.popleft())
            finally:
                self._writer = 0
        if self._waiting + len(self._memory) >= self.ring_at:
            self.ring_at = float("inf")
            self._ring()

    def _write(self, line: bytes, entry: dict[str, Any]) -> None:
        now = time.monotonic()
        if now >= self._try_at:
            try:
                self._append(line)
                return
            except OSError as error:
                self._try_at = now + _TRY_EVERY
                self._tell(f"the spool {self._directory} cannot be written ({error}): records wait in memory", now)
                if isinstance(error, FileNotFoundError):
                    self._own_anew()
        self._memory.put(entry)

    def _tell(self, what: str, now: float) -> None:
        if now >= self._tell_at:
            self._tell_at = now + _TELL_EVERY
            stderr.warn(what)

    def _append(self, line: bytes) -> None:
        if self._fd < 0 or (self._segments[-1].end or 0) + len(line) > self._segment_limit:
            self._begin_segment(len(line))
        segment = self._segments[-1]
        before = segment.end or 0
        if os.write(self._fd, line) != len(line):
            os.ftruncate(self._fd, before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        segment.end = before + len(line)
        segment.waiting += 1
        self._waiting += 1
        self._put += 1

    def _begin_segment(self, needed: int) -> None:
        self._end_segment()
        self._make_room(max(needed, self._segment_limit))
        if self._owned is None:
            self._owned = self._own_new()
        self._number += 1
        path = self._directory / f"{self._owned.name}-{self._number:06}.spool"
        head = line_of(self._common)
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        if os.write(fd, head) != len(head):
            os.close(fd)
            path.unlink(missing_ok=True)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._fd = fd
        self._segments.append(Segment(path, self._common, position=len(head), waiting=0, end=len(head)))

    def _end_segment(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _own_new(self) -> Owned:
        """Own a name that nobody has."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for _ in range(_TRIES):  # Somebody may look for dead ones before we have the lock.
            owned = own(self._directory / f"{uuid.uuid4().hex}.lock")
            if owned is not None:
                return owned
        raise OSError(errno.ENOLCK, "its files cannot be locked")

    def _own_anew(self) -> None:
        """Begin again where somebody removed the folder."""
        if self._owned is not None:
            self._owned.forget()
            self._owned = None

    def _make_room(self, needed: int) -> None:
        """Let the oldest segments go until there is room; raises where that is not enough."""
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
            raise OSError(errno.ENOSPC, f"it has its {self._limit:,} bytes")

    def _drop(self, segment: Segment, reason: str, *, is_own: bool) -> None:
        """Lose what waits in a segment."""
        if is_own:
            self._waiting -= segment.waiting
            if segment is self._segments[-1]:
                self._end_segment()
            self._segments.remove(segment)
        else:
            self._adopted.remove(segment)
        self._losses.add(reason, segment.waiting)
        segment.waiting = 0
        segment.is_bad = False
        segment.finish()

    # For the worker.

    def take(self, most: int) -> Batch | None:
        """Return the next records as a batch; None where none wait."""
        batch = self._memory.take(most)
        if batch is not None:
            return batch
        return self._take(self._adopted, most, is_own=False) or self._take(self._segments, most, is_own=True)

    def _take(self, segments: "deque[Segment]", most: int, *, is_own: bool) -> Batch | None:
        while (segment := next(iter(segments), None)) is not None:
            try:
                part = segment.take(most)
            except OSError:
                part = None
            with self._lock:
                if segment not in segments:
                    continue  # There was no room for it any more.
                if part is None:
                    self._drop(segment, REMOVED, is_own=is_own)
                    continue
                self._count(segment, part, is_own=is_own)
                if part.logs:
                    self._unsettled = segment
                    return segment.batch(part)
                if is_own and self._fd >= 0 and segment is segments[-1]:
                    return None
                segments.popleft()
                segment.finish()
            if not self._adopted:
                self._give_up_dead()
        return None

    def _count(self, segment: Segment, part: Part, *, is_own: bool) -> None:
        taken = sum(map(bool, part.logs)) + part.bad
        segment.waiting -= taken
        if is_own:
            self._waiting -= taken
        self._losses.add(CORRUPT, part.bad)

    def new_id(self) -> str:
        """Return an id that no other batch has."""
        return self._memory.new_id()

    def settle(self, batch: Batch) -> None:
        """Forget ``batch``, which came from here."""
        if batch.place is not None:
            segment, stop = batch.place
            segment.settle(stop)
            self._unsettled = None

    def look_around(self) -> None:
        """Adopt what dead processes left, unless that was looked for a moment ago."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_EVERY
        with contextlib.suppress(OSError):
            names = {path.name[:32] for path in self._directory.iterdir() if path.suffix in (".spool", ".lock")}
            for name in sorted(names):
                with contextlib.suppress(OSError):
                    self._adopt(self._directory / f"{name}.lock")

    def _adopt(self, lock_path: Path) -> None:
        owned = own(lock_path)
        if owned is None:
            return
        self._dead.append(owned)
        for path in sorted(self._directory.glob(f"{owned.name}-*.spool")):
            with contextlib.suppress(OSError):
                self._adopted.append(Segment.found(path, b"{}"))
        if not self._adopted:
            self._give_up_dead()

    def _give_up_dead(self) -> None:
        for owned in self._dead:
            owned.give_up(is_empty=not list(self._directory.glob(f"{owned.name}-*.spool")))
        self._dead.clear()

    def farewell(self, left: int, endpoint: str) -> str:
        """Return what to say where ``left`` records could not be sent in time."""
        return f"{left:,} records for {endpoint} wait in {self._directory} for the next process"

    def close(self) -> None:
        """Leave what waits to the next process."""
        with self._lock:
            self._end_segment()
            for segment in list(self._segments):
                if not segment.waiting and segment is not self._unsettled:
                    segment.finish()
                    self._segments.remove(segment)
            if self._owned is not None:
                self._owned.give_up(is_empty=not self._segments)
            for owned in self._dead:
                owned.give_up(is_empty=False)
            self._dead.clear()
            self._adopted.clear()
            self._segments.clear()
            self._owned = None
            self._waiting = self._number = 0
            self._look_at = 0.0

    def forget(self) -> None:
        """Leave everything to the parent process, in the child after a fork."""
        self._end_segment()
        for owned in [*self._dead, *([self._owned] if self._owned else [])]:
            owned.forget()


def _sizes(directory: Path) -> dict[Path, int]:
    """Return the sizes of the segments there, also of those that were set aside."""
    found: dict[Path, int] = {}
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(directory):
            if entry.name.endswith((".spool", ".corrupt")):
                with contextlib.suppress(OSError):
                    found[Path(entry.path)] = entry.stat().st_size
    return found

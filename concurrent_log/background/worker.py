"""The task of `BackgroundHandler`: takes batches of records from the queue and passes them to a writer."""

import contextlib
import logging
import sys
import time
import traceback
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from concurrent_log.background.exact_snapshot import Snapshot
from concurrent_log.background.local_writer import LocalWriter
from concurrent_log.background.record_queue import DroppedRecords, FlushMarker, RecordQueue
from concurrent_log.background.snapshot import logged_at, take_snapshot
from concurrent_log.internal.handler_closing import close_handler
from concurrent_log.internal.lifecycle import is_forking


class Writer(Protocol):
    """Writes snapshots, through handlers in this process or in another one."""

    def write(self, snapshots: list[Snapshot]) -> int:
        """Write the snapshots in order, and return how many were confirmed as written since the last call.

        Stops after one of them while this process is about to fork; they stay pending.
        """

    def wait_until_written(self) -> int:
        """Write all that is pending, with the same exception; return how many were confirmed since the last call."""

    def pending(self) -> int:
        """Return how many snapshots are not confirmed as written."""

    def flush(self) -> None:
        """Write everything, then flush the handlers."""

    def close(self, timeout: float) -> None:
        """Release all resources within ``timeout`` seconds."""

    def detach_after_fork(self) -> None:
        """Leave all resources to the parent process, in the child after a fork."""


class Control(Protocol):
    """What a task needs of its `Engine`."""

    def may_wait(self) -> bool:
        """Return whether the calling thread may wait for the thread of the task."""

    def ensure_running(self) -> None:
        """Start the thread if there is none."""


_MAX_DRAIN_ROUNDS = 10  # limits the feedback of handlers that log something for each record that they write


class QueueWorker:
    """Writes the records of one queue through ``writer``; a `BackgroundTask` of an `Engine`.

    Attributes:
        queue: The records that are not written yet.
        handlers: The handlers that write.
        writer: The writer; after `release` one that writes in this process.
        written: Number of records written.
        longest_wait: Longest time that a record spent in the queue, in seconds.
    """

    park_timeout = float("inf")
    is_ordered = True

    def __init__(
        self, writer: Writer, handlers: Sequence[logging.Handler], capacity: int, when_full: str, control: Control
    ) -> None:
        self.queue = RecordQueue(capacity, when_full, lambda: control.may_wait(), lambda: control.ensure_running())
        self.handlers = handlers
        self.writer = writer
        self.written = 0
        self.longest_wait = 0.0
        self._capacity = capacity
        self._taken: deque[Snapshot | FlushMarker] = deque()  # from the queue, and not passed to the writer
        self._stop_marker: FlushMarker | None = None
        self._stop_timeout = 0.0
        self._retired: list[logging.Handler] = []
        self._has_to_close = False

    # For any thread.

    def has_work(self) -> bool:
        """Return whether a record is not written, a flush is not done, or a handler still has to be closed."""
        return self._is_writing() or self._has_to_close

    def _is_writing(self) -> bool:
        return bool(self.queue.size() or self._taken or self.writer.pending())

    def pending(self) -> int:
        """Return how many records are not confirmed as written."""
        taken = sum(not isinstance(item, FlushMarker) for item in self._taken.copy())
        return len(self.queue) + taken + self.writer.pending()

    def put_barrier(self) -> FlushMarker:
        """Return a marker that is set when all records queued before are written and flushed."""
        return self.queue.put_marker()

    def interrupt(self) -> None:
        """End the waiting of `step`."""
        self.queue.interrupt()

    def stop(self, timeout: float, *, is_urgent: bool) -> None:
        """Let `step` end after the records that are queued now; `release` takes at most ``timeout`` seconds."""
        self._stop_timeout = timeout
        self._stop_marker = self.queue.put_marker()

    def locks(self) -> Iterable[Any]:
        """Return the lock of the queue, and those of the handlers that write."""
        return [self.queue.lock, *(getattr(handler, "lock", None) for handler in self.handlers)]

    def describe_pending(self, records: int, timeout: float) -> str:
        """Return the message for ``records`` that are not written after ``timeout`` seconds."""
        return f"{records:,} records were not written within {timeout} s"

    def retire(self, handler: logging.Handler) -> bool:
        """Close a handler that writes when everything is written, and again after each later record.

        Returns:
            False if everything is written: the caller must close it.
        """
        if handler not in self._retired:
            self._retired.append(handler)
        self._has_to_close = True
        is_writing = self._is_writing()
        self._has_to_close = is_writing
        return is_writing

    # For the thread that works.

    def step(self) -> bool:
        """Write one batch; return False when everything queued before `stop` is written."""
        marker = self._stop_marker
        if not self._taken:
            self._taken.extend(self.queue.take_batch(wait=marker is None and not self.writer.pending()))
        self._write_taken()
        return marker is None or not marker.is_set()

    def drain(self) -> None:
        """Write all queued records, and a bounded number of those that handlers log meanwhile."""
        for _ in range(_MAX_DRAIN_ROUNDS):
            remaining = self.queue.size()
            while self._taken or remaining > 0:
                if not self._taken:
                    self._taken.extend(self.queue.take_batch(wait=False))
                    remaining -= len(self._taken) or remaining
                self._write_taken()
            while self.writer.pending():
                self.written += self.writer.wait_until_written()
        self._close_retired()

    def release(self) -> None:
        """Close the writer, and the handlers that are retired; this process writes later records itself."""
        self.written += self.writer.wait_until_written()
        self.writer.close(self._stop_timeout)
        if not isinstance(self.writer, LocalWriter):
            self.writer = LocalWriter(self.handlers)
        self._close_retired()

    def detach_after_fork(self) -> None:
        """Leave all resources to the parent process, in the child after a fork."""
        self.writer.detach_after_fork()

    def _write_taken(self) -> None:
        """Write what is taken from the queue; before a fork, at least one record of it."""
        try:
            while self._write_next() and not is_forking():
                pass
            if not self._taken and not self.queue.size() and not is_forking():
                self.written += self.writer.wait_until_written()
                self._close_retired()
        except Exception:
            # The worker must survive any error: it still has to write the next records.
            if logging.raiseExceptions and sys.stderr:
                with contextlib.suppress(OSError):
                    traceback.print_exc()

    def _write_next(self) -> bool:
        """Write the records before the next flush marker, or flush; return whether there is more."""
        if self._taken and not isinstance(self._taken[0], FlushMarker):
            self._write(self._take_records())
        elif self._taken:
            self.written += self.writer.wait_until_written()
            if not self.writer.pending():
                self._flush()
        dropped = self.queue.take_dropped() if not self._taken else None
        if dropped is not None:
            self._write([_drop_warning(dropped, self._capacity)])
        return bool(self._taken)

    def _take_records(self) -> list[Snapshot]:
        snapshots: list[Snapshot] = []
        while self._taken and not isinstance(self._taken[0], FlushMarker):
            snapshots.append(self._taken.popleft())  # type: ignore[arg-type]
        return snapshots

    def _flush(self) -> None:
        marker = self._taken.popleft()
        try:
            self.writer.flush()
        finally:
            self.queue.complete_marker(marker)  # type: ignore[arg-type]

    def _write(self, snapshots: list[Snapshot]) -> None:
        self.longest_wait = max(self.longest_wait, time.monotonic() - logged_at(snapshots[0]))
        self._has_to_close = bool(self._retired)
        self.written += self.writer.write(snapshots)

    def _close_retired(self) -> None:
        """Close the retired handlers, unless there are new records; before a fork, later."""
        if self._has_to_close and not self._is_writing():
            self._has_to_close = False
            self._has_to_close = not all(map(close_handler, self._retired))


def _drop_warning(dropped: DroppedRecords, capacity: int) -> Snapshot:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(dropped.since))
    text = f"{dropped.records:,} records were dropped since {since}: the queue was full (capacity={capacity})"
    record = logging.LogRecord("concurrent_log.background", logging.WARNING, __file__, 0, text, None, None)
    snapshot = take_snapshot(record, ())
    assert snapshot is not None  # It contains nothing but text and numbers.
    return snapshot

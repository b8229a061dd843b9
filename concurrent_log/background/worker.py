"""The worker: a thread that takes batches of records from the queue and passes them to a writer."""

import contextlib
import logging
import sys
import threading
import time
import traceback
import weakref
from typing import Protocol

from concurrent_log.background.record_queue import DroppedRecords, FlushMarker, RecordQueue
from concurrent_log.background.snapshot import Snapshot, logged_at, take_snapshot
from concurrent_log.internal.lifecycle import join


class Writer(Protocol):
    """Writes snapshots, through handlers in this process or in another one."""

    def write(self, snapshots: list[Snapshot]) -> int:
        """Write the snapshots in order, and return how many were confirmed as written since the last call."""

    def wait_until_written(self) -> int:
        """Wait until all snapshots are written, and return how many were confirmed since the last call."""

    def pending(self) -> int:
        """Return how many snapshots are not confirmed as written."""

    def flush(self) -> None:
        """Write everything, then flush the handlers."""

    def close(self, timeout: float) -> None:
        """Release all resources within ``timeout`` seconds."""

    def detach_after_fork(self) -> None:
        """Leave all resources to the parent process, in the child after a fork."""


_MAX_DRAIN_ROUNDS = 10  # limits the feedback of handlers that log something for each record that they write


class QueueWorker:
    """Writes the records of one queue through ``writer``, in a thread that starts with the first record.

    Attributes:
        queue: The records that are not written yet.
        writer: The writer; to be replaced only while no thread runs.
        written: Number of records written.
        longest_wait: Longest time that a record spent in the queue, in seconds.
        lock: Held by a thread that lets no worker thread start.
    """

    def __init__(self, writer: Writer, capacity: int, when_full: str, *, is_stopped: bool = False) -> None:
        # A weak proxy, because bound methods would form a reference cycle with the queue: the garbage collector would
        # have to free it.
        this = weakref.proxy(self)
        self.queue = RecordQueue(capacity, when_full, lambda: this.is_current_thread(), lambda: this.ensure_running())
        self.writer = writer
        self.written = 0
        self.longest_wait = 0.0
        self.lock = threading.RLock()
        self._capacity = capacity
        self._thread: threading.Thread | None = None
        self._run_lock = threading.Lock()  # held by the one thread that writes
        self._is_parking = False
        self._is_draining = False
        self._is_stopped = is_stopped
        self._in_flight = 0  # records passed to the writer, which has not returned

    def put(self, snapshot: Snapshot) -> None:
        """Queue one record."""
        self.queue.put(snapshot)
        if self._thread is None:
            self.ensure_running()

    def is_current_thread(self) -> bool:
        """Return whether the calling thread is the worker thread: a handler that writes may log."""
        return self._thread is not None and self._thread.ident == threading.get_ident()

    def is_running(self) -> bool:
        """Return whether a worker thread runs or is about to."""
        return self._thread is not None

    def unwritten(self) -> int:
        """Return how many records are not confirmed as written."""
        return len(self.queue) + self._in_flight + self.writer.pending()

    def ensure_running(self) -> None:
        """Start the worker thread if it does not run.

        After `stop`, and while the interpreter shuts down, no thread can start: write in the calling thread.
        """
        with self.lock:
            if self._thread is None and not self._is_stopped:
                thread = threading.Thread(target=self._run, name="concurrent_log", daemon=True)
                try:
                    self._thread = thread
                    thread.start()
                except RuntimeError:
                    self._thread = None
                except BaseException:
                    # A signal handler raised, perhaps before the thread started. If the thread did start, it ends now.
                    self._thread = None
                    raise
            if self._thread is None:
                self._drain()

    def flush(self, timeout: float) -> bool:
        """Wait until all records queued before are written and flushed; return whether they are."""
        if self.is_current_thread():
            return False
        marker = self.queue.put_marker()
        if self._thread is None:
            self.ensure_running()
        return marker.wait(timeout)

    def park(self, timeout: float) -> None:
        """Stop the thread after its current batch; `ensure_running` starts another one."""
        thread = self._thread
        if thread is not None and not self.is_current_thread():
            try:
                self._is_parking = True
                self.queue.put_marker()
                join(thread, timeout)
            finally:
                self._is_parking = False

    def stop(self, last_writer: Writer, timeout: float) -> int:
        """Stop the thread, write later records through ``last_writer``, and return how many are not written."""
        with self.lock:
            self._is_stopped = True
            self.park(timeout)
            if self._thread is None:
                self.written += self.writer.wait_until_written()
                self.writer.close(timeout)
                self.writer = last_writer
                self._drain()
        return self.unwritten()

    def _drain(self) -> None:
        """Write all queued records in this thread, and a bounded number of those that handlers log meanwhile."""
        if self._is_draining:
            return
        try:
            self._is_draining = True
            for _ in range(_MAX_DRAIN_ROUNDS):
                remaining = self.queue.size()
                while remaining > 0 and (items := self.queue.take_batch(wait=False)):
                    self._write_items(items)
                    remaining -= len(items)
            self.written += self.writer.wait_until_written()
        finally:
            self._is_draining = False

    def _run(self) -> None:
        with self._run_lock:
            try:
                while self._is_active_thread() and not self._is_parking:
                    self._write_items(self.queue.take_batch(wait=True))
                    if not len(self.queue):
                        self.written += self.writer.wait_until_written()
            finally:
                if self._is_active_thread():
                    self._thread = None

    def _is_active_thread(self) -> bool:
        return self._thread is threading.current_thread()

    def _write_items(self, items: list[Snapshot | FlushMarker]) -> None:
        try:
            snapshots: list[Snapshot] = []
            for item in items:
                if not isinstance(item, FlushMarker):
                    snapshots.append(item)
                    continue
                self._write(snapshots)
                snapshots = []
                self.written += self.writer.wait_until_written()
                self.writer.flush()
                self.queue.complete_marker(item)
            self._write(snapshots)
            dropped = self.queue.take_dropped()
            if dropped is not None:
                self._write([_drop_warning(dropped, self._capacity)])
        except Exception:
            # The worker must survive any error: it still has to write the next records.
            if logging.raiseExceptions and sys.stderr:
                with contextlib.suppress(OSError):
                    traceback.print_exc()

    def _write(self, snapshots: list[Snapshot]) -> None:
        if snapshots:
            self.longest_wait = max(self.longest_wait, time.monotonic() - logged_at(snapshots[0]))
            self._in_flight = len(snapshots)
            self.written += self.writer.write(snapshots)
            self._in_flight = 0


def _drop_warning(dropped: DroppedRecords, capacity: int) -> Snapshot:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(dropped.since))
    text = f"{dropped.records:,} records were dropped since {since}: the queue was full (capacity={capacity})"
    record = logging.LogRecord("concurrent_log.background", logging.WARNING, __file__, 0, text, None, None)
    return take_snapshot(record, ())

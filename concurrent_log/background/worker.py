"""The thread that takes records out of a queue and lets them be written."""

import contextlib
import logging
import sys
import threading
import time
import traceback
import weakref
from typing import Protocol

from concurrent_log.background.record_queue import Barrier, Dropped, RecordQueue
from concurrent_log.background.snapshot import Snapshot, logged_at, take
from concurrent_log.internal.lifecycle import join


class Writer(Protocol):
    """What writes snapshots: handlers in this process, or a process that has them."""

    def write(self, snapshots: list[Snapshot]) -> int:
        """Write the snapshots, in order, and return how many are known to be written since the last call."""

    def settle(self) -> int:
        """Wait until all are written, and return how many are known to be written since the last call."""

    def pending(self) -> int:
        """Return how many are not known to be written."""

    def flush(self) -> None:
        """Flush the handlers, after all is written."""

    def close(self, timeout: float) -> None:
        """Come to an end within ``timeout`` seconds."""

    def forget(self) -> None:
        """Leave everything to the parent process, in the child after a fork."""


_MOST_ECHOES = 10  # how often handlers may log something new while what they logged before is written at once


class Worker:
    """Writes the records of one queue through ``writer``, in a thread that begins with the first of them.

    Attributes:
        queue: The records that wait.
        writer: What writes them; to be exchanged only while no thread runs.
        written: How many are written.
        longest_wait: How many seconds a record waited at most before somebody began to write it.
    """

    def __init__(self, writer: Writer, capacity: int, when_full: str, *, is_stopped: bool = False) -> None:
        # Not the methods of this: with the queue they would be a cycle, which only a garbage collection ends.
        this = weakref.proxy(self)
        self.queue = RecordQueue(capacity, when_full, lambda: this.is_here(), lambda: this.need())
        self.writer = writer
        self.written = 0
        self.longest_wait = 0.0
        self.lock = threading.RLock()  # held where a thread must not begin
        self._capacity = capacity
        self._thread: threading.Thread | None = None
        self._turn = threading.Lock()  # held by the one thread that writes
        self._is_parking = False
        self._is_draining = False
        self._is_stopped = is_stopped
        self._taken = 0  # records that the writer has in hand

    def put(self, snapshot: Snapshot) -> None:
        """Let one record be written."""
        self.queue.put(snapshot)
        if self._thread is None:
            self.need()

    def is_here(self) -> bool:
        """Return whether this is called in the worker's own thread, by a handler that logs."""
        return self._thread is not None and self._thread.ident == threading.get_ident()

    def is_running(self) -> bool:
        """Return whether there is a thread that writes, or will."""
        return self._thread is not None

    def left(self) -> int:
        """Return how many records are not known to be written."""
        return len(self.queue) + self._taken + self.writer.pending()

    def need(self) -> None:
        """Make sure that somebody writes; who logs at the end, or while the interpreter shuts down, does it himself."""
        with self.lock:
            if self._thread is None and not self._is_stopped:
                thread = threading.Thread(target=self._run, name="concurrent_log", daemon=True)
                try:
                    self._thread = thread
                    thread.start()
                except RuntimeError:
                    self._thread = None
                except BaseException:
                    # A signal handler raised, perhaps before the thread began. If it did begin, it will not go on.
                    self._thread = None
                    raise
            if self._thread is None:
                self._drain()

    def flush(self, timeout: float) -> bool:
        """Wait until all that was put before is written and flushed; return whether it is."""
        if self.is_here():
            return False
        mark = self.queue.put_barrier()
        if self._thread is None:
            self.need()
        return mark.wait(timeout)

    def park(self, timeout: float) -> None:
        """Let the thread end as soon as it has written what it took; `need` begins another one."""
        thread = self._thread
        if thread is not None and not self.is_here():
            try:
                self._is_parking = True
                self.queue.put_barrier()
                join(thread, timeout)
            finally:
                self._is_parking = False

    def stop(self, last: Writer, timeout: float) -> int:
        """End the thread, let ``last`` write what still comes, and return how many records are not written."""
        with self.lock:
            self._is_stopped = True
            self.park(timeout)
            if self._thread is None:
                self.written += self.writer.settle()
                self.writer.close(timeout)
                self.writer = last
                self._drain()
        return self.left()

    def _drain(self) -> None:
        """Write all that waits, here and now; what the handlers log meanwhile, too, but not without an end."""
        if self._is_draining:
            return
        try:
            self._is_draining = True
            for _ in range(_MOST_ECHOES):
                waiting = self.queue.size()
                while waiting > 0 and (items := self.queue.take(wait=False)):
                    self._write_items(items)
                    waiting -= len(items)
            self.written += self.writer.settle()
        finally:
            self._is_draining = False

    def _run(self) -> None:
        with self._turn:
            try:
                while self._is_own() and not self._is_parking:
                    self._write_items(self.queue.take(wait=True))
                    if not len(self.queue):
                        self.written += self.writer.settle()
            finally:
                if self._is_own():
                    self._thread = None

    def _is_own(self) -> bool:
        return self._thread is threading.current_thread()

    def _write_items(self, items: list[Snapshot | Barrier]) -> None:
        try:
            snapshots: list[Snapshot] = []
            for item in items:
                if not isinstance(item, Barrier):
                    snapshots.append(item)
                    continue
                self._write(snapshots)
                snapshots = []
                self.written += self.writer.settle()
                self.writer.flush()
                self.queue.pass_barrier(item)
            self._write(snapshots)
            dropped = self.queue.newly_dropped()
            if dropped is not None:
                self._write([_drop_report(dropped, self._capacity)])
        except Exception:
            # Whatever it is, the next records are to be written.
            if logging.raiseExceptions and sys.stderr:
                with contextlib.suppress(OSError):
                    traceback.print_exc()

    def _write(self, snapshots: list[Snapshot]) -> None:
        if snapshots:
            self.longest_wait = max(self.longest_wait, time.monotonic() - logged_at(snapshots[0]))
            self._taken = len(snapshots)
            self.written += self.writer.write(snapshots)
            self._taken = 0


def _drop_report(dropped: Dropped, capacity: int) -> Snapshot:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(dropped.since))
    text = f"{dropped.records:,} records were dropped since {since}: {capacity:,} were waiting already"
    record = logging.LogRecord("concurrent_log.background", logging.WARNING, __file__, 0, text, None, None)
    return take(record, ())

"""`SendWorker`: the thread that takes batches out of the queue and sends them; its start, its pauses and its end."""

import contextlib
import functools
import logging
import os
import sys
import threading
import time
import traceback
import uuid
import weakref
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Protocol

import msgspec

from concurrent_log.collector.client.batch import OutgoingBatch
from concurrent_log.collector.client.deferred_entry import DeferredEntry, Entry
from concurrent_log.collector.client.losses import Losses
from concurrent_log.collector.client.queue.memory import Counts, MemoryQueue
from concurrent_log.collector.client.queue.spool import Spool
from concurrent_log.collector.client.sender import Sender, retry_after
from concurrent_log.collector.client.settings import ClientSettings
from concurrent_log.collector.client.transport import CollectorResponse
from concurrent_log.internal.lifecycle import join

_PARK_TIMEOUT = 0.2  # seconds that a fork waits for a request in flight
_LAST_PAUSE = 0.2  # seconds before the last attempt while stopping
_MAX_FAILURES = 3  # unexpected errors with one batch, after which it is dropped
_PAUSE_AFTER_ERROR = 1.0  # seconds after an unexpected error
FAILED = "internal error of the client"


class SendQueue(Protocol):
    """Queued records, in memory or on disk."""

    wake_at: float

    def __len__(self) -> int: ...
    def size(self) -> int: ...  # noqa: D102
    def enqueued(self) -> Counts: ...  # noqa: D102
    def dequeued(self) -> Counts: ...  # noqa: D102
    def put(self, entry: Entry | DeferredEntry, size: int = 0) -> None: ...  # noqa: D102
    def take(self, most: int) -> OutgoingBatch | None: ...  # noqa: D102
    def new_id(self) -> str: ...  # noqa: D102
    def settle(self, batch: OutgoingBatch) -> None: ...  # noqa: D102
    def adopt_orphans(self) -> None: ...  # noqa: D102
    def describe_unsent(self, records: int, endpoint: str) -> str: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102
    def close_in_child(self) -> None: ...  # noqa: D102


class SendWorker:
    """Sends the records of ``queue``, in a thread that starts with the first record.

    Each process has one. When no thread can start any more, the logging thread sends its records itself.

    Attributes:
        lock: Held while no thread must start.
        thread: The thread that sends, if there is one.
    """

    def __init__(self, settings: ClientSettings, *, is_stopped: bool) -> None:
        self._settings = settings
        client_id = uuid.uuid4().hex
        client = msgspec.json.encode({"id": client_id, "name": "concurrent-log"})
        process = {"process_id": os.getpid(), "process_name": _process_name()}
        self.common = {**settings.common(), **process}
        self._common = msgspec.json.encode(self.common)
        self._wake_ups: SimpleQueue[None] = SimpleQueue()
        wake = functools.partial(self._wake_ups.put, None)  # A method of ours would create a reference cycle.
        self.losses = Losses(wake)
        self.queue = _make_queue(settings, client_id, self._common, self.losses, wake)
        self.sender = Sender(settings, client, self.losses, weakref.proxy(self))
        self.lock = threading.RLock()
        self.thread: threading.Thread | None = None
        self.batch: OutgoingBatch | None = None
        self._sending = threading.Lock()  # held by the only thread that sends
        self._flushes: deque[tuple[Counts, threading.Event]] = deque()
        self._oldest_since: float | None = None  # when the oldest queued record came, at the latest
        self._is_parking = False
        self._is_stopping = is_stopped
        self._is_draining = False
        self._stop_at = time.monotonic() + settings.stop_timeout if is_stopped else 0.0
        self._attempts_left = 1
        self._requested_pause = 0.0  # seconds, as the server requested
        self._not_before = 0.0
        self._has_given_up = False

    # For the logging threads.

    def ensure_sending(self) -> None:
        """Start the thread if necessary; if no thread can start, send in this one."""
        with self.lock:
            if self.thread is not None or (self._is_stopping and self._has_given_up):
                return
            if self._is_stopping or not self._start_thread():
                self._send_here()

    def _start_thread(self) -> bool:
        """Return whether a thread has started; none does during the shutdown of the interpreter."""
        thread = threading.Thread(target=self._run, name="concurrent_log collector", daemon=True)
        try:
            self.thread = thread
            thread.start()
        except RuntimeError:
            self.thread = None
            return False
        except BaseException:
            # A signal handler raised, perhaps before the thread started. If it has started, it ends immediately.
            self.thread = None
            raise
        return True

    def _send_here(self) -> None:
        was_stopping = self._is_stopping
        self._begin_stopping(self._settings.stop_timeout)
        try:
            self._drain()
        finally:
            self._is_stopping = was_stopping
            self.sender.close()

    def flush(self, timeout: float) -> bool:
        """Wait until the server has stored everything queued before, and return whether it has."""
        if self._is_own_thread():
            return False
        lost = sum(self.losses.totals().values())
        event = threading.Event()
        self._flushes.append((self.queue.enqueued(), event))
        if self.thread is None:
            self.ensure_sending()
        self._wake()
        return event.wait(timeout) and sum(self.losses.totals().values()) == lost

    def is_running(self) -> bool:
        """Return whether there is a thread that sends, or will."""
        return self.thread is not None

    def pending(self) -> int:
        """Return the number of records that are queued or in flight."""
        batch = self.batch
        return len(self.queue) + (batch.pending() if batch is not None else 0)

    def stop(self, timeout: float) -> int:
        """Send queued records for at most ``timeout`` seconds, end the thread, and return the number still pending."""
        with self.lock:
            self._begin_stopping(timeout)
        thread = self.thread
        if thread is not None and not self._is_own_thread():
            self._wake()
            thread.join(timeout + 0.1)
        with self.lock:
            if self.thread is None and not self._has_given_up:
                self._drain()
            if self.thread is None:
                self.sender.close()
        self.losses.print_if_due(time.monotonic(), at_once=True)
        return self.pending()

    def park(self, timeout: float) -> None:
        """End the thread after the request in flight; the next record, or `ensure_sending`, starts another one."""
        thread = self.thread
        if thread is not None and not self._is_own_thread():
            try:
                self._is_parking = True
                self._wake()
                join(thread, min(timeout, _PARK_TIMEOUT))
            finally:
                self._is_parking = False

    # For the sender: when to wait, and when to give up.

    def wait(self, seconds: float) -> None:
        """Wait before another attempt.

        A fork ends the wait, and so do a flush and a stop, unless the server requested the wait.
        """
        if self._is_stopping:
            has_time = 0 < self._requested_pause < self.time_left()
            seconds = min(seconds, self.time_left() if has_time else _LAST_PAUSE)
        was_stopping, flushes = self._is_stopping, len(self._flushes)
        self._not_before = time.monotonic() + seconds
        while (left := self._not_before - time.monotonic()) > 0:
            if self._is_parking:
                raise _Parked
            if self._is_stopping != was_stopping or (len(self._flushes) > flushes and not self._requested_pause):
                return
            self._print_losses()
            line_in = self.losses.seconds_until_line(time.monotonic())
            self._sleep(left if line_in is None else min(left, line_in))

    def should_stop(self, response: CollectorResponse) -> bool:
        """Return whether there must be no further attempt.

        While stopping, there is one more attempt, and further ones if the server requests them in time.
        """
        self._requested_pause = retry_after(response.retry_after, time.time())
        if not self._is_stopping or 0 < self._requested_pause < self.time_left():
            return False
        self._attempts_left -= 1
        return self._attempts_left < 0 or self.time_left() <= 0

    def time_left(self) -> float:
        """Return the maximum seconds of an attempt."""
        return self._stop_at - time.monotonic() if self._is_stopping else float("inf")

    # In the thread.

    def _run(self) -> None:
        with self._sending:
            try:
                while self._is_own_thread() and not self._is_parking:
                    if not self._send_when_due():
                        break
            finally:
                if self._is_own_thread():
                    self.thread = None

    def _send_when_due(self) -> bool:
        """Wait for a batch and send it; return whether there may be more to do."""
        try:
            self.queue.adopt_orphans()
            self._wait_for_batch()
            if self.batch is not None:
                self.wait(self._not_before - time.monotonic())
            return not self._is_parking and self._send_next()
        except _Parked:
            return False
        except Exception:
            self._handle_unexpected_error()
            self._sleep(_PAUSE_AFTER_ERROR)
            return not self._is_stopping

    def _drain(self) -> None:
        """Send all queued records in this thread, while there is time."""
        if self._is_draining or not self._sending.acquire(blocking=False):
            return
        try:
            self._is_draining = True
            while self.time_left() > 0 and (self.pending() or self.losses.is_unreported()):
                if not self._send_next():
                    break
            self._complete_flushes()
        except Exception:
            self._handle_unexpected_error()
        finally:
            self._is_draining = False
            self._sending.release()

    def _send_next(self) -> bool:
        """Send the next batch; return False if there is no point in continuing."""
        batch = self._next_batch()
        if batch is not None:
            if not self.sender.deliver(batch):
                self._has_given_up = True
                return False
            self.queue.settle(batch)
            self.batch = None
        self._complete_flushes()
        self._print_losses()
        return batch is not None or not self._is_stopping

    def _next_batch(self) -> OutgoingBatch | None:
        if self.batch is not None:
            return self.batch
        batch = self.queue.take(self._settings.batch_size)
        self._oldest_since = time.monotonic() if len(self.queue) else None
        if batch is None and self.losses.is_unreported():
            batch = OutgoingBatch(self.queue.new_id(), self._common, [])
        if batch is not None:
            batch.losses = self.losses.take_report()
        self.batch = batch
        return batch

    def _wait_for_batch(self) -> None:
        """Return when a batch is due, or when there is something else to do."""
        while not self._is_parking and not self._is_stopping and self.batch is None:
            self._complete_flushes()
            self._print_losses()
            seconds = self._seconds_until_due()
            if seconds is not None and seconds <= 0:
                return
            line_in = self.losses.seconds_until_line(time.monotonic())
            self._sleep(line_in if seconds is None or (line_in is not None and line_in < seconds) else seconds)

    def _seconds_until_due(self) -> float | None:
        """Return the seconds until a batch is due; None if there is nothing to send."""
        if not len(self.queue) and not self.losses.is_unreported():
            self._oldest_since = None
            self.queue.wake_at = 1
            if not len(self.queue):  # No record was queued before it would wake us.
                return None
        now = time.monotonic()
        self._oldest_since = self._oldest_since or now
        self.queue.wake_at = self._settings.batch_size
        if len(self.queue) >= self._settings.batch_size or self._flushes:
            return 0.0
        return self._oldest_since + self._settings.flush_interval - now

    def _complete_flushes(self) -> None:
        """Wake the callers of `flush` whose records are all settled."""
        if self.batch is None:
            dequeued = self.queue.dequeued()
            while self._flushes and all(map(int.__ge__, dequeued, self._flushes[0][0])):
                self._flushes.popleft()[1].set()

    def _handle_unexpected_error(self) -> None:
        """Print the traceback, and drop a batch that causes such errors repeatedly."""
        if logging.raiseExceptions and sys.stderr:
            with contextlib.suppress(Exception):
                traceback.print_exc()
        batch = self.batch
        if batch is not None:
            batch.failures += 1
            if batch.failures >= _MAX_FAILURES:
                self.batch = None
                self.losses.give_back(batch.losses)
                self.losses.add(FAILED, batch.pending())
                self.queue.settle(batch)

    def _begin_stopping(self, timeout: float) -> None:
        self._stop_at = time.monotonic() + timeout
        self._attempts_left = 1
        self._has_given_up = False
        self._is_stopping = True

    def _print_losses(self) -> None:
        self.losses.print_if_due(time.monotonic())

    def _wake(self) -> None:
        self._wake_ups.put(None)

    def _sleep(self, seconds: float | None) -> None:
        """Wait until another thread wakes this one."""
        with contextlib.suppress(Empty):
            self._wake_ups.get(timeout=seconds)
            while True:
                self._wake_ups.get_nowait()

    def _is_own_thread(self) -> bool:
        return self.thread is threading.current_thread()


class _Parked(Exception):  # noqa: N818 - no error
    """This process is about to fork: the thread ends, and the next one continues with the batch."""


def _make_queue(
    settings: ClientSettings, client_id: str, common: bytes, losses: Losses, wake: Callable[[], None]
) -> SendQueue:
    memory = MemoryQueue(client_id, common, settings.capacity, settings.capacity_bytes, losses, wake)
    if settings.spool_directory is None:
        return memory
    return Spool(str(settings.spool_directory), settings.spool_bytes, common, memory, losses, wake)


def _process_name() -> str:
    multiprocessing = sys.modules.get("multiprocessing.process")
    return multiprocessing.current_process().name if multiprocessing is not None else "MainProcess"

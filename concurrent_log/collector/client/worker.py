"""`SendWorker`: the task that takes batches out of the queue and sends them, in time, one after the other."""

import contextlib
import functools
import logging
import os
import sys
import time
import traceback
import uuid
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from queue import Empty
from typing import Any, Protocol

import msgspec

from concurrent_log.collector.client.batch import OutgoingBatch
from concurrent_log.collector.client.deferred_entry import DeferredEntry, Entry
from concurrent_log.collector.client.losses import Losses
from concurrent_log.collector.client.queue.memory import Counts, MemoryQueue
from concurrent_log.collector.client.queue.spool import Spool
from concurrent_log.collector.client.sender import Sender, retry_after
from concurrent_log.collector.client.settings import ClientSettings
from concurrent_log.collector.client.transport import CollectorResponse
from concurrent_log.collector.client.wire.factory import make_wire_format
from concurrent_log.internal.greenlets import is_patched
from concurrent_log.internal.lifecycle import is_forking
from concurrent_log.internal.threads import Event, make_queue, take

_LAST_PAUSE = 0.2  # seconds before the last attempt while stopping
_LONGEST_DELAY = 1.0  # seconds that forks delay a batch
_MAX_FAILURES = 3  # unexpected errors with one batch, after which it is dropped
_PAUSE_AFTER_ERROR = 1.0  # seconds after an unexpected error
FAILED = "internal error of the client"


class SendQueue(Protocol):
    """Queued records, in memory or on disk."""

    wake_at: float

    def __len__(self) -> int: ...
    def size(self) -> int: ...  # noqa: D102
    def locks(self) -> Iterable[Any]: ...  # noqa: D102
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
    """Sends the records of ``queue``; a `BackgroundTask` of an `Engine`. Each process has one.

    Attributes:
        queue: The queued records.
        losses: The lost records.
        sender: Sends batches.
        common: The fields that all records of this process share.
        batch: The batch in flight.
    """

    park_timeout = 0.2  # seconds for a request in flight
    is_ordered = False  # The server sorts the records.

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        client_id = uuid.uuid4().hex
        wire = make_wire_format(settings.protocol, client_id)
        process = {"process_id": os.getpid(), "process_name": _process_name()}
        self.common = {**settings.common(), **process}
        self._common = msgspec.json.encode(self.common)
        self._wake_ups = make_queue()
        wake = functools.partial(self._wake_ups.put, None)  # A method of ours would create a reference cycle.
        self.losses = Losses(wake, is_reported=wire.reports_losses)
        self.queue = _make_queue(settings, client_id, self._common, self.losses, wake)
        self.sender = Sender(settings, wire, self.losses, weakref.proxy(self))
        self.batch: OutgoingBatch | None = None
        self._flushes: deque[_Flush] = deque()
        self._oldest_since: float | None = None  # when the oldest queued record came, at the latest
        self._is_stopping = False
        self._is_urgent = False  # whether a thread waits for the stop
        self._is_stop_over = False
        self._is_draining = False
        self._stop_at = 0.0
        self._attempts_left = 1
        self._requested_pause = 0.0  # seconds, as the server requested
        self._not_before = 0.0
        self._has_given_up = False

    # For any thread.

    def has_work(self) -> bool:
        """Return whether there is something to send, and it has not given up; or a flush that is not done."""
        if self._is_stopping and self._has_given_up:
            return False
        return bool(self.pending() or self.losses.is_unreported() or self._flushes)

    def pending(self) -> int:
        """Return the number of records that are queued or in flight."""
        batch = self.batch
        return len(self.queue) + (batch.pending() if batch is not None else 0)

    def put_barrier(self) -> "_Flush":
        """Return a barrier that is complete when the server has stored everything queued before."""
        flush = _Flush(self.queue.enqueued(), self.losses)
        self._flushes.append(flush)
        self.interrupt()
        return flush

    def interrupt(self) -> None:
        """Wake up the thread that waits in `step`."""
        self._wake_ups.put(None)

    def stop(self, timeout: float, *, is_urgent: bool) -> None:
        """Send queued records for at most ``timeout`` seconds; if no thread waits for it, since the last success."""
        self._stop_at = time.monotonic() + timeout
        self._attempts_left = 1
        self._has_given_up = self._is_stop_over = False
        self._is_urgent = is_urgent
        self._is_stopping = True
        self.interrupt()

    def locks(self) -> Iterable[Any]:
        """Return the locks of the queue and of the losses."""
        return [*self.queue.locks(), self.losses.lock]

    def describe_pending(self, records: int, timeout: float) -> str:
        """Return the message for ``records`` that could not be sent in time."""
        cause = f" ({self.sender.last_error})" if self.sender.last_error else ""
        return self.queue.describe_unsent(records, self._settings.endpoint) + cause

    def detach_after_fork(self) -> None:
        """Leave all records to the parent process, in the child after a fork."""
        self.queue.close_in_child()

    # For the sender: when to wait, and when to give up.

    def wait(self, seconds: float) -> None:
        """Wait before another attempt.

        A fork ends the wait, and so do a flush and a stop, unless the server requested the wait.
        """
        if self._is_stopping:
            has_time = not self._is_urgent or 0 < self._requested_pause < self.time_left()
            seconds = min(seconds, self.time_left() if has_time else _LAST_PAUSE)
        was_stopping, was_awaited, flushes = self._is_stopping, self._is_urgent, len(self._flushes)
        self._not_before = time.monotonic() + seconds
        while (left := self._not_before - time.monotonic()) > 0:
            if is_forking() and not self._is_draining:
                raise _Parked
            if (self._is_stopping, self._is_urgent) != (was_stopping, was_awaited):
                return
            if len(self._flushes) > flushes and not self._requested_pause:
                return
            self._print_losses()
            line_in = self.losses.seconds_until_line(time.monotonic())
            self._sleep(left if line_in is None else min(left, line_in))

    def should_stop(self, response: CollectorResponse) -> bool:
        """Return whether there must be no further attempt.

        While a thread waits for the stop, there is one more attempt, and further ones if the server requests them in
        time.
        """
        self._requested_pause = retry_after(response.retry_after, time.time())
        if not self._is_stopping or 0 < self._requested_pause < self.time_left():
            return False
        if self._is_urgent:
            self._attempts_left -= 1
        return self._attempts_left < 0 or self.time_left() <= 0

    def time_left(self) -> float:
        """Return the maximum seconds of an attempt."""
        return self._stop_at - time.monotonic() if self._is_stopping else float("inf")

    # For the thread that works.

    def step(self) -> bool:
        """Wait for a batch and send it; return False after `stop`, when there is no point in continuing."""
        try:
            self.queue.adopt_orphans()
            self._wait_for_batch()
            if self.batch is not None:
                self.wait(self._not_before - time.monotonic())
            return (is_forking() and not self._is_overdue()) or self._send_next()
        except _Parked:
            return True
        except Exception:
            self._handle_unexpected_error()
            self._sleep(_PAUSE_AFTER_ERROR)
            return not self._is_stopping
        finally:
            if is_forking() and is_patched():
                self.sender.close()  # gevent binds a connection to its thread, which ends now.

    def drain(self) -> None:
        """Send all queued records in this thread, while there is time."""
        was_stopping = self._is_stopping
        if was_stopping and self._has_given_up:
            return
        if not was_stopping or self._is_stop_over:
            self.stop(self._settings.stop_timeout, is_urgent=True)
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
            self._is_stopping, self._is_stop_over = was_stopping, True
            self.sender.close()

    def release(self) -> None:
        """Close the connection and the queue, whose records stay for another process if it is on disk."""
        self.sender.close()
        self.losses.print_if_due(time.monotonic(), at_once=True)
        self.queue.close()
        self._is_stop_over = True

    def _send_next(self) -> bool:
        """Send the next batch; return False if there is no point in continuing."""
        batch = self._next_batch()
        if batch is not None:
            if not self.sender.deliver(batch):
                self._has_given_up = True
                return False
            self.queue.settle(batch)
            self.batch = None
            if not self._is_urgent:
                self._stop_at = time.monotonic() + self._settings.stop_timeout
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
        while not is_forking() and not self._is_stopping and self.batch is None:
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

    def _is_overdue(self) -> bool:
        """Return whether records have waited too long, for example because this process forks all the time."""
        limit = self._settings.flush_interval + _LONGEST_DELAY
        return self._oldest_since is not None and time.monotonic() - self._oldest_since > limit

    def _complete_flushes(self) -> None:
        """Wake the callers of `flush` whose records are all settled."""
        if self.batch is None:
            dequeued = self.queue.dequeued()
            while self._flushes and all(map(int.__ge__, dequeued, self._flushes[0].enqueued)):
                self._flushes.popleft().event.set()

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

    def _print_losses(self) -> None:
        self.losses.print_if_due(time.monotonic())

    def _sleep(self, seconds: float | None) -> None:
        """Wait until another thread wakes this one."""
        with contextlib.suppress(Empty):
            take(self._wake_ups, seconds)
            while True:
                self._wake_ups.get_nowait()


class _Flush:
    """A barrier: the counts of the queue at its beginning, and the event of its end."""

    def __init__(self, enqueued: Counts, losses: Losses) -> None:
        self.enqueued = enqueued
        self.event = Event()
        self._losses = losses
        self._lost = sum(losses.totals().values())

    def wait(self, timeout: float) -> bool:
        """Wait for at most ``timeout`` seconds; return whether the server has stored everything queued before."""
        return self.event.wait(timeout) and sum(self._losses.totals().values()) == self._lost


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

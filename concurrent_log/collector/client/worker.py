"""The thread that takes batches out of a queue and lets them be sent; its beginning, its pauses and its end."""

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

from concurrent_log.collector.client.batch import Batch
from concurrent_log.collector.client.deferred import Entry, Late
from concurrent_log.collector.client.losses import Losses
from concurrent_log.collector.client.queue.memory import Mark, MemoryQueue
from concurrent_log.collector.client.queue.spool import Spool
from concurrent_log.collector.client.sender import Sender, retry_after
from concurrent_log.collector.client.settings import Settings
from concurrent_log.collector.client.transport import Answer
from concurrent_log.internal.lifecycle import join

_PARKING = 0.2  # seconds for which a fork waits for a request that is on its way
_LAST_PAUSE = 0.2  # seconds before the last attempt at the end
_MOST_FAILURES = 3  # of one batch, by mistakes of ours, until it is given up
_AFTER_MISTAKE = 1.0  # seconds until the next attempt
FAILED = "failed here"


class Queue(Protocol):
    """Where records wait: in memory, or on disk."""

    ring_at: float

    def __len__(self) -> int: ...
    def size(self) -> int: ...  # noqa: D102
    def mark(self) -> Mark: ...  # noqa: D102
    def gone(self) -> Mark: ...  # noqa: D102
    def put(self, entry: Entry | Late, size: int = 0) -> None: ...  # noqa: D102
    def take(self, most: int) -> Batch | None: ...  # noqa: D102
    def new_id(self) -> str: ...  # noqa: D102
    def settle(self, batch: Batch) -> None: ...  # noqa: D102
    def look_around(self) -> None: ...  # noqa: D102
    def farewell(self, left: int, endpoint: str) -> str: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102
    def forget(self) -> None: ...  # noqa: D102


class Worker:
    """Sends what waits in ``queue``, in a thread that begins with the first record.

    There is one in each process. Who logs when no thread can begin any more sends himself.

    Attributes:
        lock: Held where a thread must not begin.
        thread: The one that sends, if there is one.
    """

    def __init__(self, settings: Settings, *, is_stopped: bool) -> None:
        self._settings = settings
        client_id = uuid.uuid4().hex
        client = msgspec.json.encode({"id": client_id, "name": "concurrent-log"})
        here = {"process_id": os.getpid(), "process_name": _process_name()}
        self.common = {**settings.common(), **here}
        self._common = msgspec.json.encode(self.common)
        self._bell: SimpleQueue[None] = SimpleQueue()
        ring = functools.partial(self._bell.put, None)  # Not our method: only a garbage collection ends a cycle.
        self.losses = Losses(ring)
        self.queue = _queue(settings, client_id, self._common, self.losses, ring)
        self.sender = Sender(settings, client, self.losses, weakref.proxy(self))
        self.lock = threading.RLock()
        self.thread: threading.Thread | None = None
        self.batch: Batch | None = None
        self._turn = threading.Lock()  # held by the one thread that sends
        self._marks: deque[tuple[Mark, threading.Event]] = deque()
        self._settled: Mark = ()
        self._first_at: float | None = None  # when the first of those that wait came, at the latest
        self._is_parking = False
        self._is_stopping = is_stopped
        self._is_draining = False
        self._stop_at = time.monotonic() + settings.stop_timeout if is_stopped else 0.0
        self._attempts_left = 1
        self._asked = 0.0  # seconds for which the server wants to be left alone
        self._not_before = 0.0
        self._has_given_up = False

    # For who logs.

    def need(self) -> None:
        """Make sure that somebody sends; where no thread can begin, do it here."""
        with self.lock:
            if self.thread is not None or (self._is_stopping and self._has_given_up):
                return
            if self._is_stopping or not self._begin_thread():
                self._send_here()

    def _begin_thread(self) -> bool:
        """Return whether a thread has begun; none does while the interpreter shuts down."""
        thread = threading.Thread(target=self._run, name="concurrent_log collector", daemon=True)
        try:
            self.thread = thread
            thread.start()
        except RuntimeError:
            self.thread = None
            return False
        except BaseException:
            # A signal handler raised, perhaps before the thread began. If it did begin, it will not go on.
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
        """Wait until the server has all that was put before; return whether it has."""
        if self._is_here():
            return False
        lost = sum(self.losses.totals().values())
        event = threading.Event()
        self._marks.append((self.queue.mark(), event))
        if self.thread is None:
            self.need()
        self._ring()
        return event.wait(timeout) and sum(self.losses.totals().values()) == lost

    def is_running(self) -> bool:
        """Return whether there is a thread that sends, or will."""
        return self.thread is not None

    def left(self) -> int:
        """Return how many records wait, or are on their way."""
        batch = self.batch
        return len(self.queue) + (batch.left() if batch is not None else 0)

    def stop(self, timeout: float) -> int:
        """Send what waits, within ``timeout`` seconds, and end the thread; return how many records are left."""
        with self.lock:
            self._begin_stopping(timeout)
        thread = self.thread
        if thread is not None and not self._is_here():
            self._ring()
            thread.join(timeout + 0.1)
        with self.lock:
            if self.thread is None and not self._has_given_up:
                self._drain()
            if self.thread is None:
                self.sender.close()
        self.losses.report(time.monotonic(), at_once=True)
        return self.left()

    def park(self, timeout: float) -> None:
        """Let the thread end as soon as it has its hands free; the next record, or `need`, begins another one."""
        thread = self.thread
        if thread is not None and not self._is_here():
            try:
                self._is_parking = True
                self._ring()
                join(thread, min(timeout, _PARKING))
            finally:
                self._is_parking = False

    # For who sends a batch: when to wait, and when to give up.

    def wait(self, seconds: float) -> None:
        """Wait before another attempt; a fork is no time to wait, nor is a flush or an end, unless the server asked."""
        if self._is_stopping:
            has_time = 0 < self._asked < self.time_left()
            seconds = min(seconds, self.time_left() if has_time else _LAST_PAUSE)
        was_stopping, marks = self._is_stopping, len(self._marks)
        self._not_before = time.monotonic() + seconds
        while (left := self._not_before - time.monotonic()) > 0:
            if self._is_parking:
                raise _Parked
            if self._is_stopping != was_stopping or (len(self._marks) > marks and not self._asked):
                return
            self._tell()
            line_in = self.losses.next_line_in(time.monotonic())
            self._listen(left if line_in is None else min(left, line_in))

    def is_over(self, answer: Answer) -> bool:
        """Return whether there is to be no further attempt: at the end there is one, and more where a server asks."""
        self._asked = retry_after(answer.retry_after, time.time())
        if not self._is_stopping or 0 < self._asked < self.time_left():
            return False
        self._attempts_left -= 1
        return self._attempts_left < 0 or self.time_left() <= 0

    def time_left(self) -> float:
        """Return for how many seconds an attempt may last."""
        return self._stop_at - time.monotonic() if self._is_stopping else float("inf")

    # The thread.

    def _run(self) -> None:
        with self._turn:
            try:
                while self._is_here() and not self._is_parking:
                    if not self._work():
                        break
            finally:
                if self._is_here():
                    self.thread = None

    def _work(self) -> bool:
        """Send one batch, as soon as there is one; return whether there may be more to do."""
        try:
            self.queue.look_around()
            self._wait_for_batch()
            if self.batch is not None:
                self.wait(self._not_before - time.monotonic())
            return not self._is_parking and self._send()
        except _Parked:
            return False
        except Exception:
            self._survive()
            self._listen(_AFTER_MISTAKE)
            return not self._is_stopping

    def _drain(self) -> None:
        """Send all that waits, here and now, as far as there is time."""
        if self._is_draining or not self._turn.acquire(blocking=False):
            return
        try:
            self._is_draining = True
            while self.time_left() > 0 and (self.left() or self.losses.is_unreported()):
                if not self._send():
                    break
            self._pass_marks()
        except Exception:
            self._survive()
        finally:
            self._is_draining = False
            self._turn.release()

    def _send(self) -> bool:
        """Send what is next; return False where it is no use to go on."""
        batch = self._next_batch()
        if batch is not None:
            if not self.sender.deliver(batch):
                self._has_given_up = True
                return False
            self.queue.settle(batch)
            self.batch = None
        self._pass_marks()
        self._tell()
        return batch is not None or not self._is_stopping

    def _next_batch(self) -> Batch | None:
        if self.batch is not None:
            return self.batch
        batch = self.queue.take(self._settings.batch_size)
        self._first_at = time.monotonic() if len(self.queue) else None
        if batch is None and self.losses.is_unreported():
            batch = Batch(self.queue.new_id(), self._common, [])
        if batch is not None:
            batch.dropped = self.losses.take_report()
        self.batch = batch
        return batch

    def _wait_for_batch(self) -> None:
        """Return when a batch is to leave, or there is something else to do."""
        while not self._is_parking and not self._is_stopping and self.batch is None:
            self._pass_marks()
            self._tell()
            seconds = self._due_in()
            if seconds is not None and seconds <= 0:
                return
            line_in = self.losses.next_line_in(time.monotonic())
            self._listen(line_in if seconds is None or (line_in is not None and line_in < seconds) else seconds)

    def _due_in(self) -> float | None:
        """Return after how many seconds a batch is to leave; None where only a ring can tell."""
        if not len(self.queue) and not self.losses.is_unreported():
            self._first_at = None
            self.queue.ring_at = 1
            if not len(self.queue):  # Nobody put one before it would ring.
                return None
        now = time.monotonic()
        self._first_at = self._first_at or now
        self.queue.ring_at = self._settings.batch_size
        if len(self.queue) >= self._settings.batch_size or self._marks:
            return 0.0
        return self._first_at + self._settings.flush_interval - now

    def _pass_marks(self) -> None:
        """Tell who waits that everything before his mark is settled."""
        if self.batch is None:
            gone = self.queue.gone()
            while self._marks and all(map(int.__ge__, gone, self._marks[0][0])):
                self._marks.popleft()[1].set()

    def _survive(self) -> None:
        """Go on after a mistake of ours; a batch that causes it again and again is given up."""
        if logging.raiseExceptions and sys.stderr:
            with contextlib.suppress(Exception):
                traceback.print_exc()
        batch = self.batch
        if batch is not None:
            batch.failures += 1
            if batch.failures >= _MOST_FAILURES:
                self.batch = None
                self.losses.give_back(batch.dropped)
                self.losses.add(FAILED, batch.left())
                self.queue.settle(batch)

    def _begin_stopping(self, timeout: float) -> None:
        self._stop_at = time.monotonic() + timeout
        self._attempts_left = 1
        self._has_given_up = False
        self._is_stopping = True

    def _tell(self) -> None:
        self.losses.report(time.monotonic())

    def _ring(self) -> None:
        self._bell.put(None)

    def _listen(self, seconds: float | None) -> None:
        """Wait for a ring."""
        with contextlib.suppress(Empty):
            self._bell.get(timeout=seconds)
            while True:
                self._bell.get_nowait()

    def _is_here(self) -> bool:
        return self.thread is threading.current_thread()


class _Parked(Exception):  # noqa: N818 - no error
    """This process is about to fork: the thread ends, and the next one goes on with the batch."""


def _queue(settings: Settings, client_id: str, common: bytes, losses: Losses, ring: Callable[[], None]) -> Queue:
    memory = MemoryQueue(client_id, common, settings.capacity, settings.capacity_bytes, losses, ring)
    if settings.spool_directory is None:
        return memory
    return Spool(str(settings.spool_directory), settings.spool_bytes, common, memory, losses, ring)


def _process_name() -> str:
    multiprocessing = sys.modules.get("multiprocessing.process")
    return multiprocessing.current_process().name if multiprocessing is not None else "MainProcess"

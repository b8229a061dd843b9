"""The engine: takes entries, and sees to it that the server gets them, through forks and to the exit."""

import threading
from dataclasses import dataclass, field
from typing import Any

from concurrent_log.internal import stderr
from concurrent_log.internal.extras import needs_extra
from concurrent_log.internal.lifecycle import close_in_background, hook_exits, register

with needs_extra():
    from concurrent_log.collector.client.deferred_entry import Late
    from concurrent_log.collector.client.sender import is_sending, senders
    from concurrent_log.collector.client.sequence import next_number
    from concurrent_log.collector.client.settings import Settings
    from concurrent_log.collector.client.worker import Worker

_LAST_CHANCE = 0.1  # seconds for what could not be sent in time


@dataclass(frozen=True)
class Stats:
    """What became of the records of one `Shipper`, in this process.

    Attributes:
        queued: How many wait, or are on their way.
        bytes: About how many bytes those that wait take.
        sent: How many were sent, however often each.
        acknowledged: How many the server has.
        dropped: How many were lost, by reason.
        last_error: What went wrong last, in one line; empty for nothing.
        healthy: Whether the last attempt to send was a success, or there was none.
    """

    queued: int = 0
    bytes: int = 0
    sent: int = 0
    acknowledged: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    last_error: str = ""
    healthy: bool = True


class Shipper:
    """Ships entries to a collector, from a thread that begins with the first of them.

    Nothing is started before, so that a program may configure its logging and then fork. The child after a fork has a
    thread and a queue of its own; what waited in the parent is sent by the parent.

    Args:
        url: Where the collector is.
        **options: What `CollectorHandler` takes besides.

    Raises:
        TypeError, ValueError, OSError: An argument is not of its kind, or names what cannot be used.
        ModuleNotFoundError: The extra is not installed; the message has the command.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self.settings = Settings(url=url, **options)
        self._begin_life()

    def _begin_life(self) -> None:
        self._lock = threading.RLock()
        self._worker: Worker | None = None
        self._parked: Worker | None = None
        self._is_closed = False
        self._left_before = 0  # by the last `close`
        register(self)

    def put(self, entry: dict[str, Any]) -> None:
        """Let ``entry`` be sent; it belongs to the shipper from now on.

        What is logged while sending, by the thread that sends, is left out: it would never end.
        """
        if is_sending():
            return
        worker = self._worker or self._begin()
        entry["sequence"] = next_number()
        worker.queue.put(entry)
        if worker.thread is None:
            worker.need()

    def put_late(self, late: Late, size: int) -> None:
        """Like `put`, for what is to be put together later, and has its number and about ``size`` bytes."""
        if senders and is_sending():
            return
        worker = self._worker or self._begin()
        worker.queue.put(late, size)
        if worker.thread is None:
            worker.need()

    def lose(self, reason: str) -> None:
        """Count one entry that could not be put."""
        (self._worker or self._begin()).losses.add(reason)

    def common(self) -> dict[str, Any]:
        """Return what is said of all entries of this process, and need not stand in each."""
        return (self._worker or self._begin()).common

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the server has all that was put before, for ``stop_timeout`` seconds unless told otherwise.

        Returns whether it has; also False where something was lost meanwhile.
        """
        worker = self._worker
        if worker is None:
            return True
        if self._is_closed:
            return not worker.left()
        return worker.flush(self.settings.stop_timeout if timeout is None else timeout)

    def stats(self) -> Stats:
        """Return what became of the entries of this process up to now."""
        worker = self._worker
        if worker is None:
            return Stats()
        sender = worker.sender
        return Stats(
            queued=worker.left(),
            bytes=worker.queue.size(),
            sent=sender.sent,
            acknowledged=sender.acknowledged,
            dropped=worker.losses.totals(),
            last_error=sender.last_error,
            healthy=sender.is_healthy,
        )

    def close(self, timeout: float | None = None) -> None:
        """Send what waits, and end the thread; what comes later is sent at once, by who logs it.

        Takes ``stop_timeout`` seconds at most, unless told otherwise. How many records are left is said on stderr.
        """
        worker = self._worker
        if worker is not None and (worker.is_running() or not self._is_closed or worker.left() > self._left_before):
            seconds = self.settings.stop_timeout if timeout is None else timeout
            left = worker.stop(_LAST_CHANCE if self._is_closed else seconds)
            if left not in (0, self._left_before):
                why = f" ({worker.sender.last_error})" if worker.sender.last_error else ""
                stderr.warn(worker.queue.farewell(left, self.settings.endpoint) + why)
            self._left_before = left
        self._is_closed = True
        if worker is not None:
            worker.queue.close()

    def _begin(self) -> Worker:
        """Return the worker of this process."""
        with self._lock:
            if self._worker is None:
                worker = Worker(self.settings, is_stopped=self._is_closed)
                hook_exits()
                # Meanwhile a signal handler may have logged, and begun one.
                self._worker = self._worker or worker
            return self._worker

    def __del__(self) -> None:
        worker = vars(self).get("_worker")
        if worker is not None and not self._is_closed and (worker.is_running() or worker.left()):
            close_in_background(self)

    # Forks and pickling.

    def park(self, timeout: float) -> None:
        """Let no thread be in the middle of anything, and none begin; this process is about to fork."""
        worker = self._worker
        if worker is not None and worker.lock.acquire(timeout=timeout):
            self._parked = worker
            worker.park(timeout)

    def resume(self) -> None:
        """Go on after a fork."""
        worker, self._parked = self._parked, None
        if worker is not None:
            worker.lock.release()
            if worker.left():
                worker.need()

    def restart_after_fork(self) -> None:
        """Begin in the child after a fork: what waits is the parent's."""
        if self._worker is not None:
            self._worker.queue.forget()
        self._lock = threading.RLock()
        self._worker = self._parked = None
        self._is_closed = False
        self._left_before = 0

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self.settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.settings = state["settings"]
        self._begin_life()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.settings.endpoint}>"

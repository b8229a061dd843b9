"""`Shipper`: owns the queue and the send worker of one process, through forks and until the exit."""

import threading
from dataclasses import dataclass, field
from typing import Any

from concurrent_log.collector.client.extra import needs_extra
from concurrent_log.internal import stderr
from concurrent_log.internal.lifecycle import close_in_background, hook_exits, register

with needs_extra():
    from concurrent_log.collector.client.deferred_entry import DeferredEntry
    from concurrent_log.collector.client.sender import is_sending, senders
    from concurrent_log.collector.client.sequence import next_number
    from concurrent_log.collector.client.settings import ClientSettings
    from concurrent_log.collector.client.worker import SendWorker

_SECOND_CLOSE_TIMEOUT = 0.1  # seconds for records that the first `close` could not send


@dataclass(frozen=True)
class CollectorStats:
    """Counts of the records of one client, in this process.

    Attributes:
        queued: The records that are queued or in flight.
        bytes: The approximate size of the queued records.
        sent: The records sent, including repetitions.
        acknowledged: The records that the server has stored.
        dropped: The lost records, by reason.
        changed: The records that the server has stored with shorter texts, or from a divided batch, by reason.
        last_error: The last error in one line; empty if there was none.
        healthy: Whether the last attempt to send was successful; true before the first one.
    """

    queued: int = 0
    bytes: int = 0
    sent: int = 0
    acknowledged: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    last_error: str = ""
    healthy: bool = True


class Shipper:
    """Sends entries to a collector, in a thread that starts with the first entry.

    Nothing starts earlier, so a program may configure its logging and then fork. The child after a fork has its own
    thread and queue; the parent sends what was queued in the parent.

    Args:
        url: The URL of the collector.
        **options: The other arguments of `CollectorHandler`.

    Raises:
        TypeError, ValueError, OSError: An argument has the wrong type, or names something that cannot be used.
        ModuleNotFoundError: A package of the extra is not installed; the message has the command.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self.settings = ClientSettings(url=url, **options)
        self._set_up()

    def _set_up(self) -> None:
        self._lock = threading.RLock()
        self._worker: SendWorker | None = None
        self._parked: SendWorker | None = None
        self._is_closed = False
        self._unsent_before = 0  # records, at the last `close`
        register(self)

    def put(self, entry: dict[str, Any]) -> None:
        """Queue ``entry``, which the caller must not use afterwards.

        What the sending thread logs while it sends is ignored; otherwise each request would cause another one.
        """
        if is_sending():
            return
        worker = self._worker or self._start_worker()
        entry["sequence"] = next_number()
        worker.queue.put(entry)
        if worker.thread is None:
            worker.ensure_sending()

    def put_deferred(self, deferred: DeferredEntry, size: int) -> None:
        """Queue an entry that is built later; it has its sequence number, and a size of about ``size`` bytes."""
        if senders and is_sending():
            return
        worker = self._worker or self._start_worker()
        worker.queue.put(deferred, size)
        if worker.thread is None:
            worker.ensure_sending()

    def count_lost(self, reason: str) -> None:
        """Count one entry that could not be queued."""
        (self._worker or self._start_worker()).losses.add(reason)

    def common(self) -> dict[str, Any]:
        """Return the fields that all entries of this process share; they are sent once per batch."""
        return (self._worker or self._start_worker()).common

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the server has stored everything queued before, for at most ``timeout`` seconds.

        ``timeout`` defaults to ``stop_timeout``. Returns whether all is stored; False also if a record was lost.
        """
        worker = self._worker
        if worker is None:
            return True
        if self._is_closed:
            return not worker.pending()
        return worker.flush(self.settings.stop_timeout if timeout is None else timeout)

    def stats(self) -> CollectorStats:
        """Return counts of the entries of this process, and the last error."""
        worker = self._worker
        if worker is None:
            return CollectorStats()
        sender = worker.sender
        return CollectorStats(
            queued=worker.pending(),
            bytes=worker.queue.size(),
            sent=sender.sent,
            acknowledged=sender.acknowledged,
            dropped=worker.losses.totals(),
            changed=worker.losses.changed(),
            last_error=sender.last_error,
            healthy=sender.is_healthy,
        )

    def close(self, timeout: float | None = None) -> None:
        """Send queued entries and end the thread; the logging thread then sends further entries itself.

        Takes at most ``timeout`` seconds, by default ``stop_timeout``. Reports the number of unsent records on stderr.
        """
        worker = self._worker
        if worker is not None and (
            worker.is_running() or not self._is_closed or worker.pending() > self._unsent_before
        ):
            seconds = self.settings.stop_timeout if timeout is None else timeout
            unsent = worker.stop(_SECOND_CLOSE_TIMEOUT if self._is_closed else seconds)
            if unsent not in (0, self._unsent_before):
                cause = f" ({worker.sender.last_error})" if worker.sender.last_error else ""
                stderr.warn(worker.queue.describe_unsent(unsent, self.settings.endpoint) + cause)
            self._unsent_before = unsent
        self._is_closed = True
        if worker is not None:
            worker.queue.close()

    def _start_worker(self) -> SendWorker:
        """Return the worker of this process, and create it if necessary."""
        with self._lock:
            if self._worker is None:
                worker = SendWorker(self.settings, is_stopped=self._is_closed)
                hook_exits()
                # A signal handler may have logged meanwhile, and created one.
                self._worker = self._worker or worker
            return self._worker

    def __del__(self) -> None:
        worker = vars(self).get("_worker")
        if worker is not None and not self._is_closed and (worker.is_running() or worker.pending()):
            close_in_background(self)

    # Forks and pickling.

    def park(self, timeout: float) -> None:
        """Bring the thread to a safe point, and prevent a new one; this process is about to fork."""
        worker = self._worker
        if worker is not None and worker.lock.acquire(timeout=timeout):
            self._parked = worker
            worker.park(timeout)

    def resume(self) -> None:
        """Continue in the parent after a fork."""
        worker, self._parked = self._parked, None
        if worker is not None:
            worker.lock.release()
            if worker.pending():
                worker.ensure_sending()

    def restart_after_fork(self) -> None:
        """Start with an empty queue in the child after a fork; queued entries are the parent's."""
        if self._worker is not None:
            self._worker.queue.close_in_child()
        self._lock = threading.RLock()
        self._worker = self._parked = None
        self._is_closed = False
        self._unsent_before = 0

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self.settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.settings = state["settings"]
        self._set_up()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.settings.endpoint}>"

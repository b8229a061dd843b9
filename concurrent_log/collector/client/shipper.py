"""`Shipper`: owns the queue and the send worker of one process, through forks and until the exit."""

from dataclasses import dataclass, field
from typing import Any

from concurrent_log.background.engine import Engine
from concurrent_log.collector.client.extra import needs_extra

with needs_extra():
    from concurrent_log.collector.client.deferred_entry import DeferredEntry
    from concurrent_log.collector.client.sender import is_sending, senders
    from concurrent_log.collector.client.sequence import next_number
    from concurrent_log.collector.client.settings import ClientSettings
    from concurrent_log.collector.client.wire.factory import make_wire_format
    from concurrent_log.collector.client.worker import SendWorker


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
        make_wire_format(self.settings.protocol, "")  # Raises here, not in a logging call, if a package is missing.
        self.engine: Engine[SendWorker] = Engine("concurrent_log collector", self.settings.stop_timeout)

    def put(self, entry: dict[str, Any]) -> None:
        """Queue ``entry``, which the caller must not use afterwards.

        What the sending thread logs while it sends is ignored; otherwise each request would cause another one.
        """
        if is_sending():
            return
        worker = self.engine.task or self._create_worker()
        entry["sequence"] = next_number()
        worker.queue.put(entry)
        if self.engine.thread is None:
            self.engine.ensure_running()

    def put_deferred(self, deferred: DeferredEntry, size: int) -> None:
        """Queue an entry that is built later; it has its sequence number, and a size of about ``size`` bytes."""
        if senders and is_sending():
            return
        worker = self.engine.task or self._create_worker()
        worker.queue.put(deferred, size)
        if self.engine.thread is None:
            self.engine.ensure_running()

    def count_lost(self, reason: str) -> None:
        """Count one entry that could not be queued."""
        (self.engine.task or self._create_worker()).losses.add(reason)

    def common(self) -> dict[str, Any]:
        """Return the fields that all entries of this process share; they are sent once per batch."""
        return (self.engine.task or self._create_worker()).common

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the server has stored everything queued before, for at most ``timeout`` seconds.

        ``timeout`` defaults to ``stop_timeout``. Returns whether all is stored; False also if a record was lost.
        """
        return self.engine.flush(timeout)

    def stats(self) -> CollectorStats:
        """Return counts of the entries of this process, and the last error."""
        worker = self.engine.task
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
        In a thread that holds the lock of `logging`, as inside `dictConfig`, it returns immediately. The thread then
        continues until everything is sent, or nothing could be sent for ``stop_timeout`` seconds.
        """
        self.engine.close(timeout)

    def _create_worker(self) -> SendWorker:
        return self.engine.create(lambda _: SendWorker(self.settings))

    def __del__(self) -> None:
        engine = vars(self).get("engine")
        if engine is not None:
            engine.abandon()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.settings.endpoint}>"

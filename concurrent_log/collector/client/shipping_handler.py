"""`ShippingHandler`: what the handlers have in common that send records over HTTP, whatever the protocol is."""

import logging
from typing import Any

from concurrent_log.background.queueing_handler import QueueingHandler
from concurrent_log.collector.client.extra import needs_extra

with needs_extra():
    from concurrent_log.collector.client.context import add_missing, add_missing_fields
    from concurrent_log.collector.client.deferred_record import defer_record
    from concurrent_log.collector.client.record import record_to_entry
    from concurrent_log.collector.client.sender import is_sending, senders
    from concurrent_log.collector.client.shipper import CollectorStats, Shipper
    from concurrent_log.collector.client.trace_fields import trace_fields

_RECURSION = "recursion limit reached"


class ShippingHandler(QueueingHandler):
    """Sends records with a `Shipper`, in a background thread.

    Args:
        url: The URL of the server.
        options: The other arguments of `Shipper`.
    """

    def __init__(self, url: str, **options: Any) -> None:
        shipper = Shipper(url, **options)
        super().__init__()
        self.shipper = shipper
        self._adds_trace = shipper.settings.protocol == "otlp"

    def emit(self, record: logging.LogRecord) -> None:
        """Queue ``record``. Never raises: errors are reported through ``handleError``."""
        shipper = self.shipper
        if senders and is_sending():
            return
        try:
            trace = trace_fields(record) if self._adds_trace else {}
            deferred = defer_record(record, shipper.common(), trace) if self.formatter is None else None
            if deferred is not None:
                shipper.put_deferred(*deferred)
                return
            message = None if self.formatter is None else self.formatter.format(record)
            entry = record_to_entry(record, shipper.common(), message)
            add_missing_fields(entry, trace)
            add_missing(entry)
            shipper.put(entry)
        except RecursionError:
            self.shipper.count_lost(_RECURSION)
        except Exception:
            self.handleError(record)

    def flush(self, timeout: float | None = None) -> bool:  # type: ignore[override]  # logging's returns None
        """Wait until the server has stored everything logged before, for at most ``timeout`` seconds.

        ``timeout`` defaults to ``stop_timeout``. Returns whether all is stored; False also if a record was lost.
        """
        return self.shipper.flush(timeout)

    def stats(self) -> CollectorStats:
        """Return counts of the records of this process, and the last error."""
        return self.shipper.stats()

    def close(self) -> None:
        """Send queued records within ``stop_timeout`` seconds; a record logged afterwards is sent immediately."""
        self.shipper.close()
        super().close()

    def __getstate__(self) -> dict[str, Any]:
        return vars(self).copy()

    def __setstate__(self, state: dict[str, Any]) -> None:
        logging.Handler.__init__(self)
        vars(self).update(state)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.shipper.settings.endpoint} ({logging.getLevelName(self.level)})>"

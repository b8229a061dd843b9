"""`TraceContextFilter`: adds the ids of OpenTelemetry's current span to records, so that formatters can print them."""

import logging

from concurrent_log.internal.trace_context import NO_TRACE, current_trace


class TraceContextFilter(logging.Filter):
    """Adds ``trace_id``, ``span_id`` and ``trace_flags`` to every record, and rejects none.

    They are text in hexadecimal, as OpenTelemetry's "Trace Context in non-OTLP Log Formats" defines. Outside a span,
    and where OpenTelemetry is not loaded, they are empty. A record that has a ``trace_id`` keeps it, and gets the other
    two as empty text if it has none. Safe in all threads and in asyncio. Never raises.

    Add it to handlers, not to loggers: the filters of a logger do not see the records of its children.

    Args:
        name: Accept only the records of this logger and its children, as in `logging.Filter`.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the fields to ``record``; return whether ``name`` accepts it."""
        if vars(record).get("trace_id"):
            record.__dict__.setdefault("span_id", "")
            record.__dict__.setdefault("trace_flags", "")
        else:
            record.__dict__.update(_current_fields())
        return bool(super().filter(record))


def _current_fields() -> dict[str, str]:
    try:
        return current_trace()._asdict()
    except Exception:  # A failure of OpenTelemetry, or of a tracer that stands in for it, loses no record.
        return NO_TRACE._asdict()

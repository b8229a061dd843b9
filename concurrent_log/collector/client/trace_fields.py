"""The ids of OpenTelemetry's current span as fields of a record, where OpenTelemetry is loaded."""

import logging
from collections.abc import Mapping

from concurrent_log.internal.trace_context import current_trace

_NONE: Mapping[str, str] = {}


def current_fields() -> Mapping[str, str]:
    """Return the fields of the span of this thread or task; none outside a span. Never raises."""
    try:
        trace = current_trace()
    except Exception:  # A failure of OpenTelemetry, or of a tracer that stands in for it, loses no record.
        return _NONE
    return trace._asdict() if trace.trace_id else _NONE


def trace_fields(record: logging.LogRecord) -> Mapping[str, str]:
    """Return the fields of the current span; none if ``record`` has a trace of its own."""
    return _NONE if vars(record).get("trace_id") else current_fields()

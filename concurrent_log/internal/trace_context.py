"""The ids of OpenTelemetry's current span, in programs that have loaded OpenTelemetry. It is never imported here."""

import sys
from typing import NamedTuple


class TraceContext(NamedTuple):
    """A span as text in lower-case hexadecimal: ids of 32 and 16 digits, flags of 2, as in W3C Trace Context."""

    trace_id: str
    span_id: str
    trace_flags: str


NO_TRACE = TraceContext("", "", "")


def current_trace() -> TraceContext:
    """Return the span of this thread or task; `NO_TRACE` if there is none, or if OpenTelemetry is not loaded."""
    # The module may be half imported: something in it may log.
    get_current_span = getattr(sys.modules.get("opentelemetry.trace"), "get_current_span", None)
    if get_current_span is None:
        return NO_TRACE
    context = get_current_span().get_span_context()
    if not context.is_valid:
        return NO_TRACE
    return TraceContext(f"{context.trace_id:032x}", f"{context.span_id:016x}", f"{context.trace_flags:02x}")

"""`TraceContextFilter`, with OpenTelemetry's SDK and without OpenTelemetry."""

import io
import logging
import logging.config
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from concurrent_log import BackgroundHandler
from concurrent_log.collector.client.record import record_to_entry
from concurrent_log.trace_context import TraceContextFilter

_SPAN = SpanContext(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0xF067AA0BA902B7, False, TraceFlags(TraceFlags.SAMPLED))
_LINE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_FORMAT = "00-%(trace_id)s-%(span_id)s-%(trace_flags)s"


@pytest.fixture
def span() -> Iterator[None]:
    """A block in a span that has come from another service."""
    with trace.use_span(NonRecordingSpan(_SPAN)):
        yield


def _filtered(**extra: Any) -> logging.LogRecord:
    record = logging.makeLogRecord({"msg": "order paid", **extra})
    assert TraceContextFilter().filter(record)
    return record


def test_formatter_prints_the_current_span(span: None) -> None:
    """The three fields have the form of the header ``traceparent``."""
    assert logging.Formatter(_FORMAT).format(_filtered()) == _LINE


def test_span_of_the_sdk_is_found() -> None:
    """A span that the SDK's tracer has started is the current one, and its ids are on the record."""
    with TracerProvider().get_tracer("test").start_as_current_span("payment") as current:
        record = _filtered()

    assert int(vars(record)["trace_id"], 16) == current.get_span_context().trace_id
    assert int(vars(record)["span_id"], 16) == current.get_span_context().span_id


def test_fields_are_empty_outside_a_span() -> None:
    """A formatter that names the fields works in the whole program."""
    assert logging.Formatter(_FORMAT).format(_filtered()) == "00---"


def test_program_without_opentelemetry_gets_empty_fields(span: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where OpenTelemetry is not loaded, the fields are empty, and the filter does not load it."""
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")
    record = _filtered()

    assert vars(record)["trace_id"] == ""
    assert "opentelemetry.trace" not in sys.modules


def test_record_keeps_its_own_trace(span: None) -> None:
    """A record from another process, or with an ``extra``, has its own ids already."""
    record = _filtered(trace_id="order-1")

    assert logging.Formatter(_FORMAT).format(record) == "00-order-1--"


def test_second_filter_finds_the_span_that_the_first_did_not_see(span: None) -> None:
    """The fields of a record are always of the same span."""
    assert logging.Formatter(_FORMAT).format(_filtered(trace_id="", span_id="", trace_flags="")) == _LINE


def test_failing_tracer_loses_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """P4: an error in OpenTelemetry does not reach the program that logs."""
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", SimpleNamespace(get_current_span=lambda: None))

    assert vars(_filtered())["trace_id"] == ""


def test_name_of_a_logger_is_respected() -> None:
    """The argument of the standard class works."""
    record = logging.makeLogRecord({"name": "shop.orders"})

    assert TraceContextFilter("shop").filter(record)
    assert not TraceContextFilter("billing").filter(record)


def test_configured_background_handler_prints_the_span_of_the_caller(span: None) -> None:
    """`dictConfig` creates the filter; a handler behind the background handler prints the caller's span."""
    stream = io.StringIO()
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"trace": {"()": "concurrent_log.trace_context.TraceContextFilter"}},
            "formatters": {"line": {"format": _FORMAT}},
            "handlers": {
                "stream": {
                    "class": "logging.StreamHandler", "stream": stream, "formatter": "line", "filters": ["trace"]
                },
                "background": {"class": "concurrent_log.BackgroundHandler", "handlers": ["stream"]},
            },
            "loggers": {"traced": {"handlers": ["background"], "propagate": False}},
        }
    )  # fmt: skip
    logger = logging.getLogger("traced")
    (handler,) = logger.handlers
    assert isinstance(handler, BackgroundHandler)
    logger.warning("paid")
    handler.close()
    logger.removeHandler(handler)

    assert stream.getvalue() == f"{_LINE}\n"


def test_collector_gets_no_empty_ids() -> None:
    """The collector's context may add a trace id to a record that has none."""
    entry = record_to_entry(_filtered(), {"process_id": 1, "process_name": "MainProcess"})

    assert not {"trace_id", "span_id", "trace_flags"} & set(entry)

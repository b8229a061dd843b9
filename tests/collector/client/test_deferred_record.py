"""Records that become entries in the sender thread: the entry is the same as one that is built in the call."""

import logging
from typing import Any

import pytest

from concurrent_log.collector.client import context
from concurrent_log.collector.client.deferred_record import build_record_entry, defer_record
from concurrent_log.collector.client.json_values import encode_entry, freeze
from concurrent_log.collector.client.record import record_to_entry

_COMMON = {"process_id": 1, "process_name": "Other"}


def _record(template: Any = "order %d", args: Any = (5,), **extras: Any) -> logging.LogRecord:
    record = logging.LogRecord("shop", logging.WARNING, "shop.py", 5, template, args, None, "buy")
    vars(record).update(extras)
    return record


def _entry_at_once(record: logging.LogRecord) -> dict[str, Any]:
    entry = record_to_entry(record, _COMMON)
    context.add_missing(entry)
    freeze(entry)
    return entry


@pytest.mark.parametrize("fields", [{}, {"user_id": "ada", "customer": "of the context"}, {"tags": ["a", "b"]}])
@pytest.mark.parametrize(
    "record",
    [
        _record(),
        _record("no arguments", ()),
        _record("%s", ([1, 2],)),
        _record(customer="Ada", number=5, ratio=0.5, missing=None, is_paid=True),
        _record(number=2**70, ratio=float("nan"), text="\ud800"),
        _record(level="reserved", process_id=7),
        _record(message="a formatter was here", asctime="2026-11-28"),
    ],
    ids=lambda record: str(len(vars(record))) if isinstance(record, logging.LogRecord) else None,
)
def test_deferred_entry_is_the_same(record: logging.LogRecord, fields: dict[str, Any]) -> None:
    """P1: with arguments, extras and fields of the context, which the thread of the sender does not have."""
    before = dict(vars(record))
    with context.user_context(**fields):
        expected = _entry_at_once(record)
        deferred = defer_record(record, _COMMON)
    assert deferred is not None
    entry = build_record_entry(deferred[0])
    sequence = entry.pop("sequence")

    assert encode_entry(entry) == encode_entry({name: expected[name] for name in entry})
    assert entry.keys() == expected.keys()
    assert sequence > 0
    assert dict(vars(record)) == before


def test_size_counts_long_texts() -> None:
    """The capacity of the queue is in bytes."""
    plain, long = defer_record(_record(), _COMMON), defer_record(_record(text="x" * 10_000), _COMMON)
    message = defer_record(_record("%s", ("x" * 10_000,)), _COMMON)
    assert plain is not None
    assert long is not None
    assert message is not None

    assert long[1] > 10_000 + plain[1]
    assert message[1] > 10_000


class _Own(logging.LogRecord):
    pass


def _with_exception() -> logging.LogRecord:
    record = _record()
    record.exc_info = (ValueError, ValueError("broken"), None)
    return record


@pytest.mark.parametrize(
    "record",
    [
        _record({"key": "value"}, ()),
        _record("%d", ("five",)),
        _record(items=[1]),
        _record(exc_text="text"),
        _record(stack_info="stack"),
        _with_exception(),
        _Own("shop", logging.WARNING, "shop.py", 5, "this", None, None),
    ],
    ids=["message", "mismatch", "extra", "exc_text", "stack_info", "exception", "class"],
)
def test_record_that_may_change_is_not_deferred(record: logging.LogRecord) -> None:
    """It becomes an entry in the logging call, as before."""
    assert defer_record(record, _COMMON) is None


def test_attributes_of_the_context_are_merged_at_once() -> None:
    """They are already JSON in the context, and could not be merged later."""
    with context.user_context(attributes={"a": 1}):
        deferred = defer_record(_record(attributes="b"), _COMMON)

    assert deferred is None

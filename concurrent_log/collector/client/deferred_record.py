"""Deferred records: what a plain record needs to become an entry later, in the sender thread."""

import logging
from collections.abc import Mapping
from itertools import islice
from typing import Any

from concurrent_log.collector.client.context import add_missing_fields, frozen_fields
from concurrent_log.collector.client.deferred_entry import DeferredEntry, Entry
from concurrent_log.collector.client.json_values import freeze
from concurrent_log.collector.client.record import record_to_entry
from concurrent_log.collector.client.sequence import next_number
from concurrent_log.internal.record_classes import is_standard_class_unchanged

_TYPICAL_SIZE = 500  # bytes of a record without its message and its extras
_EXTRA_SIZE = 24  # bytes of one more attribute, without its text
_OTHER_ATOMS = frozenset((int, float, bool, type(None)))
_STANDARD_ATTRIBUTES = list(vars(logging.makeLogRecord({})))  # A record has them first, and then its extras.
_STANDARD_COUNT = len(_STANDARD_ATTRIBUTES)
_NO_FIELDS: Mapping[str, str] = {}


def defer_record(
    record: logging.LogRecord, common: dict[str, Any], trace: Mapping[str, str] = _NO_FIELDS
) -> tuple[DeferredEntry, int] | None:
    """Return a deferred entry and its approximate size in bytes; None if ``record`` must become an entry at once.

    ``trace`` has fields that override those of the context.

    That is the case if it is more than text and numbers, whose values may change after the logging call, or if message
    and arguments do not match.
    """
    context_fields = frozen_fields.get()
    if trace:
        context_fields = {**context_fields, **trace}
    if (
        type(record) is not logging.LogRecord
        or type(record.msg) is not str
        or record.exc_info
        or record.exc_text
        or record.stack_info
        or "attributes" in context_fields
        or not is_standard_class_unchanged()
    ):
        return None
    args = record.args
    try:
        message = record.getMessage()
    except Exception:
        return None
    try:
        record.args = None  # The copy then has nothing that the garbage collector must follow.
        values = record.__dict__.copy()
    finally:
        record.args = args
    values["msg"] = message
    size = _TYPICAL_SIZE + len(message)
    if len(values) > _STANDARD_COUNT:
        if next(islice(values, _STANDARD_COUNT - 1, None)) != _STANDARD_ATTRIBUTES[-1]:
            return None
        for value in islice(values.values(), _STANDARD_COUNT, None):
            kind = type(value)
            if kind is not str and kind not in _OTHER_ATOMS:
                return None
            size += _EXTRA_SIZE + (len(value) if kind is str else 0)
    return (build_record_entry, values, common, context_fields, next_number()), size


def build_record_entry(deferred: DeferredEntry) -> Entry:
    """Build the entry of a deferred record."""
    _, values, common, context_fields, sequence = deferred
    record = logging.LogRecord.__new__(logging.LogRecord)
    record.__dict__ = values
    entry = record_to_entry(record, common)
    add_missing_fields(entry, context_fields)
    entry["sequence"] = sequence
    freeze(entry)
    return entry

"""Snapshots of records that are more than text and numbers: exact before fast.

What may change after the logging call is copied. What cannot be copied is formatted in the call, for each handler.
"""

import contextlib
import logging
import sys
from collections.abc import Sequence
from typing import Any

from concurrent_log.background.carried_record import carry
from concurrent_log.background.frozen_values import CannotFreezeError, freeze
from concurrent_log.background.target_texts import (
    format_at_once,
    format_exception,
    has_standard_text,
    is_forwarding,
    writes_only_text,
)
from concurrent_log.internal.record_classes import RecordClass, classify

# The attributes of one queued record, and those below. It is one plain dictionary, because each further object in the
# queue costs the garbage collector time.
Snapshot = dict[str, Any]
LOGGED_AT = "_background_logged_at"  # by `time.monotonic`
HANDLER_NUMBERS = "_background_handler_numbers"
TEXTS = "_background_texts"  # of the handlers whose texts were formatted in the logging call, by their indexes
RECORD = "_background_record"  # a record of another class than `logging.LogRecord`; it has the attributes itself

_MERGED = frozenset(("msg", "args", "exc_info"))


def take_exact_snapshot(
    record: logging.LogRecord, handlers: Sequence[logging.Handler], numbers: Sequence[int], *, is_shared: bool
) -> Snapshot | None:
    """Return a copy of ``record`` that gives the same texts as the record in the logging call.

    Args:
        record: The record that was logged.
        handlers: The handlers that write.
        numbers: The indexes of the handlers that accept the record.
        is_shared: Further handlers get the record afterwards: they have to see what a formatter changes in it.

    Returns:
        The snapshot, or None if no handler can format the record.
    """
    chosen = [handlers[number] for number in numbers]
    kind = classify(type(record))
    values, changing = _freeze_values(record)
    if "getMessage" in values:  # of this record only
        del values["getMessage"]
        changing.discard("getMessage")
        kind = RecordClass.OWN_MESSAGE if kind is RecordClass.PASSIVE else kind
    is_copied = kind is RecordClass.PASSIVE and not changing
    is_standard = kind is not RecordClass.ACTIVE and all(has_standard_text(each, changing - _MERGED) for each in chosen)
    if is_copied and not is_standard and not is_shared and can_merge(record):
        return _snapshot(values, record, kind)
    if is_standard and not _needs_event(values, changing, chosen):
        if record.args or "msg" in changing or kind is not RecordClass.PASSIVE:
            values |= {"msg": record.getMessage(), "args": None}
        if record.exc_info:
            values |= {"exc_text": format_exception(record, chosen[0] if chosen else None), "exc_info": None}
        return _snapshot(values, record, kind)
    is_merged = kind is not RecordClass.PASSIVE or not changing.isdisjoint(("msg", "args"))
    return _format_at_once(record, handlers, numbers, values, kind, is_merged)


def can_merge(record: logging.LogRecord) -> bool:
    """Return whether message and arguments match."""
    try:
        record.getMessage()
    except RecursionError:
        raise
    except Exception:
        return False
    return True


def _format_at_once(
    record: logging.LogRecord,
    handlers: Sequence[logging.Handler],
    numbers: Sequence[int],
    values: Snapshot,
    kind: RecordClass,
    is_merged: bool,
) -> Snapshot | None:
    numbers, texts = format_at_once(record, handlers, numbers)
    if not numbers:
        return None
    if type(values.get("msg")) is dict and not values.get("args"):
        values["msg"] = _copy_event(values["msg"])
    elif is_merged:
        with contextlib.suppress(Exception):  # A handler that needs the message fails as it would in the logging call.
            values |= {"msg": record.getMessage(), "args": None}
    if record.exc_info and not any(is_forwarding(handlers[number]) for number in numbers):
        values |= {"exc_text": format_exception(record, None), "exc_info": None}
    return _snapshot(values, record, kind) | {TEXTS: texts, HANDLER_NUMBERS: numbers}


def _freeze_values(record: logging.LogRecord) -> tuple[Snapshot, set[str]]:
    """Return the attributes of ``record``, and the names of those that may change after the logging call."""
    values, changing = {}, set()
    for name, value in vars(record).items():
        try:
            values[name] = freeze(value)
        except CannotFreezeError:
            values[name] = value
            changing.add(name)
    event = values.get("msg")
    if type(event) is dict and event.get("exc_info") is True:
        changing.add("msg")  # structlog: the formatter asks for the exception that is being handled.
    return values, changing


def _needs_event(values: Snapshot, changing: set[str], handlers: Sequence[logging.Handler]) -> bool:
    """Return whether a handler may need the message as the dictionary that it is, and not as text."""
    is_event = "msg" in changing and type(values["msg"]) is dict
    return is_event and not all(map(writes_only_text, handlers))


def _copy_event(message: dict[Any, Any]) -> dict[Any, Any]:
    event = message.copy()
    if event.get("exc_info") is True:
        event["exc_info"] = sys.exc_info()
    return event


def _snapshot(values: Snapshot, record: logging.LogRecord, kind: RecordClass) -> Snapshot:
    """Return ``values``, or a record of the program's class that has them."""
    if type(record) is logging.LogRecord:
        return values
    return {RECORD: carry(record, values, is_passive=kind is RecordClass.PASSIVE)}

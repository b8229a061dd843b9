"""Snapshots: log records in a form that another thread or process can write later."""

import logging
import sys
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Any

# The attributes of one queued record, and two of our own. It is one plain dictionary, because each further object in
# the queue costs the garbage collector time.
Snapshot = dict[str, Any]
_LOGGED_AT = "_background_logged_at"
HANDLER_NUMBERS = "_background_handler_numbers"

_FORMATTER = logging.Formatter()


def take_snapshot(
    record: logging.LogRecord, handlers: Sequence[logging.Handler], handler_numbers: tuple[int, ...] | None = None
) -> Snapshot:
    """Return a copy of ``record`` with the message merged and the exception formatted.

    The formatter of the first handler formats the exception; the standard library, too, would cache its text for all
    handlers.

    Args:
        record: The record that was logged.
        handlers: The handlers that write.
        handler_numbers: The indexes of the handlers whose filters accept the record; None means all handlers.
    """
    values = record.__dict__.copy()
    if values["args"]:
        values["msg"] = record.getMessage()
        values["args"] = None
    elif type(values["msg"]) is dict:
        values["msg"] = _copy_event(values["msg"])
    elif type(values["msg"]) is not str:
        values["msg"] = record.getMessage()
    if values["exc_info"]:
        if not values["exc_text"]:
            values["exc_text"] = _format_exception(values["exc_info"], handlers)
        values["exc_info"] = None
    values[_LOGGED_AT] = monotonic()
    if handler_numbers is not None:
        values[HANDLER_NUMBERS] = handler_numbers
    return values


def logged_at(snapshot: Snapshot) -> float:
    """Return the time of the logging call, by `time.monotonic`."""
    return snapshot[_LOGGED_AT]  # type: ignore[no-any-return]


def select_for_handler(number: int, handler: logging.Handler, snapshots: Sequence[Snapshot]) -> Sequence[Snapshot]:
    """Return the snapshots that ``handler``, the one with the index ``number``, has to write."""
    level = handler.level
    return [
        each
        for each in snapshots
        if each["levelno"] >= level and (HANDLER_NUMBERS not in each or number in each[HANDLER_NUMBERS])
    ]


class RestoredRecords(Sequence[logging.LogRecord]):
    """The records of snapshots, created on access: fewer live objects for the garbage collector."""

    def __init__(self, snapshots: Sequence[Snapshot]) -> None:
        self._snapshots = snapshots

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._snapshots)

    def __getitem__(self, key: Any) -> Any:
        """Return one record, which shares its attributes with the snapshot, or a slice of the records."""
        return RestoredRecords(self._snapshots[key]) if isinstance(key, slice) else _restore(self._snapshots[key])

    def __iter__(self) -> Iterator[logging.LogRecord]:
        """Return an iterator over the records."""
        return map(_restore, self._snapshots)


def _restore(snapshot: Snapshot) -> logging.LogRecord:
    snapshot.pop(_LOGGED_AT, None)
    snapshot.pop(HANDLER_NUMBERS, None)
    record = logging.LogRecord.__new__(logging.LogRecord)
    record.__dict__ = snapshot
    return record


def _copy_event(message: dict[Any, Any]) -> dict[Any, Any]:
    """Return a copy of a message that is a dictionary, as JSON formatters and structlog use it.

    With ``exc_info=True``, structlog asks the formatter to get the current exception, which exists only here, in the
    thread of the caller.
    """
    event = message.copy()
    if event.get("exc_info") is True:
        event["exc_info"] = sys.exc_info()
    return event


def _format_exception(exc_info: Any, handlers: Sequence[logging.Handler]) -> str:
    formatters = (handler.formatter for handler in handlers)
    formatter = next((found for found in formatters if hasattr(found, "formatException")), None) or _FORMATTER
    return formatter.formatException(exc_info)

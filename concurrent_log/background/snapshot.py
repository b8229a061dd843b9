"""A record as it was when it was logged, in a form that another thread or process can write later."""

import logging
import sys
from collections.abc import Sequence
from typing import Any

# One record that waits: the attributes of the record, the numbers of the handlers whose filters let it pass (None for
# all), and when it was logged, by `time.monotonic`. A plain tuple, since one is made in each logging call.
Snapshot = tuple[dict[str, Any], tuple[int, ...] | None, float]

_FORMATTER = logging.Formatter()


def values_of(record: logging.LogRecord, handlers: Sequence[logging.Handler]) -> dict[str, Any]:
    """Return the attributes of ``record``: the message merged, the exception as text, nothing that changes later.

    The text of an exception is that of the first handler's formatter, which is also the one that the standard library
    would keep for all of them.
    """
    values = record.__dict__.copy()
    if values["args"]:
        values["msg"] = record.getMessage()
        values["args"] = None
    elif type(values["msg"]) is dict:
        values["msg"] = _event_of(values["msg"])
    elif type(values["msg"]) is not str:
        values["msg"] = record.getMessage()
    if values["exc_info"]:
        if not values["exc_text"]:
            values["exc_text"] = _exception_text(values["exc_info"], handlers)
        values["exc_info"] = None
    return values


def record_of(values: dict[str, Any]) -> logging.LogRecord:
    """Return a record that has these attributes, and is nobody else's."""
    record = logging.LogRecord.__new__(logging.LogRecord)
    record.__dict__ = values
    return record


def _event_of(message: dict[Any, Any]) -> dict[Any, Any]:
    """Return a copy of a message that is a dictionary, as JSON formatters and structlog have them.

    structlog says by ``exc_info=True`` that the formatter is to look for the exception, which only the caller sees.
    """
    event = message.copy()
    if event.get("exc_info") is True:
        event["exc_info"] = sys.exc_info()
    return event


def _exception_text(exc_info: Any, handlers: Sequence[logging.Handler]) -> str:
    formatters = (handler.formatter for handler in handlers)
    formatter = next((found for found in formatters if hasattr(found, "formatException")), None) or _FORMATTER
    return formatter.formatException(exc_info)

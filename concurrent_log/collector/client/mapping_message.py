"""Messages that are mappings: those of structlog, and those of programs that log a dictionary.

The text of the event becomes the message, and the other members become fields of the record, so that each is stored
once and can be searched for.
"""

import logging
import sys
from collections.abc import Mapping
from typing import Any

TEXT_KEYS = ("event", "message", "msg")  # the members that may be the text, in the order in which they are tried

# The extras with which structlog passes its own objects to a formatter.
OF_STRUCTLOG = frozenset({"_logger", "_name", "_record", "_from_structlog"})


def is_mapping(record: logging.LogRecord) -> bool:
    """Return whether the message of ``record`` is a mapping, which no class of the program turns to text itself."""
    return (
        isinstance(record.msg, Mapping) and not record.args and type(record).getMessage is logging.LogRecord.getMessage
    )


def text_and_fields(message: Mapping[Any, Any]) -> tuple[str | None, dict[str, Any]]:
    """Return the text of a mapping, None if it has none, and its other members."""
    fields = {key if isinstance(key, str) else str(key): value for key, value in message.items()}
    for key in TEXT_KEYS:
        if isinstance(fields.get(key), str):
            return fields.pop(key), fields
    return None, fields


def take_exception(fields: dict[str, Any], record: logging.LogRecord) -> tuple[Any, list[str]]:
    """Remove what structlog adds for an exception; return it as ``exc_info``, and the texts for the stack trace."""
    exc_info = record.exc_info or _exc_info(fields.get("exc_info"))
    if exc_info or not fields.get("exc_info"):
        fields.pop("exc_info", None)
    texts = [fields.pop(name) for name in ("exception", "stack") if isinstance(fields.get(name), str)]
    return exc_info, texts


def _exc_info(value: Any) -> Any:
    if isinstance(value, BaseException):
        return type(value), value, value.__traceback__
    if isinstance(value, tuple) and len(value) == 3:
        return value
    current = sys.exc_info()
    return current if value and current[0] is not None else None


def remove_repetitions(fields: dict[str, Any], entry: Mapping[str, Any], record: logging.LogRecord) -> None:
    """Remove the fields that repeat what the record has: structlog adds its level and its logger."""
    if str(fields.get("level", "")).upper() == record.levelname.upper():
        del fields["level"]
    if fields.get("logger") == entry["logger"]:
        del fields["logger"]

"""Convert a record of `logging` to an entry: a dictionary with the field names of the protocol."""

import logging
import re
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from concurrent_log.collector.client import mapping_message
from concurrent_log.collector.client.json_values import text_of
from concurrent_log.internal.record_classes import RecordClass, classify
from concurrent_log.internal.trace_context import TraceContext

_FORMATTER = logging.Formatter()

# The client sets these fields itself; an extra of the same name becomes an attribute.
_SET_BY_CLIENT = ("created_at", "level", "message", "sequence", "logger", "function_name", "file_path", "line_number")
_RESERVED = frozenset((*_SET_BY_CLIENT, "process_id", "process_name", "thread_name", "attributes", "metadata"))
_CALL_FIELDS = frozenset((*_SET_BY_CLIENT, "process_id", "process_name", "thread_name"))
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_TRACE = frozenset(TraceContext._fields)  # empty text outside a trace, for formatters
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # Formatters that colour the level change the record.
_TRACEBACK = "\nTraceback (most recent call last):"
_LEVELS = {
    "TRACE": "TRACE",
    "DEBUG": "DEBUG",
    "INFO": "INFO",
    "WARNING": "WARN",
    "WARN": "WARN",
    "ERROR": "ERROR",
    "CRITICAL": "FATAL",
    "FATAL": "FATAL",
}


def record_to_entry(record: logging.LogRecord, common: Mapping[str, Any], message: str | None = None) -> dict[str, Any]:
    """Return ``record`` as an entry.

    Args:
        record: The record.
        common: The fields that all entries of this process share; they are omitted here.
        message: The text of the formatter, if the handler has one.
    """
    level_name = record.levelname
    if level_name not in _LEVELS and isinstance(level_name, str):
        level_name = _COLOUR.sub("", level_name).strip()
    is_mapping = message is None and mapping_message.is_mapping(record)
    entry: dict[str, Any] = {
        "created_at": record.created,
        "level": _LEVELS.get(level_name) or level_of(record.levelno),
        "message": message_of(record) if message is None else message,
        "logger": record.name,
        "function_name": record.funcName,
        "file_path": record.pathname,
        "line_number": record.lineno,
        "thread_name": record.threadName,
    }
    if record.process not in (None, common["process_id"]):
        entry["process_id"] = record.process  # The record comes from another process, for example through a queue.
    if record.processName not in (None, common["process_name"]):
        entry["process_name"] = record.processName
    if is_mapping:
        _add_mapping(entry, record)
    else:
        if record.exc_info or record.exc_text or record.stack_info:
            _add_exception(entry, record, record.exc_info)
        if len(record.__dict__) > _MIN_ATTRIBUTES:
            _add_extras(entry, record.__dict__)
    if level_name and level_name not in _LEVELS:
        entry.setdefault("level_name", level_name)
    return entry


def level_of(number: object) -> str:
    """Return the protocol's level for a level number of `logging`; INFO if it is not a number."""
    if not isinstance(number, (int, float)):
        return "INFO"
    for limit, name in ((10, "TRACE"), (20, "DEBUG"), (30, "INFO"), (40, "WARN"), (50, "ERROR")):
        if number < limit:
            return name
    return "FATAL"


def message_of(record: logging.LogRecord) -> str:
    """Return the merged message; if message and arguments do not match, both of them and the error.

    If a ``getMessage`` of the program fails, the result has none of them: it may be there to mask a secret.
    """
    try:
        return record.getMessage()
    except Exception as error:
        if classify(type(record)) is not RecordClass.PASSIVE or "getMessage" in vars(record):
            return f"[{type(record).__name__}.getMessage failed: {type(error).__name__}]"
        return f"{text_of(record.msg)} {text_of(record.args)} [{type(error).__name__}: {text_of(error)}]"


def _add_mapping(entry: dict[str, Any], record: logging.LogRecord) -> None:
    """Add the members of a message that is a mapping, besides the extras of the record, which come first."""
    try:
        text, fields = mapping_message.text_and_fields(record.msg)  # type: ignore[arg-type]  # it is a mapping
    except Exception:  # A mapping of the program's own may raise anything; its text is the message.
        text, fields = None, {}
    exc_info, texts = mapping_message.take_exception(fields, record)
    if exc_info or record.exc_text or record.stack_info or texts:
        _add_exception(entry, record, exc_info, texts)
    mapping_message.remove_repetitions(fields, entry, record)
    if text is not None:
        entry["message"] = text
    extras = {name: value for name, value in record.__dict__.items() if name not in mapping_message.OF_STRUCTLOG}
    reserved = {f"message.{name}": value for name, value in fields.items() if name in extras or name in _CALL_FIELDS}
    others = {name: value for name, value in fields.items() if f"message.{name}" not in reserved}
    _add_extras(entry, {**others, **reserved, **extras})


def _add_exception(entry: dict[str, Any], record: logging.LogRecord, exc_info: Any, texts: Sequence[str] = ()) -> None:
    parts = [*texts]
    if exc_info and exc_info[0] is not None:
        entry["error_type"] = exc_info[0].__name__
        parts.insert(0, _text_of_traceback(entry, record, exc_info))
    elif record.exc_text:
        parts.append(record.exc_text)
    if record.stack_info:
        parts.append(record.stack_info)
    if parts:
        entry["stack_trace"] = "\n".join(parts)


def _text_of_traceback(entry: dict[str, Any], record: logging.LogRecord, exc_info: Any) -> str:
    """Return the traceback of ``record``, which loguru has added to the message, and replaced by a blank text."""
    if not record.exc_text or record.exc_text.strip():
        return record.exc_text or _format_traceback(exc_info)
    text, mark, traceback = entry["message"].partition(_TRACEBACK)
    if not mark:
        return _format_traceback(exc_info)
    entry["message"] = text
    return f"{mark}{traceback}".strip("\n")


def _format_traceback(exc_info: tuple[type[BaseException], BaseException, TracebackType | None] | Any) -> str:
    try:
        return _FORMATTER.formatException(exc_info)
    except Exception as error:
        return f"{exc_info[0].__name__} [its traceback cannot be formatted: {type(error).__name__}]"


def _add_extras(entry: dict[str, Any], extras: Mapping[str, Any]) -> None:
    reserved: dict[str, Any] = {}
    for name, value in extras.items():
        if name == "extra" and isinstance(value, dict):  # loguru has its own extras there.
            reserved.update((key, each) for key, each in value.items() if key in _RESERVED)
            entry.update((key, each) for key, each in value.items() if key not in _RESERVED and key not in extras)
        elif name not in _STANDARD and not (name in _TRACE and value == ""):
            if name in _RESERVED:
                reserved[name] = value
            else:
                entry[name] = value
    task = extras.get("taskName")
    if task is not None:
        entry.setdefault("task_name", task)
    if reserved:
        _add_reserved(entry, reserved)


def _add_reserved(entry: dict[str, Any], extras: dict[str, Any]) -> None:
    """Add extras with reserved names as attributes; two of them may be dictionaries of attributes themselves."""
    attributes: dict[str, Any] = {}
    for name, value in extras.items():
        if name in ("attributes", "metadata") and isinstance(value, dict):
            attributes.update(value)
        else:
            attributes[name] = value
    entry["attributes"] = attributes


_MIN_ATTRIBUTES = len(vars(logging.makeLogRecord({}))) - 1  # of a record without extras and without a task name

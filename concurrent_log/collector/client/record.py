"""A record of the standard library as an entry: a dictionary in the wire's names."""

import logging
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from concurrent_log.collector.client.json_values import text_of

_FORMATTER = logging.Formatter()

# What the collector says itself of each record; an extra of the same name stays an attribute.
_SAID = ("created_at", "level", "message", "sequence", "logger", "function_name", "file_path", "line_number")
_OURS = frozenset((*_SAID, "process_id", "process_name", "thread_name", "attributes", "metadata"))
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
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


def entry_of(record: logging.LogRecord, common: Mapping[str, Any], message: str | None = None) -> dict[str, Any]:
    """Return ``record`` as an entry.

    Args:
        record: The record.
        common: What is said of all entries of this process, and is left out here.
        message: What a formatter made of the record, if there is one.
    """
    entry: dict[str, Any] = {
        "created_at": record.created,
        "level": _LEVELS.get(record.levelname) or level_of(record.levelno),
        "message": message_of(record) if message is None else message,
        "logger": record.name,
        "function_name": record.funcName,
        "file_path": record.pathname,
        "line_number": record.lineno,
        "thread_name": record.threadName,
    }
    if record.process not in (None, common["process_id"]):
        entry["process_id"] = record.process  # It was logged in another process, and handed on.
    if record.processName not in (None, common["process_name"]):
        entry["process_name"] = record.processName
    if record.exc_info or record.exc_text or record.stack_info:
        _add_exception(entry, record)
    if len(record.__dict__) > _FEWEST:
        _add_extras(entry, record)
    if record.levelname and record.levelname not in _LEVELS:
        entry.setdefault("level_name", record.levelname)
    return entry


def level_of(number: object) -> str:
    """Return the name of the wire's level that a number of the standard library belongs to; INFO without one."""
    if not isinstance(number, (int, float)):
        return "INFO"
    for limit, name in ((10, "TRACE"), (20, "DEBUG"), (30, "INFO"), (40, "WARN"), (50, "ERROR")):
        if number < limit:
            return name
    return "FATAL"


def message_of(record: logging.LogRecord) -> str:
    """Return the merged message; where message and arguments do not fit, both as they are."""
    try:
        return record.getMessage()
    except Exception as error:
        return f"{text_of(record.msg)} {text_of(record.args)} [{type(error).__name__}: {text_of(error)}]"


def _add_exception(entry: dict[str, Any], record: logging.LogRecord) -> None:
    found = record.exc_info
    parts = []
    if found and found[0] is not None:
        entry["error_type"] = found[0].__name__
        parts.append(record.exc_text or _traceback(found))
    elif record.exc_text:
        parts.append(record.exc_text)
    if record.stack_info:
        parts.append(record.stack_info)
    if parts:
        entry["stack_trace"] = "\n".join(parts)


def _traceback(exc_info: tuple[type[BaseException], BaseException, TracebackType | None] | Any) -> str:
    try:
        return _FORMATTER.formatException(exc_info)
    except Exception as error:
        return f"{exc_info[0].__name__} [its traceback cannot be rendered: {type(error).__name__}]"


def _add_extras(entry: dict[str, Any], record: logging.LogRecord) -> None:
    aside = {}
    for name, value in record.__dict__.items():
        if name not in _STANDARD:
            if name in _OURS:
                aside[name] = value
            else:
                entry[name] = value
    task = getattr(record, "taskName", None)
    if task is not None:
        entry.setdefault("task_name", task)
    if aside:
        _add_aside(entry, aside)


def _add_aside(entry: dict[str, Any], aside: dict[str, Any]) -> None:
    """Add extras whose names are taken; two of them are dictionaries of attributes themselves."""
    attributes: dict[str, Any] = {}
    for name, value in aside.items():
        if name in ("attributes", "metadata") and isinstance(value, dict):
            attributes.update(value)
        else:
            attributes[name] = value
    entry["attributes"] = attributes


_FEWEST = len(vars(logging.makeLogRecord({}))) - 1  # attributes; taskName has something to say

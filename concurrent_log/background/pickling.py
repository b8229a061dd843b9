"""Pickling of handlers and records for the process that writes."""

import io
import logging
import pickle
import sys
from collections.abc import Sequence
from typing import Any

from concurrent_log.background.exact_snapshot import HANDLER_NUMBERS, LOGGED_AT, RECORD, TEXTS, Snapshot

_STANDARD_STREAMS = ("stdout", "stderr")
_MAIN_MODULES = ("__main__", "__mp_main__")  # the second name is that in children of multiprocessing
_PLAIN_TYPES = (str, int, float, bool, type(None))
_MARKS = (LOGGED_AT, HANDLER_NUMBERS, TEXTS)
_FORMATTER = logging.Formatter()


def pickle_handlers(handlers: Sequence[logging.Handler]) -> bytes:
    """Return the handlers as bytes, from which `pickle.loads` creates them in another process.

    Handlers of the standard library are supported if they write to a file or to a standard stream.

    Raises:
        TypeError: A handler cannot be pickled; the message names it and the reason.
    """
    for handler in handlers:
        try:
            _dump(_HandlerPickler, handler)
        except Exception as error:
            raise TypeError(f"{handler!r} cannot be sent to a process ({error}); use worker='thread'") from error
    return _dump(_HandlerPickler, tuple(handlers))


def pickle_snapshots(snapshots: Sequence[Snapshot]) -> bytes:
    """Return the snapshots as bytes; those that cannot be pickled are converted by `to_plain` first."""
    try:
        return _dump(_Pickler, snapshots)
    except Exception:
        return _dump(_Pickler, [each if _can_pickle(each) else to_plain(each) for each in snapshots])


def _can_pickle(snapshot: Snapshot) -> bool:
    try:
        return bool(_dump(_Pickler, snapshot))
    except Exception:
        return False


def to_plain(snapshot: Snapshot) -> Snapshot:
    """Return a copy of ``snapshot`` in which each value that is not a string or a number is replaced by its text."""
    marks = {name: snapshot[name] for name in _MARKS if name in snapshot}
    record: logging.LogRecord = snapshot[RECORD] if RECORD in snapshot else logging.makeLogRecord(snapshot)
    values = {**vars(record), "msg": _message_of(record), "args": None, "exc_info": None}
    if record.exc_info and not record.exc_text:
        values["exc_text"] = _FORMATTER.formatException(record.exc_info)
    return {name: _to_plain_value(value) for name, value in values.items() if name not in marks} | marks


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # Not the parts of the message: a class that masks them may have failed.
        return f"<{type(record).__name__}.getMessage failed: {type(error).__name__}>"


def _to_plain_value(value: Any) -> Any:
    if type(value) in _PLAIN_TYPES:
        return value
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}: str() failed>"


def _dump(pickler: type["_Pickler"], content: object) -> bytes:
    buffer = io.BytesIO()
    pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(content)
    return buffer.getvalue()


class _Pickler(pickle.Pickler):
    """Rejects what the main program defines: the other process cannot import it."""

    def reducer_override(self, obj: Any) -> Any:
        if getattr(obj, "__module__", None) in _MAIN_MODULES:
            name = getattr(obj, "__qualname__", type(obj).__qualname__)
            raise TypeError(f"{name} is defined in the main program, not in a module")
        return NotImplemented


class _HandlerPickler(_Pickler):
    """Pickles handlers without their lock and their open stream, unless the class defines its own pickling."""

    def reducer_override(self, obj: Any) -> Any:
        if not isinstance(obj, logging.Handler) or _defines_pickling(type(obj)):
            return super().reducer_override(obj)
        state = {name: value for name, value in vars(obj).items() if name not in ("lock", "stream")}
        return _restore_handler, (type(obj), state, _stream_name(obj))


def _defines_pickling(kind: type) -> bool:
    """Return whether a class defines how it is pickled; since Python 3.11, ``object`` has all these methods, too."""
    methods = ("__getstate__", "__reduce__", "__reduce_ex__")
    return any(getattr(kind, name, None) is not getattr(object, name, None) for name in methods)


def _stream_name(handler: logging.Handler) -> str | None:
    """Return the name of the handler's standard stream, or None if the handler opens its own stream."""
    stream = getattr(handler, "stream", None)
    if isinstance(handler, logging.FileHandler) or stream is None:
        return None
    for name in _STANDARD_STREAMS:
        if stream is getattr(sys, name):
            return name
    raise TypeError(f"its stream {stream!r} belongs to this process")


def _restore_handler(kind: type[logging.Handler], state: dict[str, Any], stream_name: str | None) -> logging.Handler:
    handler = kind.__new__(kind)
    logging.Handler.__init__(handler)
    stream = None if stream_name is None else getattr(sys, stream_name)  # None: the first record opens the file.
    vars(handler).update(state, stream=stream)
    return handler

"""Handlers and records as bytes, for another process."""

import io
import logging
import pickle
import sys
from collections.abc import Sequence
from typing import Any

from concurrent_log.background.snapshot import CHOSEN, Snapshot

_STANDARD_STREAMS = ("stdout", "stderr")
_MAIN_PROGRAM = ("__main__", "__mp_main__")  # the second one in a child of multiprocessing
_BASIC = (str, int, float, bool, type(None))


def pack_handlers(handlers: Sequence[logging.Handler]) -> bytes:
    """Return the handlers as bytes that `pickle.loads` makes handlers of, in another process.

    Also those of the standard library, as far as they write to a file or to a standard stream.

    Raises:
        TypeError: One of them cannot be sent; the message says which, and why.
    """
    for handler in handlers:
        try:
            _packed(_HandlerPickler, handler)
        except Exception as error:
            raise TypeError(f"{handler!r} cannot be sent to a process ({error}); use worker='thread'") from error
    return _packed(_HandlerPickler, tuple(handlers))


def pack_snapshots(snapshots: Sequence[Snapshot]) -> bytes:
    """Return the snapshots as bytes; those that cannot be sent are made `plain`."""
    try:
        return _packed(_Pickler, snapshots)
    except Exception:
        return _packed(_Pickler, [each if _can_be_sent(each) else plain(each) for each in snapshots])


def _can_be_sent(snapshot: Snapshot) -> bool:
    try:
        return bool(_packed(_Pickler, snapshot))
    except Exception:
        return False


def plain(snapshot: Snapshot) -> Snapshot:
    """Return ``snapshot`` with text in place of everything that is not a string or a number."""
    text = {name: _plain(value) for name, value in snapshot.items() if name != CHOSEN}
    return {**snapshot, **text, "args": None}  # The arguments are in the message already.


def _plain(value: Any) -> Any:
    if type(value) in _BASIC:
        return value
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__} without a text>"


def _packed(kind: type["_Pickler"], content: object) -> bytes:
    buffer = io.BytesIO()
    kind(buffer, pickle.HIGHEST_PROTOCOL).dump(content)
    return buffer.getvalue()


class _Pickler(pickle.Pickler):
    """Pickles what the other process knows, too: nothing that the main program defines."""

    def reducer_override(self, obj: Any) -> Any:
        if getattr(obj, "__module__", None) in _MAIN_PROGRAM:
            name = getattr(obj, "__qualname__", type(obj).__qualname__)
            raise TypeError(f"{name} is defined in the main program, not in a module")
        return NotImplemented


class _HandlerPickler(_Pickler):
    """Pickles handlers that do not know how to be pickled, since they have a lock and an open stream."""

    def reducer_override(self, obj: Any) -> Any:
        if not isinstance(obj, logging.Handler) or _pickles_itself(type(obj)):
            return super().reducer_override(obj)
        state = {name: value for name, value in vars(obj).items() if name not in ("lock", "stream")}
        return _remade, (type(obj), state, _stream_name(obj))


def _pickles_itself(kind: type) -> bool:
    """Return whether a class says how it is pickled; since Python 3.11 ``object`` has all of these methods, too."""
    methods = ("__getstate__", "__reduce__", "__reduce_ex__")
    return any(getattr(kind, name, None) is not getattr(object, name, None) for name in methods)


def _stream_name(handler: logging.Handler) -> str | None:
    """Return the name of the standard stream that the handler writes to, or None where it opens its own."""
    stream = getattr(handler, "stream", None)
    if isinstance(handler, logging.FileHandler) or stream is None:
        return None
    for name in _STANDARD_STREAMS:
        if stream is getattr(sys, name):
            return name
    raise TypeError(f"its stream {stream!r} belongs to this process")


def _remade(kind: type[logging.Handler], state: dict[str, Any], stream_name: str | None) -> logging.Handler:
    handler = kind.__new__(kind)
    logging.Handler.__init__(handler)
    stream = None if stream_name is None else getattr(sys, stream_name)  # None: opened with the first record
    vars(handler).update(state, stream=stream)
    return handler

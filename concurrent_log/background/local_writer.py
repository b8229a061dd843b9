"""Writing records through handlers, in the process and the thread that call."""

import logging
from collections.abc import Sequence
from typing import Any

from concurrent_log.background.snapshot import Restored, Snapshot, chosen_for


class LocalWriter:
    """Writes snapshots through ``handlers``; a handler that fails stops no other."""

    def __init__(self, handlers: Sequence[logging.Handler]) -> None:
        self._handlers = handlers

    def write(self, snapshots: Sequence[Snapshot]) -> int:
        """Write them, in order, through each handler whose level and filters let them pass; return how many."""
        shares = [chosen_for(number, handler, snapshots) for number, handler in enumerate(self._handlers)]
        for handler, share in zip(self._handlers, shares, strict=True):
            if share:
                _write_through(handler, Restored(share))
        return len(snapshots)

    def settle(self) -> int:
        """Return how many records have been written since; none, since each is written at once."""
        return 0

    def pending(self) -> int:
        """Return 0, for the same reason."""
        return 0

    def flush(self) -> None:
        """Flush all handlers."""
        for handler in self._handlers:
            try:
                handler.flush()
            except Exception:
                handler.handleError(_nothing(handler))

    def close(self, timeout: float) -> None:
        """Do nothing: the handlers stay open."""

    def forget(self) -> None:
        """Do nothing: in the child after a fork, nothing here belongs to the parent alone."""


def filters_here(handler: logging.Handler) -> bool:
    """Return whether the handler's filters can be asked apart from its writing, as the standard ``handle`` does."""
    return type(handler).handle is logging.Handler.handle or _batch_method(handler) is not None


def _batch_method(handler: logging.Handler) -> Any:
    """Return the method that writes many records, unless a subclass of the class that has it says how to ``handle``."""
    for kind in type(handler).__mro__:
        if "emit_batch" in vars(kind):
            return getattr(handler, "emit_batch", None)
        if "handle" in vars(kind):
            return None
    return None


def _write_through(handler: logging.Handler, records: Sequence[logging.LogRecord]) -> None:
    write_batch = _batch_method(handler)
    if write_batch is not None:
        try:
            write_batch(records)
        except (Exception, SystemExit):
            handler.handleError(records[0])
        return
    write = _emit if filters_here(handler) else _handle
    for record in records:
        try:
            write(handler, record)
        except (Exception, SystemExit):
            handler.handleError(record)


def _handle(handler: logging.Handler, record: logging.LogRecord) -> None:
    handler.handle(record)


def _emit(handler: logging.Handler, record: logging.LogRecord) -> None:
    handler.acquire()
    try:
        handler.emit(record)
    finally:
        handler.release()


def _nothing(handler: logging.Handler) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": "flush of %r", "args": (handler,)})

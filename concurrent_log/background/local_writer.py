"""`LocalWriter`: writes records through handlers in the calling thread."""

import logging
from collections.abc import Sequence
from typing import Any

from concurrent_log.background.snapshot import RestoredRecords, Snapshot, select_for_handler


class LocalWriter:
    """Writes snapshots through ``handlers``. If one handler fails, the others still write."""

    def __init__(self, handlers: Sequence[logging.Handler]) -> None:
        self._handlers = handlers

    def write(self, snapshots: Sequence[Snapshot]) -> int:
        """Write the snapshots in order, through each handler whose level and filters accept them.

        Returns:
            The number of snapshots: all are written at once.
        """
        # Before any of them is written: restoring a record removes the handler numbers from its snapshot.
        selected = [select_for_handler(number, handler, snapshots) for number, handler in enumerate(self._handlers)]
        for handler, own_snapshots in zip(self._handlers, selected, strict=True):
            if own_snapshots:
                _write_through(handler, RestoredRecords(own_snapshots))
        return len(snapshots)

    def wait_until_written(self) -> int:
        """Return 0: `write` has already counted everything."""
        return 0

    def pending(self) -> int:
        """Return 0: `write` returns when everything is written."""
        return 0

    def flush(self) -> None:
        """Flush all handlers."""
        for handler in self._handlers:
            try:
                handler.flush()
            except Exception:
                handler.handleError(_flush_record(handler))

    def close(self, timeout: float) -> None:
        """Do nothing: the handlers stay open."""

    def detach_after_fork(self) -> None:
        """Do nothing: the child may use the handlers, too."""


def has_separate_filters(handler: logging.Handler) -> bool:
    """Return whether the handler's filters can run before and apart from its writing, as in the standard ``handle``."""
    return type(handler).handle is logging.Handler.handle or _batch_method(handler) is not None


def _batch_method(handler: logging.Handler) -> Any:
    """Return the ``emit_batch`` method, or None if a subclass of the class that defines it overrides ``handle``."""
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
    write = _emit if has_separate_filters(handler) else _handle
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


def _flush_record(handler: logging.Handler) -> logging.LogRecord:
    """Return a record for ``handleError`` when a flush failed."""
    return logging.makeLogRecord({"msg": "flush of %r", "args": (handler,)})

"""`LocalWriter`: writes records through handlers in the calling thread."""

import contextlib
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from concurrent_log.background.exact_snapshot import Snapshot
from concurrent_log.background.snapshot import RestoredRecords, select_for_handler, texts_for_handler
from concurrent_log.background.target_texts import Texts
from concurrent_log.internal.lifecycle import is_forking


class LocalWriter:
    """Writes snapshots through ``handlers``. If one handler fails, the others still write."""

    def __init__(self, handlers: Sequence[logging.Handler]) -> None:
        self._handlers = handlers
        self._portions: deque[_Portion] = deque()
        self._unconfirmed = 0

    def write(self, snapshots: Sequence[Snapshot]) -> int:
        """Write the snapshots in order, through each handler whose level and filters accepted them.

        Stops after a record, or after a batch of a handler that writes batches, while this process is about to fork.

        Returns:
            The number of snapshots that are written through all handlers, and were not before.
        """
        # Before any of them is written: restoring a record removes everything else from its snapshot.
        for number, handler in enumerate(self._handlers):
            own_snapshots = select_for_handler(number, snapshots)
            if own_snapshots:
                texts = texts_for_handler(number, own_snapshots)
                self._portions.append(_Portion(handler, RestoredRecords(own_snapshots), texts))
        self._unconfirmed += len(snapshots)
        return self.wait_until_written()

    def wait_until_written(self) -> int:
        """Write what `write` has left, with the same exception; return the number of snapshots that are written."""
        while self._portions:
            self._portions[0].write()
            if not self._portions[0].remaining:
                self._portions.popleft()
            if self._portions and is_forking():
                return 0
        confirmed, self._unconfirmed = self._unconfirmed, 0
        return confirmed

    def pending(self) -> int:
        """Return how many snapshots are not written through one of the handlers."""
        return max((portion.remaining for portion in self._portions.copy()), default=0)

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


class _Portion:
    """The records of a batch that one handler writes, some of which may be written.

    Attributes:
        remaining: The number of records that are not written.
    """

    def __init__(self, handler: logging.Handler, records: Sequence[logging.LogRecord], texts: Texts) -> None:
        self._handler = handler
        self._texts = texts
        self._records = records
        self.remaining = len(records)

    def write(self) -> None:
        """Write the remaining records; while this process is about to fork, only the next one."""
        with _preformatted(self._handler, self._texts) if self._texts else contextlib.nullcontext():
            self._write()

    def _write(self) -> None:
        write_batch = _batch_method(self._handler)
        if write_batch is not None:
            try:
                write_batch(self._records)
            except (Exception, SystemExit):
                self._handler.handleError(self._records[0])
            finally:
                self.remaining = 0
            return
        write = _emit if has_separate_filters(self._handler) else _handle
        handler = self._handler
        for record in self._records[len(self._records) - self.remaining :]:
            try:
                write(handler, record)
            except (Exception, SystemExit):
                handler.handleError(record)
            finally:
                self.remaining -= 1
            if is_forking():
                return


@contextlib.contextmanager
def _preformatted(handler: logging.Handler, texts: Texts) -> Iterator[None]:
    """Let ``handler`` format the records that have a text in ``texts`` by returning this text."""
    format_record = handler.format

    def find_text(record: logging.LogRecord) -> str:
        text = texts.get(id(vars(record)))
        return format_record(record) if text is None else text

    handler.acquire()  # Another worker, or a direct call, must not replace or use the method at the same time.
    own = vars(handler).get("format")
    try:
        vars(handler)["format"] = find_text
        yield
    finally:
        vars(handler).pop("format", None)
        if own is not None:
            vars(handler)["format"] = own
        handler.release()


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

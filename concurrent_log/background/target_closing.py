"""When `logging` closes handlers that write in the background: the worker closes those that still write.

`logging.config.dictConfig` and `logging.shutdown` call ``acquire``, ``flush`` and ``close`` of each handler. Those of a
handler that is writing would wait for its lock. Its worker may wait for the lock of `logging` meanwhile, which
``dictConfig`` holds. A file that is closed too early would have to be opened again, or would lose records.
"""

import logging
import weakref
from collections.abc import Sequence
from typing import Any

from concurrent_log.background.worker import QueueWorker
from concurrent_log.internal.handler_closing import close_handler, close_soon, try_to_close
from concurrent_log.internal.lifecycle import registered
from concurrent_log.internal.lock_owners import owns_logging_lock


def let_workers_close(handlers: Sequence[logging.Handler]) -> None:
    """Replace ``handlers`` in the list of handlers that `logging` closes, by objects that leave it to their workers."""
    with logging._lock:  # type: ignore[attr-defined]
        references = logging._handlerList  # type: ignore[attr-defined]
        # A copy: the garbage collector may remove handlers from the list at any moment.
        references[:] = [_reference_for_workers(reference, handlers) for reference in references.copy()]


def _reference_for_workers(reference: Any, handlers: Sequence[logging.Handler]) -> Any:
    handler = reference()
    if any(handler is other for other in handlers):
        return _TargetReference(handler, logging._removeHandlerRef)  # type: ignore[attr-defined]
    return reference


class _TargetReference(weakref.ref[logging.Handler]):
    """A weak reference in the list of `logging`."""

    def __call__(self) -> Any:
        handler = super().__call__()
        return None if handler is None else _ClosingTarget(handler)


class _ClosingTarget:
    """What `logging` closes in place of a handler that writes in the background."""

    def __init__(self, handler: logging.Handler) -> None:
        self._handler = handler

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handler, name)

    def acquire(self) -> None:
        """Do nothing: `close` acquires the lock if it does not have to wait for the worker."""

    def release(self) -> None:
        """Do nothing, like `acquire`."""

    def flush(self) -> None:
        """Do nothing: `close` flushes, too."""

    def close(self) -> None:
        """Close the handler, or let its workers close it after their last record."""
        handler = self._handler
        tasks = [getattr(engine, "task", None) for engine in registered()]
        workers = [task for task in tasks if isinstance(task, QueueWorker) and handler in task.handlers]
        is_busy = [worker.retire(handler) for worker in workers]
        if not any(is_busy):
            _close(handler)


def _close(handler: logging.Handler) -> None:
    """Close a handler. A thread that holds the lock of `logging` does not wait for another one that uses it."""
    if not owns_logging_lock():
        close_handler(handler)
    elif not try_to_close(handler):
        close_soon(handler)

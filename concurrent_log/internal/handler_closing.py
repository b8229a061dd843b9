"""Closing a handler that writes, without a wait for one lock while another one is held.

``close`` of a handler takes the handler's lock and then that of `logging`. `logging.config.dictConfig` takes them in
the opposite order, and an ``emit`` may look up a logger: a thread that holds one must not wait for the other.
"""

import contextlib
import logging
import threading

from concurrent_log.internal.lifecycle import is_forking

_INTERVAL = 0.02  # seconds after which a thread that waits for the lock of `logging` checks whether this process forks


def close_handler(handler: logging.Handler) -> bool:
    """Flush and close a handler; return False if this process is about to fork instead."""
    while not is_forking():
        # As long as this thread waits, it holds no other lock.
        if logging._lock.acquire(timeout=_INTERVAL):  # type: ignore[attr-defined]
            try:
                if try_to_close(handler):
                    return True
            finally:
                logging._lock.release()  # type: ignore[attr-defined]
            with handler.lock or contextlib.nullcontext():
                pass  # Another thread used the handler, and perhaps waited for the lock of `logging`.
    return False


def try_to_close(handler: logging.Handler) -> bool:
    """Flush and close a handler as `logging.shutdown` does; return False if another thread uses it."""
    lock = handler.lock
    if lock is not None and not lock.acquire(blocking=False):
        return False
    try:
        if getattr(handler, "flushOnClose", True):
            handler.flush()
        _close(handler)
    except (OSError, ValueError):
        pass  # as in `logging.shutdown`: for example, the stream is closed
    except Exception:
        handler.handleError(logging.makeLogRecord({"msg": "close of %r", "args": (handler,)}))
    finally:
        if lock is not None:
            lock.release()
    return True


def _close(handler: logging.Handler) -> None:
    """Close a handler, holding the lock of `logging`. A newer handler that has its name by now keeps that."""
    newer = logging._handlers.get(handler.name)  # type: ignore[attr-defined]
    handler.close()
    if newer is not None and newer is not handler:
        logging._handlers[handler.name] = newer  # type: ignore[attr-defined]


def close_soon(handler: logging.Handler) -> None:
    """Close a handler that another thread uses, in a thread that waits for it."""
    threading.Thread(target=close_handler, args=(handler,), name="concurrent_log closing", daemon=True).start()

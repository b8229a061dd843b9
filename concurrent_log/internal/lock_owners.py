"""Which locks the calling thread holds: a thread that holds one must not wait for a thread that may want it."""

import logging
from typing import Any


def is_owned(lock: Any) -> bool:
    """Return whether the calling thread holds ``lock``; False if the lock does not know, or is None."""
    is_owned_here = getattr(lock, "_is_owned", None)  # of `threading.RLock`, for the conditions of `threading`
    return is_owned_here is not None and bool(is_owned_here())


def owns_logging_lock() -> bool:
    """Return whether the calling thread holds the lock of the module `logging`.

    `logging.config.dictConfig` and ``logging.basicConfig(force=True)`` hold it while they close handlers. Every thread
    wants it that looks up a logger, creates a handler, or asks for the first time whether a level is enabled.
    """
    return is_owned(logging._lock)  # type: ignore[attr-defined]  # Looked up now: gevent replaces it.

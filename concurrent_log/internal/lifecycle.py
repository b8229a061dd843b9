"""Forks and exits of the process: every handler that works in the background registers here."""

import atexit
import os
import threading
import time
import weakref
from typing import Any, Protocol

from concurrent_log.internal.exit_hooks import add_exit_hooks
from concurrent_log.internal.lock_owners import is_owned, owns_logging_lock

_PARK_TIMEOUT = 1.0  # seconds that a fork waits for the workers


class Lifecycle(Protocol):
    """A handler that is called at the forks and at the exit of its process."""

    def prepare_fork(self) -> None:
        """Let the worker thread stop soon, because `is_forking`; do not wait for it."""

    def park(self, timeout: float) -> None:
        """Wait until the worker thread has stopped, before a fork, for at most ``timeout`` seconds."""

    def resume(self) -> None:
        """Continue in the parent after a fork."""

    def restart_after_fork(self) -> None:
        """Start with an empty queue in the child after a fork."""

    def flush(self) -> bool:
        """Write everything that was logged before the call."""

    def close(self) -> None:
        """Write everything; the process is about to end."""


_all: "list[weakref.ref[Any]]" = []  # append, remove and copy are atomic, so no lock is needed
_forking: set[int] = set()  # ids of the threads that fork
_fork_turn = threading.RLock()  # held by the thread that forks
_hooked = 0  # id of the process in which `hook_exits` has run


def register(handler: Lifecycle) -> None:
    """Call ``handler`` at each fork and at the exit of this process, for as long as it is referenced elsewhere."""
    _all.append(weakref.ref(handler, _all.remove))


def is_forking() -> bool:
    """Return whether this process is about to fork: workers stop between two records, and none starts."""
    return bool(_forking)


def flush_all() -> None:
    """Flush every registered handler."""
    for handler in registered():
        handler.flush()


def registered() -> list[Any]:
    """Return all that is registered in this process."""
    return [handler for reference in _all.copy() if (handler := reference()) is not None]


def hook_exits() -> None:
    """Close all handlers also at exits that skip `atexit`.

    Call it in each process before its first record is queued; further calls do nothing.
    """
    global _hooked
    if _hooked == os.getpid():
        return
    _hooked = os.getpid()
    add_exit_hooks(_close_all)


def _close_all(**_: object) -> None:
    for handler in registered():
        handler.close()


def _park_all() -> None:
    """Stop all workers. No lock of `logging` is held meanwhile: a worker that wants it would not reach its stop."""
    # One fork at a time, so that the workers write something between two. But another fork may be waiting for the lock
    # of `logging` that this thread holds.
    if not owns_logging_lock():
        _fork_turn.acquire(timeout=_PARK_TIMEOUT)
    _forking.add(threading.get_ident())
    handlers = registered()
    for handler in handlers:
        handler.prepare_fork()
    give_up_at = time.monotonic() + _PARK_TIMEOUT
    for handler in handlers:
        handler.park(max(0, give_up_at - time.monotonic()))


def _resume_all() -> None:
    try:
        _forking.discard(threading.get_ident())
        for handler in registered():
            handler.resume()
    finally:
        if is_owned(_fork_turn):
            _fork_turn.release()


def _restart_all() -> None:
    # `logging` has already re-created its lock in the child.
    global _fork_turn
    _fork_turn = threading.RLock()
    _forking.clear()
    for handler in registered():
        handler.restart_after_fork()


# Registered after logging's own exit hook, and therefore called before it: that hook closes the target handlers.
atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_park_all, after_in_parent=_resume_all, after_in_child=_restart_all)

"""What happens to all handlers of this process together: at a fork, and at the exit."""

import _thread
import atexit
import logging
import os
import sys
import threading
import weakref
from typing import Any, Protocol

_PARK_TIMEOUT = 1.0  # seconds for which a fork waits for a worker that is in the middle of writing
_LAST = -1000  # among the things that multiprocessing does at the end of a process


class Living(Protocol):
    """What follows the life of the process."""

    def park(self, timeout: float) -> None:
        """Let no thread be in the middle of anything."""

    def resume(self) -> None:
        """Go on."""

    def begin_anew(self) -> None:
        """Begin in the child after a fork."""

    def flush(self) -> bool:
        """Write everything; the process goes on, or ends in a way that nobody is told of."""

    def close(self) -> None:
        """Write everything; the process ends."""


_all: "list[weakref.ref[Any]]" = []  # appended to and copied in one step each, whatever other threads do
_hooked = 0  # the process in which the ends that `atexit` does not know have been hooked


def follow(handler: Living) -> None:
    """Let ``handler`` follow the life of this process from now on."""
    _all.append(weakref.ref(handler, _all.remove))


def flush_all() -> None:
    """Write all that was logged before."""
    for handler in _living():
        handler.flush()


def hook_ends() -> None:
    """Close all handlers also where a process ends without `atexit`: as a child of multiprocessing, or of Celery.

    To be called in each process, when it has something that could be lost.
    """
    global _hooked
    if _hooked == os.getpid():
        return
    _hooked = os.getpid()
    for name in ("multiprocessing.util", "billiard.util"):
        util = sys.modules.get(name)
        if util is not None:
            util.Finalize(None, _close_all, exitpriority=_LAST)
    signals = sys.modules.get("celery.signals")
    if signals is not None:
        signals.worker_process_shutdown.connect(_close_all, weak=False)


def close_later(handler: Living) -> None:
    """Close ``handler``, which the program let go of without closing it, in a thread; this must not wait."""
    follow(handler)  # A garbage collection makes it forget before.
    try:
        _thread.start_new_thread(_close_in_thread, (handler,))
    except RuntimeError:
        handler.close()


def _close_in_thread(handler: Living) -> None:
    """Close ``handler`` in a thread of which the interpreter's list of threads forgets nothing."""
    threading.Thread(target=handler.close, name="concurrent_log closing", daemon=True).start()


def _living() -> list[Any]:
    return [handler for reference in _all.copy() if (handler := reference()) is not None]


def _close_all(**_: object) -> None:
    for handler in _living():
        handler.close()


def _park_all() -> None:
    # One fork after the other; and logging takes this lock after us: who has it may be waiting for a worker.
    _logging_lock.acquire()
    for handler in _living():
        handler.park(_PARK_TIMEOUT)


def _resume_all() -> None:
    try:
        for handler in _living():
            handler.resume()
    finally:
        _logging_lock.release()


def _begin_all_anew() -> None:
    # Logging has made its lock anew.
    for handler in _living():
        handler.begin_anew()


_logging_lock: threading.RLock = logging._lock  # type: ignore[attr-defined]

# After logging's own, and so before it: what logging does at the exit is to close the handlers that write.
atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_park_all, after_in_parent=_resume_all, after_in_child=_begin_all_anew)

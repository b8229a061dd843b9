"""Forks and exits of the process: every handler that works in the background registers here."""

import _thread
import atexit
import logging
import os
import sys
import threading
import time
import weakref
from typing import Any, Protocol

_PARK_TIMEOUT = 1.0  # seconds that a fork waits for a worker that is writing
_EXIT_TIMEOUT = 1.0  # seconds to wait for the operating system's part of a thread that has ended
_LAST = -1000  # multiprocessing runs the finalizers of higher priority first


class Lifecycle(Protocol):
    """A handler that is called at the forks and at the exit of its process."""

    def park(self, timeout: float) -> None:
        """Bring the worker thread to a safe point before a fork, within ``timeout`` seconds."""

    def resume(self) -> None:
        """Continue in the parent after a fork."""

    def restart_after_fork(self) -> None:
        """Start with an empty queue in the child after a fork."""

    def flush(self) -> bool:
        """Write everything that was logged before the call."""

    def close(self) -> None:
        """Write everything; the process is about to end."""


_all: "list[weakref.ref[Any]]" = []  # append, remove and copy are atomic, so no lock is needed
_hooked = 0  # id of the process in which `hook_exits` has run


def register(handler: Lifecycle) -> None:
    """Call ``handler`` at each fork and at the exit of this process, for as long as it is referenced elsewhere."""
    _all.append(weakref.ref(handler, _all.remove))


def flush_all() -> None:
    """Flush every registered handler."""
    for handler in _registered():
        handler.flush()


def hook_exits() -> None:
    """Close all handlers also at exits that skip `atexit`: those of multiprocessing and Celery workers.

    Call it in each process before its first record is queued; further calls do nothing.
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


def join(thread: threading.Thread, timeout: float) -> None:
    """Wait up to ``timeout`` seconds for the end of ``thread``, before a fork.

    Until Python 3.12, `threading.Thread.join` returns shortly before the operating system's thread ends. A fork in
    between warns of a process with several threads.
    """
    if thread is threading.current_thread() or thread.ident is None:
        return
    thread.join(timeout)
    if thread.is_alive() or thread.native_id == threading.get_native_id():  # The second one is a greenlet.
        return
    give_up_at = time.monotonic() + _EXIT_TIMEOUT
    while os.path.exists(f"/proc/self/task/{thread.native_id}") and time.monotonic() < give_up_at:
        time.sleep(0.0001)


def close_in_background(handler: Lifecycle) -> None:
    """Close ``handler``, which the program dropped without closing it, in a thread: a finalizer must not block."""
    register(handler)  # The garbage collector has already cleared the earlier weak reference.
    try:
        _thread.start_new_thread(_close_in_thread, (handler,))
    except RuntimeError:
        handler.close()


def _close_in_thread(handler: Lifecycle) -> None:
    """Close ``handler`` in a thread that `threading` knows, so that the interpreter's shutdown sees it."""
    threading.Thread(target=handler.close, name="concurrent_log closing", daemon=True).start()


def _registered() -> list[Any]:
    return [handler for reference in _all.copy() if (handler := reference()) is not None]


def _close_all(**_: object) -> None:
    for handler in _registered():
        handler.close()


def _park_all() -> None:
    # One fork at a time. `logging` acquires this lock only after this hook: its holder may be waiting for a worker.
    _logging_lock.acquire()
    for handler in _registered():
        handler.park(_PARK_TIMEOUT)


def _resume_all() -> None:
    try:
        for handler in _registered():
            handler.resume()
    finally:
        _logging_lock.release()


def _restart_all() -> None:
    # `logging` has already re-created its lock in the child.
    for handler in _registered():
        handler.restart_after_fork()


_logging_lock: threading.RLock = logging._lock  # type: ignore[attr-defined]

# Registered after logging's own exit hook, and therefore called before it: that hook closes the target handlers.
atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_park_all, after_in_parent=_resume_all, after_in_child=_restart_all)

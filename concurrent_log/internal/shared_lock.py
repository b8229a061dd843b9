"""Locks that greenlets and real threads acquire: `SharedLock`, `SharedRLock`, and `share` for the locks of others."""

import _thread
import threading
from typing import Any

from concurrent_log.internal.greenlets import must_let_run, native_sleep, original, real_threads, sleep, wait_until

_allocate_lock = original(_thread, "allocate_lock")


def share(lock: Any) -> bool:
    """Make a lock from ``threading.RLock()`` safe between greenlets and real threads; return whether it is safe.

    In a patched process, `threading.RLock` builds on a lock that expects greenlets of one thread. With eventlet, a real
    thread that finds it held waits indefinitely, and so does a greenlet that waits for a real thread. Call this for the
    locks that a `WorkerThread` shares with the program: those of the handlers that write, and that of `logging`.

    A lock of the interpreter is left as it is, and so is a lock that is held at the moment: try again later.
    """
    if not hasattr(lock, "_block") or isinstance(lock._block, SharedLock):
        return True
    if not lock.acquire(blocking=False):
        return False
    try:
        if lock._count != 1:
            return False
        shared = SharedLock()
        shared.acquire()
        lock._block = shared
        return True
    finally:
        lock.release()


def sleep_holding(lock: object, seconds: float) -> None:
    """Wait while the caller holds ``lock``; other greenlets run meanwhile only if the lock keeps them out."""
    if isinstance(lock, _thread.RLock):
        native_sleep(seconds)  # All greenlets of this thread hold a lock of the interpreter.
    else:
        sleep(seconds)


class SharedLock:
    """A lock like ``threading.Lock()``, for greenlets and real threads: a greenlet that waits lets others run."""

    def __init__(self) -> None:
        self._lock = _allocate_lock()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Acquire the lock, and return whether it was free in time."""
        if self._lock.acquire(False):
            return True
        if not blocking:
            return False
        if must_let_run():
            return wait_until(lambda: bool(self._lock.acquire(False)), None if timeout < 0 else timeout)
        return bool(self._lock.acquire(True, timeout))

    def release(self) -> None:
        """Release the lock."""
        self._lock.release()

    def locked(self) -> bool:
        """Return whether the lock is held."""
        return bool(self._lock.locked())

    def _at_fork_reinit(self) -> None:
        self._lock = _allocate_lock()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class SharedRLock:
    """A lock for greenlets and real threads, like ``threading.RLock()``. A signal handler must not raise inside it."""

    def __init__(self) -> None:
        self._block = SharedLock()
        self._owner: int | None = None
        self._count = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Acquire the lock, and return whether it was free in time, or already held here."""
        if self._is_owned():
            self._count += 1
            return True
        if not self._block.acquire(blocking, timeout):
            return False
        self._owner, self._count = _own_id(), 1
        return True

    def release(self) -> None:
        """Release the lock.

        Raises:
            RuntimeError: The caller does not hold it.
        """
        if not self._is_owned():
            raise RuntimeError("cannot release a lock that this thread does not hold")
        self._count -= 1
        if not self._count:
            self._owner = None
            self._block.release()

    def _is_owned(self) -> bool:
        return self._owner == _own_id()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def _own_id() -> int:
    """Return an id of the calling thread or greenlet, which patching does not change for a thread of this package."""
    native_id = threading.get_native_id()
    return native_id if native_id in real_threads else threading.get_ident()

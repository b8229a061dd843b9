"""Real threads and their primitives in every runtime: plain CPython, gevent, eventlet, isolated sub-interpreters.

The rules for code that works in the background:

- A thread is a `WorkerThread`: a real one in every runtime, so that a slow disk stops no greenlet.
- Work goes to it through a queue from `make_queue`. To wait, use `take`, `Event`, `WorkerThread.join` or
  `greenlets.sleep`: in a greenlet they let other greenlets run, in a real thread they wait in C code.
- A short section is protected by a lock from `make_rlock`. The lock knows no greenlets: in a section that waits, or
  calls the program, another greenlet of the same thread enters, too.
- A lock that the program or `logging` created, and that the real thread acquires, needs `shared_lock.share`, in the
  process that the libraries have patched.

All primitives are those of the interpreter, whether gevent or eventlet replaces them before or after this import.
"""

import _thread
import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from concurrent_log.internal.greenlets import (
    is_patched,
    leave_thread,
    must_let_run,
    native_sleep,
    original,
    real_threads,
    wait_until,
)

_END_TIMEOUT = 1.0  # seconds to wait for the operating system's part of a thread that has ended

_start_new_thread = original(_thread, "start_new_thread")
_allocate_lock = original(_thread, "allocate_lock")
_SimpleQueue: "type[queue.SimpleQueue[Any]]" = original(queue, "SimpleQueue")


def make_queue() -> "queue.SimpleQueue[Any]":
    """Return a queue whose ``put`` never blocks, and is safe in a signal handler. Use `take` instead of its ``get``."""
    return _SimpleQueue()


def take(items: "queue.SimpleQueue[Any]", timeout: float | None = None) -> Any:
    """Remove and return the next item of a queue from `make_queue`; wait at most ``timeout`` seconds for it.

    Raises:
        queue.Empty: There was no item in time.
    """
    if not must_let_run():
        return items.get(timeout=timeout)
    wait_until(lambda: not items.empty(), timeout)
    return items.get_nowait()


def make_rlock() -> "threading.RLock":
    """Return a re-entrant lock: a signal handler may acquire it in the middle of the section that it protects."""
    return _thread.RLock()  # Neither library replaces this one.


class Event:
    """An event that any thread sets, and that threads and greenlets wait for, like `threading.Event`."""

    __slots__ = ("__weakref__", "_gate", "_is_set")

    def __init__(self) -> None:
        self._is_set = False
        self._gate = _allocate_lock()  # held until the event is set
        self._gate.acquire()

    def is_set(self) -> bool:
        """Return whether the event is set."""
        return self._is_set

    def set(self) -> None:
        """Set the event for good, and wake up all that wait."""
        if not self._is_set:
            self._is_set = True
            with contextlib.suppress(RuntimeError):  # Another thread sets it at the same moment.
                self._gate.release()

    def wait(self, timeout: float | None = None, *, may_switch: bool = True) -> bool:
        """Wait until the event is set, for at most ``timeout`` seconds; return whether it is.

        Without ``may_switch``, no other greenlet runs meanwhile.
        """
        if self._is_set:
            return True
        if may_switch and must_let_run():
            return wait_until(self.is_set, timeout)
        if self._gate.acquire(timeout=-1 if timeout is None else min(max(timeout, 0), threading.TIMEOUT_MAX)):
            self._gate.release()  # for the next one that waits
        return self._is_set


class WorkerThread:
    """A real thread that works in the background, and does not keep the program from exiting.

    Args:
        function: The work. It handles its own exceptions.
        name: The name of the thread; in a patched process, no module of the standard library knows it.

    Attributes:
        name: The name of the thread.
        native_id: The operating system's id of the thread; None until it runs.
    """

    def __init__(self, function: Callable[[], object], name: str) -> None:
        self.name = name
        self.native_id: int | None = None
        self._function = function
        self._ended = Event()
        self._is_started = False

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: No thread can start: because the interpreter shuts down, or is an isolated sub-interpreter,
                which has no daemon threads. Its end would join any other thread, and hang: at the exit of the program,
                only the main thread runs.
        """
        self._is_started = True
        try:
            if is_patched():
                _start_new_thread(self._run, ())
            else:
                thread = threading.Thread(target=self._run_as, name=self.name, daemon=True)
                thread.start()
        except RuntimeError:
            self._is_started = False
            raise

    def _run_as(self) -> None:
        """Run as a thread that `threading` knows; a library that patches meanwhile makes it search for another id."""
        native_thread, native_ident = threading.current_thread(), threading.get_ident()
        try:
            self._run()
        finally:
            if threading.get_ident() != native_ident:
                active: dict[int, threading.Thread] = threading._active  # type: ignore[attr-defined]
                active.pop(native_ident, None)
                active[threading.get_ident()] = native_thread

    def _run(self) -> None:
        self.native_id = threading.get_native_id()
        real_threads.add(self.native_id)
        function = self._function
        del self._function  # It may refer to this object.
        try:
            function()
        finally:
            leave_thread()
            real_threads.discard(self.native_id)
            self._ended.set()

    def is_current(self) -> bool:
        """Return whether the caller runs in this thread."""
        return self.native_id == threading.get_native_id()

    def is_alive(self) -> bool:
        """Return whether the thread runs, or is about to."""
        return self._is_started and not self._ended.is_set()

    def join(self, timeout: float | None = None, *, may_switch: bool = True) -> bool:
        """Wait until the thread has ended, for at most ``timeout`` seconds; return whether it has.

        Waits for the operating system's part of the thread, too: a fork beside it would warn of a process with several
        threads. Without ``may_switch``, as in a fork hook, no other greenlet runs meanwhile. Returns False at once in
        the thread itself, and if it has not started.
        """
        if self.is_current() or not self._is_started or not self._ended.wait(timeout, may_switch=may_switch):
            return False
        give_up_at = time.monotonic() + _END_TIMEOUT
        while os.path.exists(f"/proc/self/task/{self.native_id}") and time.monotonic() < give_up_at:
            native_sleep(0.0001)
        return True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=real_threads.clear)

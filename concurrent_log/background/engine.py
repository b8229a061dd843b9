"""`Engine`: the life of one task and its thread, from the first record through forks and reconfigurations to the exit.

It knows no records. A `BackgroundTask` says what a batch is and where it goes.

No method of the engine waits for a thread that may wait for the caller: where the caller holds a lock that the task may
want, such as that of `logging` during `logging.config.dictConfig`, the thread finishes by itself.
"""

import _thread
import contextlib
import logging
import time
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Generic, Protocol, TypeVar

from concurrent_log.internal import stderr
from concurrent_log.internal.greenlets import is_patched, native_sleep, sleep
from concurrent_log.internal.lifecycle import hook_exits, is_forking, register
from concurrent_log.internal.lock_owners import is_owned, owns_logging_lock
from concurrent_log.internal.shared_lock import SharedRLock, share
from concurrent_log.internal.threads import WorkerThread, make_rlock

_GRACE_PERIOD = 0.1  # seconds for a task that has already exceeded its time
_NAP = 0.0005  # seconds between two looks at what another thread is about to do
_MAX_FINISHING = 8  # closed engines that may work at once, before new ones wait
_LONGEST_DELAY = 1.0  # seconds that a new engine waits for closed ones
_BLOCKED_PARK_TIMEOUT = 0.02  # seconds that a fork waits for a task that may wait for a lock of the forking thread


class Barrier(Protocol):
    """Something that a task completes when everything queued before is done."""

    def wait(self, timeout: float) -> bool:
        """Wait for at most ``timeout`` seconds; return whether everything is done."""


class BackgroundTask(Protocol):
    """The work of one process. One thread at a time calls `step`, `drain` and `release`.

    Attributes:
        park_timeout: Seconds that a fork waits for the end of a step.
        is_ordered: Whether a new task waits for those of closed engines, which have older records.
    """

    park_timeout: float
    is_ordered: bool

    def step(self) -> bool:
        """Wait for something to do, or for `interrupt`, and do a part of it.

        Returns soon while `is_forking`, but does something in each call. Returns False after `stop`, when everything is
        done or there is no point in continuing.
        """

    def drain(self) -> None:
        """Do everything that there is, without waiting for more."""

    def interrupt(self) -> None:
        """End the waiting of `step`. Any thread may call this, also in a signal handler or a finalizer."""

    def stop(self, timeout: float, *, is_urgent: bool) -> None:
        """Let `step` end: within ``timeout`` seconds if a thread waits for it, else when everything is done."""

    def release(self) -> None:
        """Release all resources; they are acquired again when needed."""

    def has_work(self) -> bool:
        """Return whether there is something to do that can be done now."""

    def pending(self) -> int:
        """Return how many records are not done."""

    def put_barrier(self) -> Barrier:
        """Return a barrier behind everything that is queued."""

    def locks(self) -> Iterable[Any]:
        """Return the locks that the task may wait for, apart from that of `logging`."""

    def describe_pending(self, records: int, timeout: float) -> str:
        """Return the message for ``records`` that are not done ``timeout`` seconds after `stop`."""

    def detach_after_fork(self) -> None:
        """Leave all resources to the parent process, in the child after a fork."""


T = TypeVar("T", bound=BackgroundTask)

_finishing: set[Any] = set()  # engines whose owners may be gone, but not their records


class Engine(Generic[T]):
    """Runs a task in a thread that starts when there is something to do. Each process has its own thread.

    After `close`, and when no thread can start, the calling thread does the work itself.

    Args:
        name: The name of the thread.
        stop_timeout: Seconds that `close` waits by default.

    Attributes:
        task: The task of this process; None before the first record.
        thread: The thread that works, or is about to; None if there is none.
        is_closed: Whether the engine is closed, in this process.
    """

    task: T | None = None
    thread: WorkerThread | None = None  # Both attributes change in one atomic step of the instance's dictionary.

    def __init__(self, name: str, stop_timeout: float) -> None:
        self.name = name
        self.stop_timeout = stop_timeout
        self._begin_process()
        register(self)

    def _begin_process(self) -> None:
        vars(self).pop("task", None)
        vars(self).pop("thread", None)
        self.is_closed = False
        self._working: Any = make_rlock()  # held by the one thread that works
        self._is_adapted = False
        self._has_timed_out = False
        self._is_unreleased = False
        self._reported = 0  # records that were not done in time

    # For the threads that log.

    def create(self, factory: Callable[["Engine[T]"], T]) -> T:
        """Return the task of this process; ``factory`` creates it, from a weak proxy of this engine."""
        task = factory(weakref.proxy(self))
        self._earlier = [engine for engine in _finishing.copy() if task.is_ordered and type(engine.task) is type(task)]
        self._wait_until = time.monotonic() + _LONGEST_DELAY
        hook_exits()
        self._is_unreleased = True
        # In one step: a signal handler or another thread may have created one in the meantime.
        return vars(self).setdefault("task", task)  # type: ignore[no-any-return]

    def ensure_running(self) -> None:
        """Start the thread if there is none. If none can start, and after `close`, work in this thread.

        A thread that may not wait does not work, either: the work may take a lock that another thread holds.
        """
        if self.thread is not None or is_owned(self._working):
            return
        if (self.is_closed and self.may_wait()) or not self._start_thread():
            self._work_here()

    def may_wait(self) -> bool:
        """Return whether the calling thread may wait for the thread of the task.

        It must not if it is that thread, or holds a lock that the task may want.
        """
        if (self.thread is not None and self.thread.is_current()) or is_owned(self._working) or owns_logging_lock():
            return False
        return self.task is None or not any(map(is_owned, self.task.locks()))

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything queued before is done, for at most ``timeout`` seconds; return whether it is."""
        task = self.task
        if task is None:
            return True
        barrier = task.put_barrier()
        self.ensure_running()
        if (self.thread is None and self.is_closed) or not self.may_wait():
            return barrier.wait(0)
        return barrier.wait(self.stop_timeout if timeout is None else timeout)

    def wait_for_closed_engines(self) -> None:
        """Wait while many closed engines still work: a program that reconfigures in a loop must not outrun them."""
        give_up_at = time.monotonic() + _LONGEST_DELAY
        while len(_finishing) > _MAX_FINISHING and self.may_wait() and time.monotonic() < give_up_at:
            sleep(_NAP)

    # The end.

    def close(self, timeout: float | None = None) -> None:
        """Do everything that is queued, and end the thread; the calling threads do later work themselves.

        Waits at most ``timeout`` seconds, by default ``stop_timeout``; then prints on stderr how much is not done. Does
        not wait where the caller holds a lock that the task may want: the thread goes on until everything is done, and
        the exit of the program waits for it.
        """
        self.is_closed = True
        task = self.task
        if task is None or not (self.thread is not None or self._is_unreleased or task.has_work()):
            return
        seconds = self.stop_timeout if timeout is None else timeout
        is_awaited = self.may_wait()
        is_urgent = is_awaited or len(_finishing) > _MAX_FINISHING
        task.stop(_GRACE_PERIOD if is_awaited and self._has_timed_out else seconds, is_urgent=is_urgent)
        _finishing.add(self)
        thread = self.thread
        if thread is None and (is_awaited or not self._start_thread()):
            self._work_here()
        elif thread is not None and is_awaited:
            thread.join((_GRACE_PERIOD if self._has_timed_out else seconds) + _GRACE_PERIOD)
            self._has_timed_out = thread.is_alive()
        if is_awaited:
            self._report(task, seconds)

    def abandon(self) -> None:
        """Close without waiting: the owner has been dropped. A finalizer may call this."""
        task = self.task
        if task is None or self.is_closed or not (self.thread is not None or task.has_work()):
            return
        self.is_closed = True
        task.stop(self.stop_timeout, is_urgent=False)
        _finishing.add(self)
        if self.thread is None:
            try:
                # `threading.Thread.start` waits, and takes locks that this thread may hold.
                _thread.start_new_thread(self._work_here, ())
            except RuntimeError:
                self._work_here()

    def _report(self, task: T, seconds: float) -> None:
        pending = task.pending()
        if pending > self._reported:
            stderr.warn(task.describe_pending(pending, seconds))
        self._reported = pending

    # The thread.

    def _start_thread(self) -> bool:
        """Return whether there is a thread; one that a fork delays starts after the fork."""
        if is_forking():
            return True
        thread = WorkerThread(lambda: self._run(thread), self.name)
        self._adapt()
        try:
            if vars(self).setdefault("thread", thread) is not thread:
                return True
            # A fork that begins here sees the thread, and waits until it has started; or this sees the fork.
            if is_forking():
                self._forget(thread)
            else:
                thread.start()
        except RuntimeError:
            self._forget(thread)
            return False
        except BaseException:
            # A signal handler raised, perhaps before the thread started. If it has started, it ends immediately.
            if thread.native_id is None:
                self._forget(thread)
            raise
        return True

    def _forget(self, thread: WorkerThread) -> None:
        if self.thread is thread:  # Only its owner calls this.
            vars(self).pop("thread", None)

    def _adapt(self) -> None:
        """Make the locks safe that the thread shares with greenlets, once a library has patched this process."""
        if self._is_adapted or not is_patched():
            return
        if not isinstance(self._working, SharedRLock):
            self._working = SharedRLock()
        locks = self.task.locks() if self.task is not None else ()
        are_safe = [share(lock) for lock in (logging._lock, *locks)]  # type: ignore[attr-defined]
        self._is_adapted = all(are_safe)

    def _run(self, thread: WorkerThread) -> None:
        task = self.task
        assert task is not None
        try:
            with self._working:
                self._work(task, thread)
        finally:
            self._forget(thread)
        # What was queued at the last moment found a thread, which has ended. After a fork, `resume` looks.
        if not is_forking() and self.task is task and task.has_work():
            self.ensure_running()

    def _work(self, task: T, thread: WorkerThread) -> None:
        if not self._wait_for_earlier():
            return
        if self.is_closed and self not in _finishing:
            self._drain(task)  # for a thread that may not wait
            return
        while self.thread is thread and task.step() and not is_forking():
            self._adapt()
        if self.is_closed and self.thread is thread and not is_forking():
            self._finish(task)

    def _wait_for_earlier(self) -> bool:
        """Let closed engines write older records first; return False before a fork."""
        while any(map(_finishing.__contains__, self._earlier)) and time.monotonic() < self._wait_until:
            if is_forking():
                return False
            sleep(_NAP)
        self._earlier = []
        return True

    def _finish(self, task: T) -> None:
        """Release everything; the thread that works calls this after `close`."""
        if not task.has_work():
            self._report(task, self.stop_timeout)  # It has given up.
        task.release()
        self._is_unreleased = False
        _finishing.discard(self)

    def _work_here(self) -> None:
        """Work in this thread, unless it works already, or may not wait for the thread that does."""
        self._adapt()
        task = self.task
        if task is None:
            return
        for _ in range(2):  # Once more for a thread that may not wait, and came in between.
            if self.may_wait():
                with self._working:
                    self._drain(task)
            elif self._working.acquire(blocking=False):
                try:
                    self._drain(task)
                finally:
                    self._working.release()
            if not task.has_work():
                return

    def _drain(self, task: T) -> None:
        self._is_unreleased = self._is_unreleased or task.has_work()
        task.drain()
        if self in _finishing and not task.has_work():
            self._finish(task)

    # Forks and pickling.

    def prepare_fork(self) -> None:
        """Let the thread end after the current record."""
        if self.task is not None and self.thread is not None:
            self.task.interrupt()

    def park(self, timeout: float) -> None:
        """Wait for the end of the thread before this process forks, for at most ``timeout`` seconds."""
        thread, task = self.thread, self.task
        if thread is None or task is None:
            return
        seconds = min(timeout, task.park_timeout if self.may_wait() else _BLOCKED_PARK_TIMEOUT)
        give_up_at = time.monotonic() + seconds
        while thread.native_id is None and self.thread is thread and time.monotonic() < give_up_at:
            native_sleep(_NAP)  # Another thread is about to start it.
        thread.join(seconds, may_switch=False)

    def resume(self) -> None:
        """Continue in the parent after a fork."""
        task = self.task
        if task is not None and (task.has_work() or self in _finishing) and not self._start_thread():
            self._work_here()

    def restart_after_fork(self) -> None:
        """Start without a task in the child after a fork: the parent does what was queued."""
        _finishing.discard(self)
        if self.task is not None:
            with contextlib.suppress(OSError):
                self.task.detach_after_fork()
        self._begin_process()

    def __reduce__(self) -> tuple[Any, ...]:
        return Engine, (self.name, self.stop_timeout)

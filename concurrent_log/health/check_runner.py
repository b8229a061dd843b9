"""Runs one check, plain or async: within its time limit, and never twice at the same time."""

import asyncio
import inspect
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from concurrent_log.health.breaker import is_async
from concurrent_log.health.status import CheckFailed, Degraded
from concurrent_log.internal.fork_safe_lock import ForkSafeLock

_ThreadResult = asyncio.Future[tuple[Any, BaseException | None]]

# Returns anything but False if the service works; raises, or returns False, if it does not. It may be async.
Check = Callable[[], Any]


@dataclass(frozen=True)
class CheckOutcome:
    """The outcome of a check: its duration, and the exception that it raised, if any."""

    seconds: float
    error: BaseException | None = None

    @property
    def failure(self) -> BaseException | None:
        """The exception, unless it is only a warning."""
        return None if isinstance(self.error, Degraded) else self.error


class CheckRunner:
    """Runs a check: an async one in a task, a plain one in a daemon thread.

    When the time is over, a task is cancelled. A thread cannot be cancelled and keeps running. In both cases the check
    does not start again until it has ended.
    """

    def __init__(self, check: Check, clock: Callable[[], float]) -> None:
        self.task: asyncio.Task[float] | None = None
        self._check, self._clock = check, clock
        self._is_async = is_async(check)
        self._lock = ForkSafeLock()
        # The runs that have not ended: process id, and the loop of a task; None for a thread.
        self._running: set[tuple[int, asyncio.AbstractEventLoop | None]] = set()
        self._is_overdue = False

    @property
    def is_running(self) -> bool:
        """True while the check runs, within its time limit or overdue."""
        process = os.getpid()
        # A loop that was closed without ending its tasks never ends them.
        return any(where == process and not (loop and loop.is_closed()) for where, loop in self._running.copy())

    async def run(self, timeout: float) -> CheckOutcome | None:
        """Run the check, and return its outcome; None if another task or thread is running it."""
        if not self._claim():
            return CheckOutcome(0.0, CheckFailed("the previous check has not ended yet")) if self._is_overdue else None
        self._is_overdue = False
        began = self._clock()
        self.task = asyncio.create_task(self._call(), name="concurrent_log check")
        self.task.add_done_callback(self._task_ended)
        try:
            await asyncio.wait({self.task}, timeout=timeout)
        finally:
            if not self.task.done():
                self._is_overdue = True
                self.task.cancel()
        if not self.task.done():
            return CheckOutcome(self._clock() - began, CheckFailed(f"timed out after {timeout:g} s"))
        if self.task.cancelled():
            return CheckOutcome(self._clock() - began, CheckFailed("the check cancelled itself"))
        error = self.task.exception()
        if error is None:
            return CheckOutcome(self.task.result())
        return CheckOutcome(self._clock() - began, _as_failure(error))

    def _claim(self) -> bool:
        """Register a new run, unless the check runs in this process; return whether it was registered."""
        with self._lock.for_this_process():
            if self.is_running:
                return False
            self._running = {(os.getpid(), asyncio.get_running_loop())}
            return True

    def _task_ended(self, task: "asyncio.Task[float]") -> None:
        self._running.discard((os.getpid(), task.get_loop()))
        if not task.cancelled():
            task.exception()  # Retrieved, because asyncio logs the exceptions of tasks that no code retrieves.

    async def _call(self) -> float:
        """Call the check, and return its duration in seconds."""
        began = self._clock()
        try:
            result = await (self._check() if self._is_async else self._call_in_thread())
            if inspect.isawaitable(result):
                result = await result
        except (SystemExit, KeyboardInterrupt) as error:  # They would end the event loop.
            if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise  # Ctrl-C
            raise _as_failure(error) from None
        if result is False:
            raise CheckFailed("the check returned False")
        return self._clock() - began

    async def _call_in_thread(self) -> Any:
        loop = asyncio.get_running_loop()
        ended: _ThreadResult = loop.create_future()
        thread = threading.Thread(target=self._run_thread, args=(loop, ended), name="concurrent_log check", daemon=True)
        running = os.getpid(), None
        self._running.add(running)
        try:
            thread.start()
        except BaseException:
            self._running.discard(running)
            raise
        try:
            result, error = await asyncio.shield(ended)
        except BaseException:
            ended.add_done_callback(lambda _: _discard(ended.result()[0]))
            raise
        if error is not None:
            raise _as_failure(error)
        return result

    def _run_thread(self, loop: asyncio.AbstractEventLoop, ended: _ThreadResult) -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = self._check()
        except BaseException as caught:
            error = caught
        self._running.discard((os.getpid(), None))
        try:
            loop.call_soon_threadsafe(ended.set_result, (result, error))
        except RuntimeError:  # The loop was closed in the meantime.
            _discard(result)


def _as_failure(error: BaseException) -> BaseException:
    """Return an exception that counts as a failure: circuit breakers ignore those that are not an `Exception`."""
    if isinstance(error, (Exception, asyncio.CancelledError)):
        return error
    if isinstance(error, SystemExit):
        return CheckFailed("the check tried to exit the program")
    return CheckFailed(f"the check was interrupted by {type(error).__name__}")


def _discard(result: Any) -> None:
    """Close a coroutine that an overdue check returned: no code awaits it any longer."""
    if inspect.iscoroutine(result):
        result.close()

"""Running one check, plain or async: in time, never twice at once, and whatever it does."""

import asyncio
import inspect
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from concurrent_log.health.breaker import is_async
from concurrent_log.health.event_queue import OwnLock
from concurrent_log.health.status import CheckFailed, Degraded

_Ended = asyncio.Future[tuple[Any, BaseException | None]]

# Returns when the service works: nothing, or anything but False; raises where it does not. It may be async.
Check = Callable[[], Any]


@dataclass(frozen=True)
class Outcome:
    """What became of a check: how long it took, and what it raised, if anything."""

    seconds: float
    error: BaseException | None = None

    @property
    def failure(self) -> BaseException | None:
        """What it raised, unless that was only a warning."""
        return None if isinstance(self.error, Degraded) else self.error


class CheckRunner:
    """Runs a check: an async one in a task, a plain one in a thread of its own, which keeps nobody from ending.

    Where it is not done in time, a task is cancelled; a thread cannot be, and is left alone. It is not begun again
    until it has ended.
    """

    def __init__(self, check: Check, clock: Callable[[], float]) -> None:
        self.task: asyncio.Task[float] | None = None
        self._check, self._clock = check, clock
        self._is_async = is_async(check)
        self._lock = OwnLock()
        # What has not ended: in which process, and a task in which loop; a thread in none.
        self._running: set[tuple[int, asyncio.AbstractEventLoop | None]] = set()
        self._is_late = False

    @property
    def is_running(self) -> bool:
        """Whether the check runs now, in time or late."""
        process = os.getpid()
        # A loop that was closed without ending its tasks will never do so.
        return any(where == process and not (loop and loop.is_closed()) for where, loop in self._running.copy())

    async def run(self, timeout: float) -> Outcome | None:
        """Run the check, and return what became of it; None if another task or thread is just running it."""
        if not self._take_turn():
            return Outcome(0.0, CheckFailed("its last check has not ended yet")) if self._is_late else None
        self._is_late = False
        began = self._clock()
        self.task = asyncio.create_task(self._called(), name="concurrent_log check")
        self.task.add_done_callback(self._task_ended)
        try:
            await asyncio.wait({self.task}, timeout=timeout)
        finally:
            if not self.task.done():
                self._is_late = True
                self.task.cancel()
        if not self.task.done():
            return Outcome(self._clock() - began, CheckFailed(f"timed out after {timeout:g} s"))
        if self.task.cancelled():
            return Outcome(self._clock() - began, CheckFailed("its check cancelled itself"))
        error = self.task.exception()
        return Outcome(self.task.result()) if error is None else Outcome(self._clock() - began, _as_failure(error))

    def _take_turn(self) -> bool:
        """Return whether nothing of this check runs in this process, and if so, note that its task does."""
        with self._lock.mine():
            if self.is_running:
                return False
            self._running = {(os.getpid(), asyncio.get_running_loop())}
            return True

    def _task_ended(self, task: "asyncio.Task[float]") -> None:
        self._running.discard((os.getpid(), task.get_loop()))
        if not task.cancelled():
            task.exception()  # If it ends after its time, nobody else asks, and asyncio would complain.

    async def _called(self) -> float:
        """Call the check, and return how many seconds it took."""
        began = self._clock()
        try:
            result = await (self._check() if self._is_async else self._in_thread())
            if inspect.isawaitable(result):
                result = await result
        except (SystemExit, KeyboardInterrupt) as error:  # They would end the loop.
            if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise  # Ctrl-C
            raise _as_failure(error) from None
        if result is False:
            raise CheckFailed("its check returned False")
        return self._clock() - began

    async def _in_thread(self) -> Any:
        loop = asyncio.get_running_loop()
        ended: _Ended = loop.create_future()
        thread = threading.Thread(target=self._thread, args=(loop, ended), name="concurrent_log check", daemon=True)
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
            ended.add_done_callback(lambda _: _drop(ended.result()[0]))
            raise
        if error is not None:
            raise _as_failure(error)
        return result

    def _thread(self, loop: asyncio.AbstractEventLoop, ended: _Ended) -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = self._check()
        except BaseException as caught:
            error = caught
        self._running.discard((os.getpid(), None))
        try:
            loop.call_soon_threadsafe(ended.set_result, (result, error))
        except RuntimeError:  # The loop has been closed meanwhile.
            _drop(result)


def _as_failure(error: BaseException) -> BaseException:
    """Return ``error`` as what fails a check, and counts: breakers pass over what is no `Exception`."""
    if isinstance(error, (Exception, asyncio.CancelledError)):
        return error
    if isinstance(error, SystemExit):
        return CheckFailed("its check tried to end the program")
    return CheckFailed(f"its check was interrupted by {type(error).__name__}")


def _drop(result: Any) -> None:
    """Close the coroutine that a plain check has returned too late: it will never be awaited."""
    if inspect.iscoroutine(result):
        result.close()

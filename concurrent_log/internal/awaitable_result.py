"""The result of work that must not block an event loop: it may be awaited, but does not have to be.

The loop may be that of asyncio, uvloop, trio, or anyio on one of them.
"""

import contextlib
import sys
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future
from typing import Any

from concurrent_log.internal.threads import WorkerThread


class AwaitableResult(Coroutine[Any, Any, bool]):
    """The result of work that runs, or has finished, whether or not it is awaited: True if it succeeded in time.

    As a truth value: whether the work has finished and succeeded.
    """

    def __init__(self, future: "Future[bool]") -> None:
        self._future = future
        self._steps: Generator[Any, Any, bool] | None = None

    def __bool__(self) -> bool:
        return self._future.done() and self._future.result()

    def __await__(self) -> Generator[Any, Any, bool]:
        if not self._future.done():
            yield from _wait_in_trio(self._future) if _runs_trio() else _wait_in_asyncio(self._future)
        return self._future.result()

    # A coroutine, because `asyncio.run` and `asyncio.create_task` accept nothing else.

    def send(self, value: Any) -> Any:
        """Continue, as a coroutine does."""
        self._steps = self._steps or self.__await__()
        return self._steps.send(value)

    def throw(self, *error: Any) -> Any:
        """Continue with an error, such as a cancellation; the work itself continues."""
        self._steps = self._steps or self.__await__()
        return self._steps.throw(*error)

    def close(self) -> None:
        """Stop waiting."""
        if self._steps is not None:
            self._steps.close()


def run_without_blocking_loop(work: Callable[[], bool]) -> AwaitableResult:
    """Do ``work`` in this thread; in a new thread, if this one runs an event loop, which must not block."""
    future: Future[bool] = Future()
    future.set_running_or_notify_cancel()  # A caller that stops waiting cannot cancel the work.
    if _runs_asyncio() or _runs_trio():
        with contextlib.suppress(RuntimeError):  # The interpreter is shutting down, and starts no thread.
            WorkerThread(lambda: _run(work, future), "concurrent_log flushing").start()
            return AwaitableResult(future)
    _run(work, future)
    return AwaitableResult(future)


def _run(work: Callable[[], bool], future: "Future[bool]") -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)
        raise


def _runs_asyncio() -> bool:
    events: Any = sys.modules.get("asyncio.events")
    return events is not None and events._get_running_loop() is not None


def _runs_trio() -> bool:
    trio: Any = sys.modules.get("trio")
    if trio is None or _runs_asyncio():
        return False
    try:
        trio.lowlevel.current_trio_token()
    except RuntimeError:
        return False
    return True


def _wait_in_asyncio(future: "Future[bool]") -> Generator[Any, Any, Any]:
    import asyncio

    yield from asyncio.wrap_future(future)


def _wait_in_trio(future: "Future[bool]") -> Generator[Any, Any, Any]:
    trio: Any = sys.modules["trio"]
    token, event = trio.lowlevel.current_trio_token(), trio.Event()

    def notify(_: object) -> None:
        with contextlib.suppress(trio.RunFinishedError):
            token.run_sync_soon(event.set)

    future.add_done_callback(notify)
    yield from event.wait().__await__()

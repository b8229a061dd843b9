"""The result of `AsyncLogClient.flush` and `AsyncLogClient.close`: it may be awaited, but does not have to be."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future
from typing import Any


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
        if self._future.done():
            return self._future.result()
        return (yield from asyncio.wrap_future(self._future))

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
    if asyncio._get_running_loop() is not None:
        with contextlib.suppress(RuntimeError):  # The interpreter is shutting down, and starts no thread.
            threading.Thread(target=_run, args=(work, future), name="concurrent_log flushing", daemon=True).start()
            return AwaitableResult(future)
    _run(work, future)
    return AwaitableResult(future)


def _run(work: Callable[[], bool], future: "Future[bool]") -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)
        raise

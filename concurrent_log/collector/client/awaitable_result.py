"""What `AsyncLogClient.flush` and `close` return: something that may be awaited, and need not be."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future
from typing import Any


class Outcome(Coroutine[Any, Any, bool]):
    """Whether something was done in time. It is under way, or over, whether or not it is awaited.

    As a truth value: whether it is over, and succeeded.
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

    # A coroutine, since `asyncio.run` and `asyncio.create_task` take nothing else.

    def send(self, value: Any) -> Any:
        """Go on, as a coroutine does."""
        self._steps = self._steps or self.__await__()
        return self._steps.send(value)

    def throw(self, *error: Any) -> Any:
        """Go on with an error, such as that of being cancelled; what is under way goes on anyhow."""
        self._steps = self._steps or self.__await__()
        return self._steps.throw(*error)

    def close(self) -> None:
        """Wait no longer."""
        if self._steps is not None:
            self._steps.close()


def without_blocking_a_loop(work: Callable[[], bool]) -> Outcome:
    """Do ``work`` here and now; in a thread, where an event loop is running here that must not wait for it."""
    future: Future[bool] = Future()
    future.set_running_or_notify_cancel()  # Who does not wait any longer cancels nothing.
    if asyncio._get_running_loop() is not None:
        with contextlib.suppress(RuntimeError):  # The interpreter is ending, and starts no thread.
            threading.Thread(target=_do, args=(work, future), name="concurrent_log flushing", daemon=True).start()
            return Outcome(future)
    _do(work, future)
    return Outcome(future)


def _do(work: Callable[[], bool], future: "Future[bool]") -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)
        raise

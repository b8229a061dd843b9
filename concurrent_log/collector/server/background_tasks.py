"""Tasks that repeat in the background; none ends because of an exception."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from concurrent_log.collector.store.interface import full_reason
from concurrent_log.internal import stderr

_RETRY_INTERVAL = 30.0  # seconds after a failure


@dataclass
class TaskState:
    """The state of a task: when it last succeeded, in seconds since 1970; and why it failed after that."""

    last_success: float | None = None
    error: str | None = None


class BackgroundTasks:
    """Tasks by their names; use it in one event loop.

    Attributes:
        states: The state of each task.
    """

    def __init__(self) -> None:
        self.states: dict[str, TaskState] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._events: list[asyncio.Event] = []

    def start(self, name: str, action: Callable[[], Awaitable[Any]], interval: float) -> None:
        """Call ``action`` now and every ``interval`` seconds; after any exception, again after some seconds."""
        self.states[name] = TaskState()
        self._events.append(asyncio.Event())
        self._tasks.append(asyncio.create_task(self._repeat(name, action, interval, self._events[-1])))

    def wake(self) -> None:
        """Let all tasks run now."""
        for event in self._events:
            event.set()

    async def stop(self) -> None:
        """Cancel all tasks, and wait for their end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _repeat(
        self, name: str, action: Callable[[], Awaitable[Any]], interval: float, event: asyncio.Event
    ) -> None:
        state = self.states[name]
        while True:
            event.clear()
            try:
                await action()
            except Exception as error:
                reason = full_reason(error)
                if reason != state.error:
                    stderr.warn(f"the task {name!r} failed, and is tried again: {reason}")
                state.error = reason
            else:
                state.last_success, state.error = time.time(), None
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(
                    event.wait(), interval if state.error is None else min(interval, _RETRY_INTERVAL)
                )

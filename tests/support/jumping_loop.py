"""An event loop with a virtual clock that jumps to the next timer, so that hours pass at once and in a fixed order."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):  # type: ignore[misc, valid-type] # a class that depends on the system
    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0 if timeout else timeout)
        if not events and timeout:
            self.now += timeout
        return events


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop for coroutines that wait only for timers."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        """Return the virtual seconds since the start of the loop."""
        return self._clock.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` in such a loop, and assert that it leaves no task behind."""
    loop = JumpingLoop()
    try:
        result = loop.run_until_complete(main)
        remaining = asyncio.all_tasks(loop)
        assert not remaining, remaining
        return result
    finally:
        loop.close()

"""An event loop whose time jumps to what comes next: hours of it pass at once, and always in the same order."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):  # type: ignore[misc, valid-type] # it is chosen by the system
    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0 if timeout else timeout)
        if not events and timeout:
            self.now += timeout
        return events


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop for coroutines that wait for nothing but time."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        """Return the seconds that have passed since its beginning."""
        return self._clock.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` in such a loop; a task that it leaves behind is a mistake."""
    loop = JumpingLoop()
    try:
        result = loop.run_until_complete(main)
        left = asyncio.all_tasks(loop)
        assert not left, left
        return result
    finally:
        loop.close()

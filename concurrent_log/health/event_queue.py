"""A queue that passes events to a callback in the order in which they happened."""

import os
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from concurrent_log.internal.fork_safe_lock import ForkSafeLock

T = TypeVar("T")


class EventQueue(Generic[T]):
    """Passes events to ``callback`` in order, one at a time, while the owner of the queue holds no lock.

    The callback may therefore call or change the owner, for example through a logging handler. The events that this
    causes are dispatched after the current one. Safe for threads, signal handlers and forks.
    """

    def __init__(self, callback: Callable[[T], None]) -> None:
        self._callback = callback
        self._pending: deque[T] = deque()
        self._lock = ForkSafeLock()
        self._dispatcher: tuple[int, object] | None = None  # process id, and a unique object for each `dispatch`

    def add(self, event: T) -> None:
        """Add an event. Call this with the owner's lock held, so that events are in the order they happened."""
        self._pending.append(event)

    def dispatch(self) -> None:
        """Pass all pending events to the callback, unless another call is doing so. Hold no lock of the owner."""
        me = os.getpid(), object()
        while self._pending:
            try:
                if not self._claim(me):
                    return
                while self._pending:
                    self._callback(self._pending.popleft())
            finally:
                if self._dispatcher is me:  # No function is called here, so no signal handler can raise in between.
                    self._dispatcher = None

    def _claim(self, me: tuple[int, object]) -> bool:
        """Become the dispatcher of this process, unless there is one; return whether this call is the dispatcher."""
        with self._lock.for_this_process():
            if self._dispatcher is None or self._dispatcher[0] != me[0]:
                self._dispatcher = me
            return self._dispatcher is me

"""What objects shared by threads need, also after a fork: a lock, and news that come out in the order they happened."""

import os
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class OwnLock:
    """A re-entrant lock of this process: one that a parent held at the fork does not hold up the child."""

    def __init__(self) -> None:
        self._locks = {os.getpid(): threading.RLock()}

    def acquire(self, blocking: bool = True) -> bool:
        """Take the lock, and return whether that succeeded."""
        return self._lock().acquire(blocking)

    def release(self) -> None:
        """Give it back."""
        self._lock().release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.release()

    def _lock(self) -> "threading.RLock":
        process = os.getpid()
        return self._locks.get(process) or self._locks.setdefault(process, threading.RLock())


class News(Generic[T]):
    """A queue that hands each item to ``tell``, in order and never two at once, while no lock of its owner is held.

    So ``tell`` may do anything, such as logging through a handler that itself asks the owner.
    """

    def __init__(self, tell: Callable[[T], None]) -> None:
        self._tell = tell
        self._waiting: deque[T] = deque()
        self._telling = OwnLock()

    def add(self, item: T) -> None:
        """Add an item; to be called with the owner's lock held, so that items come in the order they happened."""
        self._waiting.append(item)

    def tell(self) -> None:
        """Tell what waits, unless another thread is just doing so; to be called without the owner's lock."""
        while self._waiting and self._telling.acquire(blocking=False):
            try:
                while self._waiting:
                    self._tell(self._waiting.popleft())
            finally:
                self._telling.release()

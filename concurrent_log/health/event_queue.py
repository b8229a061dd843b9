"""What objects shared by threads need, also after a fork: a lock, and news that come out in the order they happened."""

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class OwnLock:
    """A re-entrant lock of this process: one that a parent held at the fork does not hold up the child.

    Take it by ``with lock.mine():`` only. The lock itself is entered and left without a line of Python in between, at
    which a signal handler could raise, such as that of Ctrl-C, and leave the lock taken for ever.
    """

    def __init__(self) -> None:
        self._locks = {os.getpid(): threading.RLock()}

    def mine(self) -> "threading.RLock":
        """Return the lock of this process."""
        process = os.getpid()
        return self._locks.get(process) or self._locks.setdefault(process, threading.RLock())


class News(Generic[T]):
    """A queue that hands each item to ``tell``, in order and never two at once, while no lock of its owner is held.

    So ``tell`` may do anything, such as logging through a handler that itself asks the owner, or changes it: what comes
    of that is told after it.
    """

    def __init__(self, tell: Callable[[T], None]) -> None:
        self._tell = tell
        self._waiting: deque[T] = deque()
        self._lock = OwnLock()
        self._teller: tuple[int, object] | None = None  # in which process somebody is telling, and who

    def add(self, item: T) -> None:
        """Add an item; to be called with the owner's lock held, so that items come in the order they happened."""
        self._waiting.append(item)

    def tell(self) -> None:
        """Tell what waits, unless somebody is just doing so; to be called without the owner's lock."""
        me = os.getpid(), object()
        while self._waiting:
            try:
                if not self._is_my_turn(me):
                    return
                while self._waiting:
                    self._tell(self._waiting.popleft())
            finally:
                if self._teller is me:  # Nothing is called here, so no signal handler can raise in between.
                    self._teller = None

    def _is_my_turn(self, me: tuple[int, object]) -> bool:
        """Become the one who tells, unless there is one in this process."""
        with self._lock.mine():
            if self._teller is None or self._teller[0] != me[0]:
                self._teller = me
            return self._teller is me

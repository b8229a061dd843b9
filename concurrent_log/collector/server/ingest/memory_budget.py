"""How much the server holds at once, whoever asks for more."""

import threading
from types import TracebackType

from concurrent_log.collector.server.errors import Problem


class Budget:
    """Bytes, and requests, that may be held at once; safe for threads."""

    def __init__(self, most_bytes: int, most_requests: int) -> None:
        self._left = most_bytes
        self._requests_left = most_requests
        self._lock = threading.Lock()

    def lease(self) -> "Lease":
        """Return a lease for one request, to be used with ``with``."""
        return Lease(self)

    def begin(self) -> None:
        """Let a request begin, or raise `Problem` 429 where there are too many."""
        with self._lock:
            if self._requests_left <= 0:
                raise _busy()
            self._requests_left -= 1

    def take(self, count: int) -> None:
        """Take ``count`` bytes, or raise `Problem` 429."""
        with self._lock:
            if count > self._left:
                raise _busy()
            self._left -= count

    def give_back(self, count: int, requests: int = 0) -> None:
        """Give back what was taken."""
        with self._lock:
            self._left += count
            self._requests_left += requests


class Lease:
    """What one request holds of a budget; all of it is given back at the end."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._held = 0
        self._requests = 0

    def begin(self) -> None:
        """Let the request begin, of which all has come; or raise `Problem` 429."""
        self._budget.begin()
        self._requests = 1

    def hold(self, count: int) -> None:
        """Hold ``count`` bytes more, or raise `Problem` 429."""
        self._budget.take(count)
        self._held += count

    def __enter__(self) -> "Lease":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._budget.give_back(self._held, self._requests)
        self._held = self._requests = 0


def _busy() -> Problem:
    return Problem(429, "the server holds as much as it may until the store has caught up: send it again", wait=1)

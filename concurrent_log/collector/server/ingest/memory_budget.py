"""Limits the memory, and the number of requests, that all uploads together may use."""

import threading
from types import TracebackType

from concurrent_log.collector.server.errors import Problem


class MemoryBudget:
    """A limit on bytes and on requests in progress; thread-safe."""

    def __init__(self, max_bytes: int, max_requests: int) -> None:
        self._free_bytes = max_bytes
        self._free_requests = max_requests
        self._lock = threading.Lock()

    def lease(self) -> "MemoryLease":
        """Return a lease for one request; use it as a context manager."""
        return MemoryLease(self)

    def add_request(self) -> None:
        """Count a request, or raise `Problem` 429."""
        with self._lock:
            if self._free_requests <= 0:
                raise _overloaded()
            self._free_requests -= 1

    def reserve(self, count: int) -> None:
        """Reserve ``count`` bytes, or raise `Problem` 429."""
        with self._lock:
            if count > self._free_bytes:
                raise _overloaded()
            self._free_bytes -= count

    def release(self, count: int, requests: int = 0) -> None:
        """Release reserved bytes and counted requests."""
        with self._lock:
            self._free_bytes += count
            self._free_requests += requests


class MemoryLease:
    """The share of one request in a budget; it is released at the end of the ``with`` block."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._bytes = 0
        self._requests = 0

    def add_request(self) -> None:
        """Count the request, or raise `Problem` 429."""
        self._budget.add_request()
        self._requests = 1

    def reserve(self, count: int) -> None:
        """Reserve ``count`` more bytes, or raise `Problem` 429."""
        self._budget.reserve(count)
        self._bytes += count

    def __enter__(self) -> "MemoryLease":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._budget.release(self._bytes, self._requests)
        self._bytes = self._requests = 0


class WeightLimit:
    """A limit on the memory of the records of one request, which a lease reserves.

    Args:
        max_weight: Maximum number of bytes.
        lease: Reserves them.
    """

    def __init__(self, max_weight: int, lease: MemoryLease) -> None:
        self._left = max_weight
        self._lease = lease

    def add(self, weight: int) -> None:
        """Reserve ``weight`` more bytes, or raise `Problem`."""
        self._left -= weight
        if self._left < 0:
            raise Problem(413, "the records need too much memory: send less at once")
        self._lease.reserve(weight)


def _overloaded() -> Problem:
    return Problem(429, "the server has reached its limit of pending data: send the batch again", retry_after=1)

"""Size grants: how many processes keep one file below ``maxBytes`` without checking its size for each record.

Each handler requests a grant, a number of bytes that it may append. The grants of all handlers together stay below
the limit. They are stored in the lock file, after the shared state.
"""

import os
import time

from concurrent_log.files.lock_file import LOCK_EXCLUSIVE, UNLOCK, flock
from concurrent_log.files.open_file import OpenFileHandler
from concurrent_log.files.shared_state import State
from concurrent_log.files.streams import raw_file

_WRITERS = 4  # the estimated number of handlers that write the file, at a handler's first request
_MAX_WRITERS = 1000
_PAUSES = (0.0, 0.000_05, 0.000_2, 0.001)  # seconds before each attempt to lock the log file for a request
_UNLIMITED = float("inf")


class LimitedFileHandler(OpenFileHandler):
    """Base class: requests and uses the handler's grant."""

    def _reset_grants(self) -> None:
        """Start without a grant."""
        self._granted_bytes: float = _UNLIMITED
        self._grant_key: tuple[bytes, int, int] | None = None
        self._last_request = 0

    def _max_file_size(self) -> int:
        """Return the size in bytes that a file reaches only with a single record; 0 for no limit."""
        raise NotImplementedError

    def _is_full(self, status: os.stat_result, size: int) -> bool:
        """Return whether ``size`` more bytes exceed the limit; an empty file accepts a record of any size."""
        return status.st_size > 0 and 0 < self._max_file_size() <= status.st_size + size

    def _write_state(self, start: int, status: os.stat_result) -> tuple[State, bytes]:
        """Write the next state for the file with this ``status``, and return it with its bytes."""
        before = State.from_bytes(self._lock_file.read_state())
        generation = before.generation + 1 if before else time.time_ns()
        state = State(generation % 2**64, start, status.st_ino)
        return state, self._lock_file.write_state(state, status.st_size)

    def _use_grant(self, size: int) -> bool:
        """Use ``size`` bytes of the grant, and return whether it is large enough."""
        remaining = self._granted_bytes - size
        if remaining < 0:
            return False
        self._granted_bytes = remaining
        return True

    def _has_grant(self, content: bytes, size: int) -> bool:
        """Return whether the grant, for the file whose state is ``content``, has ``size`` more bytes."""
        limit = self._max_file_size()
        return not limit or (self._grant_key == (content, self._pid, limit) and self._granted_bytes >= size)

    def _ensure_grant(self, state: State, content: bytes, status: os.stat_result, size: int) -> bytes:
        """Get a grant of at least ``size`` bytes under the exclusive lock, and return the bytes of the state.

        When the grants reach the limit, a new state revokes the unused ones, and the other handlers request new ones.
        """
        if not self._max_file_size() or self._is_full(status, size):
            # In the second case a rollover failed: all handlers continue in this file and retry after a second.
            self._grant_key, self._granted_bytes = None, _UNLIMITED
        elif not self._request_grant(content, status, size):
            _, content = self._write_state(state.start, status)
            self._request_grant(content, status, size, forced=True)
        return content

    def _request_grant_shared(self, content: bytes, status: os.stat_result, size: int) -> bool:
        """Request a grant under the shared lock; return False if the exclusive lock is needed.

        A lock on the log file itself, held only for a moment, serializes the requests of several handlers.
        """
        raw = raw_file(self.stream)
        if raw is None or self._stream_is_inherited:
            return False
        for pause in _PAUSES:
            time.sleep(pause)
            try:
                flock(raw.fileno(), LOCK_EXCLUSIVE)
                return self._lock_file.is_writable() and self._request_grant(content, status, size)
            except BlockingIOError:
                continue
            finally:
                flock(raw.fileno(), UNLOCK)
        return False

    def _request_grant(self, content: bytes, status: os.stat_result, size: int, *, forced: bool = False) -> bool:
        """Request a grant, and return whether the file has room; ``forced`` for a record larger than the limit."""
        limit = self._max_file_size()
        left = int(self._granted_bytes) if self._has_grant(content, 0) else 0
        granted, requests = self._lock_file.read_grants() or (limit, 0)
        if granted + size - left >= limit and not forced:
            return False
        granted = max(granted, status.st_size + left)
        # If all writers request a grant, together they get half of the rest.
        share = (limit - 1 - granted) // (2 * self._estimate_writers(requests)) if self._can_share_lock() else 0
        share = max(share, size - left)
        self._lock_file.write_grants(granted + share, requests + 1)
        self._last_request = requests + 1
        self._grant_key, self._granted_bytes = (content, self._pid, limit), left + share
        return True

    def _estimate_writers(self, requests: int) -> int:
        """Estimate how many handlers write the file: one that writes as much as this one requests as often."""
        others = requests - self._last_request if self._last_request else _WRITERS - 1
        return others + 1 if 0 <= others < _MAX_WRITERS else _WRITERS

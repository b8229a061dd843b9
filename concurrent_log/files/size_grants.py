"""A file of limited size, to which many processes append: who may append how much.

Each handler is granted a part of what the file has left, and appends that without asking how large the file has
become, since the sum of what all were granted stays below the limit. What was granted stands in the lock file, behind
the state.
"""

import os
import time

from concurrent_log.files.lock_file import EXCLUSIVE_AT_ONCE, UNLOCK, flock
from concurrent_log.files.open_file import OpenFileHandler
from concurrent_log.files.shared_state import State
from concurrent_log.files.streams import raw_file

_WRITERS = 4  # how many handlers are taken to write the file, by one that asks for the first time
_MOST_WRITERS = 1000
_PAUSES = (0.0, 0.000_05, 0.000_2, 0.001)  # seconds before each try to be the one who is granted something
_UNLIMITED = float("inf")


class LimitedFileHandler(OpenFileHandler):
    """What a handler was granted of its file; not of use on its own."""

    def _forget_grants(self) -> None:
        """Begin without a grant."""
        self._room: float = _UNLIMITED
        self._grant: tuple[bytes, int, int] | None = None
        self._asked = 0

    def _largest_size(self) -> int:
        """Return how many bytes no file may reach, but by a single record; 0 where there is no limit."""
        raise NotImplementedError

    def _is_full(self, found: os.stat_result, size: int) -> bool:
        """Return whether ``size`` more bytes are too many; a record that is too large alone has a file of its own."""
        return found.st_size > 0 and 0 < self._largest_size() <= found.st_size + size

    def _publish(self, start: int, found: os.stat_result) -> tuple[State, bytes]:
        before = State.from_bytes(self._lock_file.read())
        generation = before.generation + 1 if before else time.time_ns()
        state = State(generation % 2**64, start, found.st_ino)
        return state, self._lock_file.write(state, found.st_size)

    def _spend(self, size: int) -> bool:
        """Use ``size`` bytes of what this handler was granted, and return whether it was granted so much."""
        room = self._room - size
        if room < 0:
            return False
        self._room = room
        return True

    def _has_room(self, content: bytes, size: int) -> bool:
        """Return whether this handler was granted ``size`` more bytes of the file that ``content`` is the state of."""
        limit = self._largest_size()
        return not limit or (self._grant == (content, self._pid, limit) and self._room >= size)

    def _reserve(self, state: State, content: bytes, found: os.stat_result, size: int) -> bytes:
        """Have ``size`` bytes granted, and some for records to come, and return the bytes of the state.

        When the sum of what was granted reaches the limit, what others have not used is taken back, with a new state
        that makes them ask again.
        """
        if not self._largest_size() or self._is_full(found, size):
            # In the second case a rollover failed: everybody goes on in this file, and tries again in a second.
            self._grant, self._room = None, _UNLIMITED
        elif not self._ask(content, found, size):
            _, content = self._publish(state.start, found)
            self._ask(content, found, size, anyway=True)
        return content

    def _reserve_beside_others(self, content: bytes, found: os.stat_result, size: int) -> bool:
        """Have room granted under the shared lock; return False where only the exclusive lock will do.

        Those who ask at the same time are kept apart by a lock on the log file itself, which nobody holds for long.
        """
        raw = raw_file(self.stream)
        if raw is None or self._is_inherited:
            return False
        for pause in _PAUSES:
            time.sleep(pause)
            try:
                flock(raw.fileno(), EXCLUSIVE_AT_ONCE)
                return self._lock_file.is_writable() and self._ask(content, found, size)
            except BlockingIOError:
                continue
            finally:
                flock(raw.fileno(), UNLOCK)
        return False

    def _ask(self, content: bytes, found: os.stat_result, size: int, *, anyway: bool = False) -> bool:
        """Have room granted, and return whether there was enough; ``anyway`` for a record larger than the file."""
        limit = self._largest_size()
        left = int(self._room) if self._has_room(content, 0) else 0
        granted, asked = self._lock_file.grants() or (limit, 0)
        if granted + size - left >= limit and not anyway:
            return False
        granted = max(granted, found.st_size + left)
        # If all writers ask, they are granted half of what is left.
        share = (limit - 1 - granted) // (2 * self._writers(asked)) if self._may_share() else 0
        share = max(share, size - left)
        self._lock_file.grant(granted + share, asked + 1)
        self._asked = asked + 1
        self._grant, self._room = (content, self._pid, limit), left + share
        return True

    def _writers(self, asked: int) -> int:
        """Estimate how many handlers write the file: who writes as much as we do asks as often."""
        others = asked - self._asked if self._asked else _WRITERS - 1
        return others + 1 if 0 <= others < _MOST_WRITERS else _WRITERS

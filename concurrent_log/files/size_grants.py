"""How much a handler may append to a file of limited size without asking for the size of the file.

Each handler is granted a part of the room that the file has left. The sum of all grants stays below the limit. The
lock file stores, after the state, up to which size the file is granted.
"""

from collections.abc import Callable
from os import stat_result

from concurrent_log.files.lock_file import LOCK_EXCLUSIVE, UNLOCK, LockFile, flock
from concurrent_log.files.log_file import LogFile
from concurrent_log.files.shared_state import State
from concurrent_log.files.streams import raw_file, status_of
from concurrent_log.internal.shared_lock import sleep_holding

_WRITERS = 4  # the number of handlers that the first request for a grant assumes
_MOST_WRITERS = 1000
_PAUSES = (0.0, 0.000_05, 0.000_2, 0.001)  # seconds before each attempt to lock the log file for a grant
_UNLIMITED = float("inf")

Publish = Callable[[int, stat_result], tuple[State, bytes]]


class SizeGrants:
    """The grants of one handler.

    Args:
        publish: Publishes a new state for the log file, with that ``start``.
        limit: Returns the size in bytes that no file may reach, except with a single record; 0 is no limit.
    """

    def __init__(self, log_file: LogFile, lock_file: LockFile, publish: Publish, limit: Callable[[], int]) -> None:
        self._log_file = log_file
        self._lock_file = lock_file
        self._publish = publish
        self.limit = limit
        self._room: float = _UNLIMITED
        self._grant: tuple[bytes, int, int] | None = None
        self._requests = 0

    def is_full(self, found: stat_result, size: int) -> bool:
        """Return whether ``size`` more bytes are too many; a record that is too large has a file of its own."""
        return found.st_size > 0 and 0 < self.limit() <= found.st_size + size

    def spend(self, size: int) -> bool:
        """Use ``size`` bytes of the grant, and return whether it was large enough."""
        room = self._room - size
        if room < 0:
            return False
        self._room = room
        return True

    def use(self, size: int) -> None:
        """Use ``size`` bytes, granted or not."""
        self._room -= size

    def covers(self, content: bytes, size: int) -> bool:
        """Return whether the grant for the file with the state ``content`` has ``size`` bytes left."""
        limit = self.limit()
        return not limit or (self._grant == (content, self._log_file.pid, limit) and self._room >= size)

    def reserve(self, state: State, content: bytes, found: stat_result, size: int) -> bytes:
        """Get a grant for ``size`` bytes, and some for later records; return the bytes of the state.

        The exclusive lock is held. When the sum of all grants reaches the limit, a new state revokes what others have
        not used, and makes them ask again.
        """
        if not self.limit() or self.is_full(found, size):
            # In the second case a rollover failed: all handlers continue in this file, and try again in a second.
            self._grant, self._room = None, _UNLIMITED
        elif not self._request(content, found, size):
            _, content = self._publish(state.start, found)
            self._request(content, found, size, force=True)
        return content

    def reserve_beside_others(self, content: bytes, found: stat_result, size: int) -> bool:
        """Get a grant under the shared lock; return False if that needs the exclusive lock.

        A short lock on the log file itself separates handlers that ask at the same time.
        """
        stream = self._log_file.stream
        raw = raw_file(stream)
        if raw is None or self._log_file.is_inherited or status_of(stream) is None:
            return False
        for pause in _PAUSES:
            sleep_holding(self._lock_file.mutex, pause)
            try:
                flock(raw.fileno(), LOCK_EXCLUSIVE)
                return self._lock_file.is_writable() and self._request(content, found, size)
            except BlockingIOError:
                continue
            finally:
                flock(raw.fileno(), UNLOCK)
        return False

    def _request(self, content: bytes, found: stat_result, size: int, *, force: bool = False) -> bool:
        """Get a grant, and return whether there was enough room; ``force`` it for a record larger than the file."""
        limit = self.limit()
        left = int(self._room) if self.covers(content, 0) else 0
        granted, requests = self._lock_file.read_grants() or (limit, 0)
        if granted + size - left >= limit and not force:
            return False
        granted = max(granted, found.st_size + left)
        # If all writers ask, they get half of the room.
        share = (limit - 1 - granted) // (2 * self._writers(requests)) if self._log_file.can_share() else 0
        share = max(share, size - left)
        self._lock_file.write_grants(granted + share, requests + 1)
        self._requests = requests + 1
        self._grant, self._room = (content, self._log_file.pid, limit), left + share
        return True

    def _writers(self, requests: int) -> int:
        """Estimate the number of handlers that write the file: those that write as much as this one ask as often."""
        others = requests - self._requests if self._requests else _WRITERS - 1
        return others + 1 if 0 <= others < _MOST_WRITERS else _WRITERS

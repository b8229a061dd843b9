"""Rollover of dated files: a new day, or a full file, begins a file of the next name; nothing is renamed."""

import os
import time
from datetime import datetime

from concurrent_log.files.backups.dated_names import DatedNames
from concurrent_log.files.lock_file import LockFile
from concurrent_log.files.log_file import LogFile
from concurrent_log.files.periods import Schedule
from concurrent_log.files.rollover import Span
from concurrent_log.files.shared_state import State

_AHEAD = 3600  # seconds: a file whose day begins further ahead came from a clock that was wrong


class DatedRollover:
    """The policy of the handler of dated files. The names in the folder say which file is the current one.

    Args:
        names: All files of the handler.
        schedule: The days.

    Attributes:
        path: The current file.
        start: Where the day of the current file begins.
    """

    def __init__(self, names: DatedNames, schedule: Schedule) -> None:
        self._names = names
        self._schedule = schedule
        self._seen = b""  # the state for which `path` is known to be the current file
        self.path, self.start = self._newest(time.time())

    def attach(self, log_file: LogFile, lock_file: LockFile) -> None:
        """Work with these two from now on."""
        log_file.path = self.path
        self._log_file = log_file
        self._lock_file = lock_file

    def day_of(self, moment: float) -> str:
        """Return the day of ``moment``, such as ``2025-01-20``."""
        return self._schedule.name(self.start_of(moment), "%Y-%m-%d")

    def today(self) -> str:
        """Return the day of the current file."""
        return self._schedule.name(self.start, "%Y-%m-%d")

    def span(self, start: int) -> Span:
        """Return the day that begins at ``start``."""
        return Span(*self._schedule.period(start))

    def start_of(self, moment: float) -> int:
        """Return the start of the day of ``moment``."""
        return self._schedule.period(moment).start

    def start_by_change(self, found: os.stat_result, now: float) -> int:
        """Return the start of the day in the name of the current file."""
        return self.start

    def is_valid(self, state: State, found: os.stat_result, now: float) -> bool:
        """Return whether the state is that of the current file."""
        return state.inode == found.st_ino and state.start == self.start

    def published(self, start: int) -> int:
        """Return the start of the day in the name of the current file, even if that is empty."""
        return self.start

    def begun(self) -> None:
        """Do nothing."""

    def saw(self, content: bytes) -> None:
        """Note the state for which `path` is the current file."""
        self._seen = content

    def follow(self) -> list[Exception]:
        """Switch to the newest file, if another process may have begun one; the lock is held. Return what failed."""
        now = time.time()
        try:
            state = self._lock_file.read_state()
        except OSError:
            return []  # Without a lock file, no process begins a new file; the caller reports that.
        is_known = state == self._seen and State.from_bytes(state) is not None
        if not is_known or self.start > now + _AHEAD:
            # If the folder cannot be listed, records continue in the file that is known, and the next one looks again.
            try:
                self._go_to(*self._newest(now))
                self._seen = state
            except OSError as error:
                return [error]
        return []

    def begin(self, start: int, moment: float, found: os.stat_result) -> bool:
        """Begin a file for a record of ``moment``, unless the current one is empty and of the same day."""
        now = time.time()
        start = self.start_of(moment if 0 <= moment <= now else now)
        if not found.st_size and start <= self.start:
            return False
        before = self.path, self.start
        start = max(start, self.start)
        self._go_to(self.next_path(start), start)
        log_file = self._log_file
        try:
            log_file.create_like(found)
            stream = log_file.open()
        except BaseException:
            self._go_to(*before)
            raise
        log_file.close()
        log_file.stream = stream
        return True

    def next_path(self, start: int) -> str:
        """Return the path of the file that a rollover would begin for the day that begins at ``start``."""
        day = self._schedule.name(start, "%Y-%m-%d")
        last = self._names.last(day)
        if last is None:
            return self._names.path(day, 1)
        if last.is_plain and last.path != self.path and not os.path.getsize(last.path):
            return last.path  # A process was killed right after it had begun it.
        return self._names.path(day, last.number + 1)

    def _go_to(self, path: str, start: int) -> None:
        self.path, self.start = path, start
        self._log_file.path = path

    def _newest(self, now: float) -> tuple[str, int]:
        """Return the path of the newest file, or of the first one of today, and where its day begins."""
        found = self._names.newest(self.day_of(now + _AHEAD))
        if found is None:
            return self._names.path(self.day_of(now), 1), self.start_of(now)
        noon = datetime.fromisoformat(found.day).replace(hour=12, tzinfo=self._schedule.zone)
        return found.path, self.start_of(noon.timestamp())

"""Rollover: when a log file ends, and how the next one begins.

A `Rollover` is the policy of one handler. `TimedRollover` and `SizedRollover` move the file aside, `DatedRollover`
begins a file of another name.
"""

import contextlib
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from concurrent_log.files.backups import Backups
from concurrent_log.files.lock_file import LockFile
from concurrent_log.files.log_file import CAN_RENAME_OPEN_FILES, LogFile
from concurrent_log.files.periods import Schedule
from concurrent_log.files.permissions import create_folders
from concurrent_log.files.regular_files import check_regular
from concurrent_log.files.rename import move
from concurrent_log.files.shared_state import State
from concurrent_log.files.streams import close_stream, status_of

_TRIES = 10
_LONGEST_STEP_BACK = 3600  # seconds: a file whose period begins further ahead came from a clock that was wrong


class Span(NamedTuple):
    """The records that the current file accepts: created from ``start`` to before ``end``, in seconds."""

    start: float
    end: float


EVER = Span(float("-inf"), float("inf"))


class Rollover(Protocol):
    """The policy of one handler. ``start`` is the value of `State.start` of a file."""

    def span(self, start: int) -> Span:
        """Return the records that the file with this ``start`` accepts."""

    def start_of(self, moment: float) -> int:
        """Return the ``start`` of a new file whose first record was created at ``moment``."""

    def start_by_change(self, found: os.stat_result, now: float) -> int:
        """Return the ``start`` of an existing file without a valid state."""

    def is_valid(self, state: State, found: os.stat_result, now: float) -> bool:
        """Return whether ``state`` can describe the file ``found``: it is only a cache."""

    def published(self, start: int) -> int:
        """Return the ``start`` to publish for the current file."""

    def saw(self, content: bytes) -> None:
        """Note the bytes of the state that this process published for the current file."""

    def follow(self) -> list[Exception]:
        """Find the current file, if other processes may have begun one of another name; return what failed."""

    def begin(self, start: int, moment: float, found: os.stat_result) -> bool:
        """Begin a new file for a record of ``moment``; return False if the current file ``found`` is as good as new."""

    def begun(self) -> None:
        """Note that a new file was begun and published."""


class _FixedName:
    """The policies whose current file keeps its name: a rollover moves it aside."""

    def __init__(self, mover: "Mover") -> None:
        self._mover = mover

    def published(self, start: int) -> int:
        """Return ``start``."""
        return start

    def saw(self, content: bytes) -> None:
        """Do nothing."""

    def follow(self) -> list[Exception]:
        """Do nothing: the file keeps its name."""
        return []

    def begin(self, start: int, moment: float, found: os.stat_result) -> bool:
        """Move the file aside, and begin a new one."""
        return self._mover.begin(start, found)

    def begun(self) -> None:
        """Do nothing."""


class TimedRollover(_FixedName):
    """Files of a period each: the handler by time, also with a maximum size.

    Args:
        schedule: The periods.
        mover: Moves the log file aside.
        compute_rollover: Returns the program's own `computeRollover`, or None if it has none.
    """

    def __init__(
        self, schedule: Schedule, mover: "Mover", compute_rollover: Callable[[], Callable[[int], Any] | None]
    ) -> None:
        super().__init__(mover)
        self._schedule = schedule
        self._compute_rollover = compute_rollover
        self.current: Span | None = None  # of the current file, as far as it is known
        self._forced: tuple[float | None, float] | None = None  # the start of a file, and the end that was set for it

    def span(self, start: int) -> Span:
        """Return the period that begins at ``start``."""
        compute = self._compute_rollover()
        end: float = self._schedule.period(start).end if compute is None else max(int(compute(start)), start + 1)
        if self._forced is not None and self._forced[0] in (None, start):
            self._forced = (start, self._forced[1])
            end = self._forced[1]
        self.current = Span(start, end)
        return self.current

    def force_end(self, end: float) -> None:
        """Let the current file end at ``end``, in this process."""
        self._forced = (None if self.current is None else self.current.start, end)
        if self.current is not None:
            self.current = Span(self.current.start, end)

    def start_of(self, moment: float) -> int:
        """Return the start of the period that ``moment`` lies in."""
        return int(moment) if self._compute_rollover() else self._schedule.period(moment).start

    def start_by_change(self, found: os.stat_result, now: float) -> int:
        """Return the start of the period in which the file was last written."""
        return self.start_of(min(max(found.st_mtime, 0), now))

    def is_valid(self, state: State, found: os.stat_result, now: float) -> bool:
        """Return whether the state fits the file's inode and times, and does not come from a clock that was wrong."""
        return state.describes(found) and state.start <= max(self._end_of(now), now + _LONGEST_STEP_BACK)

    def _end_of(self, now: float) -> float:
        compute = self._compute_rollover()
        start = self.start_of(now)
        return self._schedule.period(start).end if compute is None else max(int(compute(start)), start + 1)

    def begun(self) -> None:
        """Forget the end that the program set: it was that of the previous file."""
        self._forced = None


class SizedRollover(_FixedName):
    """Files that end by their size alone.

    Args:
        mover: Moves the log file aside.
    """

    def span(self, start: int) -> Span:
        """Return `EVER`."""
        return EVER

    def start_of(self, moment: float) -> int:
        """Return 0."""
        return 0

    def start_by_change(self, found: os.stat_result, now: float) -> int:
        """Return 0."""
        return 0

    def is_valid(self, state: State, found: os.stat_result, now: float) -> bool:
        """Return whether the state fits the file's inode and times."""
        return state.describes(found)


class Mover:
    """Moves the log file to its backup, and opens a new one with the same mode and owner.

    Args:
        rotator: Returns the program's own function that makes a backup, or None if it has none.
        start_of: Returns the ``start`` of a file that was last written at a moment.
    """

    def __init__(
        self,
        log_file: LogFile,
        backups: Backups,
        rotator: Callable[[], Callable[[str, str], object] | None],
        start_of: Callable[[float], int],
    ) -> None:
        self._log_file = log_file
        self._backups = backups
        self._rotator = rotator
        self._start_of = start_of

    def begin(self, start: int, found: os.stat_result) -> bool:
        """Move the file of ``start`` aside and begin a new one, with the exclusive lock; not if it is empty."""
        if not found.st_size:
            return False
        log_file = self._log_file
        previous = log_file.take_stream()
        backup = None
        try:
            if previous is not None:
                with contextlib.suppress(OSError, ValueError):
                    previous.flush()  # before a rotator copies the file
                if not CAN_RENAME_OPEN_FILES:
                    close_stream(previous)
            backup = self._move_aside(start)
            log_file.create_like(found)
            log_file.stream = log_file.open()
        except BaseException:
            if backup is not None and not os.path.lexists(log_file.path):
                with contextlib.suppress(OSError):
                    move(backup, log_file.path)  # such as on a disk that has no room for one more file
            # Whatever failed, records continue in the file that is open, if it still has a name.
            status = status_of(previous)
            log_file.stream = previous if status is not None and status.st_nlink else None
            raise
        if previous is not None:
            close_stream(previous)
        return True

    def _move_aside(self, start: int) -> str | None:
        """Move the log file to a backup; return its path, or None if it cannot be moved back from there."""
        if not self._backups.wanted():
            return None  # As in the standard class, the file continues.
        rotate = self._rotator()
        if rotate is not None:
            self._rotate_aside(rotate, start)
            return None
        for _ in range(_TRIES):
            backup = self._destination(start)
            try:
                move(self._log_file.path, backup)
            except FileNotFoundError:
                return None  # Another program moved the log file away.
            except FileExistsError:
                continue  # A process with another lock file took the name.
            return backup
        raise FileExistsError(f"{_TRIES} names for a backup of {self._log_file.path} were taken one after the other")

    def _rotate_aside(self, rotate: Callable[[str, str], object], start: int) -> None:
        """Let the program's own function make the backup, from a file that no process appends to any longer.

        It may copy and then remove, for longer than others wait for the lock: what they append in the meantime must
        not be in the file that it removes.
        """
        aside = f"{self._log_file.path}.rotating"
        if os.path.lexists(aside):  # A process was killed here, or its function failed.
            rotate(aside, self._destination(self._start_of(check_regular(aside).st_mtime)))
        move(self._log_file.path, aside)
        try:
            rotate(aside, self._destination(start))
        except BaseException:
            with contextlib.suppress(OSError):
                move(aside, self._log_file.path)
            raise

    def _destination(self, start: int) -> str:
        path = self._backups.next_path(start)
        create_folders(os.path.dirname(path), self._log_file.permissions)
        return path


def publish(lock_file: LockFile, rollover: Rollover, start: int, found: os.stat_result) -> tuple[State, bytes]:
    """Publish the state of the file ``found`` to all writers, and return it with its bytes."""
    state, content = lock_file.publish(rollover.published(start), found)
    rollover.saw(content)
    return state, content


def start_of_current(lock_file: LockFile, rollover: Rollover, found: os.stat_result) -> int:
    """Return the ``start`` of the current file: from the state, or without a valid one from the file."""
    state, now = State.from_bytes(lock_file.read_state()), time.time()
    if state is not None and rollover.is_valid(state, found, now):
        return state.start
    return rollover.start_by_change(found, now)

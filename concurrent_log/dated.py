"""Log files that carry the day in their name from the beginning, and a number: ``App_2025-01-20_001_KST.log``.

The protocol is that of the other handlers. Only a rollover is something else here: nothing is renamed, the records go
on in a file of the next name. The names in the folder say which file is the current one, so that a program that was
restarted goes on where it was.
"""

import contextlib
import logging
import os
import time
from datetime import datetime, timedelta, tzinfo
from datetime import timezone as fixed_timezone
from logging.handlers import BaseRotatingHandler
from os import PathLike

from concurrent_log.files.backups.dated import DatedFiles
from concurrent_log.files.options import FileArguments, zone
from concurrent_log.files.periods import Schedule
from concurrent_log.files.rollover import RollingFileHandler
from concurrent_log.files.shared_state import State
from concurrent_log.files.snapshot import Span
from concurrent_log.internal.validation import check_count

_KST = fixed_timezone(timedelta(hours=9), "KST")  # not from the zone files, which a machine may lack
_AHEAD = 3600  # seconds: a file whose day begins further ahead came from a clock that was wrong


class DatedFileHandler(RollingFileHandler):
    """A handler for any number of processes and threads that begins a new file with each day and each ``maxBytes``.

    A record stands in a file of the day in which it was created, by the clock of ``timezone``. No file reaches
    ``maxBytes``, but by a single record that is larger alone. After a restart the newest file of the day goes
    on while it has room. The file is created with the first record; ``baseFilename`` is the current one.

    What `concurrent_log.ConcurrentTimedRotatingFileHandler` says of threads, forks, pickling and closing holds here,
    too, and its arguments of the same names mean the same.

    Args:
        folder: Where the files stand; it is created if it is missing.
        prefix: What their names begin with.
        timezone: ``"UTC"``, ``"KST"``, or an IANA name such as ``"Europe/Berlin"``. It ends the names of the files,
            with ``-`` in place of ``/``.
        maxBytes: Which size in bytes a file does not reach; 0 is no limit.
        backupCount: How many days to keep besides the current one; 0 keeps all.
        encoding: Of the files.
        lock_timeout: Seconds to wait for a process that was stopped while it held the lock.
        keep_file_open: False opens and closes the file for each record.

    Raises:
        TypeError, ValueError: An argument is not of its kind; the message says which, and what would be.
        OSError: The log file cannot be written.
    """

    def __init__(
        self,
        folder: "str | PathLike[str]",
        prefix: str = "App",
        timezone: str = "UTC",
        maxBytes: int = 0,
        backupCount: int = 0,
        *,
        encoding: str | None = "utf-8",
        lock_timeout: float = 5.0,
        keep_file_open: bool | None = None,
    ) -> None:
        _check_prefix(prefix)
        self._schedule = Schedule("midnight", zone=zone_of(timezone))
        check_count("maxBytes", maxBytes, "is no limit")
        check_count("backupCount", backupCount, "keeps everything")
        label = timezone.replace("/", "-")
        given = FileArguments(
            # All files have one lock file, called after what their names have in common.
            filename=os.path.join(_folder(folder), f"{prefix}_YYYY-MM-DD_NNN_{label}.log"),
            encoding=encoding,
            delay=True,
            errors=None,
            lock_timeout=lock_timeout,
            keep_file_open=keep_file_open,
        )
        self.maxBytes = maxBytes
        self.backupCount = backupCount
        self._files = DatedFiles(os.path.dirname(given.path), prefix, label)
        self._seen = b""
        self._late: tuple[tuple[str, bytes], str | None] | None = None
        path, self._current_start = self._newest(time.time())
        BaseRotatingHandler.__init__(self, path, "a", encoding, True)
        self._set_up(given)

    def next_path(self) -> str:
        """Return the path of the file that a rollover would begin now."""
        return self._next_path(max(self._start(time.time()), self._current_start))

    # Which file is the current one.

    def _current_file(self, problems: list[Exception]) -> os.stat_result | None:
        self._follow()
        return super()._current_file(problems)

    def _follow(self) -> None:
        """Go to the newest file, if another process may have begun one; the lock is held."""
        now = time.time()
        try:
            state = self._lock_file.read()
        except OSError:
            return  # Without a lock file, nobody begins a new file.
        is_known = state == self._seen and State.from_bytes(state) is not None
        if not is_known or self._current_start > now + _AHEAD:
            self.baseFilename, self._current_start = self._newest(now)
            self._seen = state

    def _newest(self, now: float) -> tuple[str, int]:
        """Return the path of the newest file, or of the first one of today, and where its day starts."""
        found = self._files.newest(self._day(now + _AHEAD))
        if found is None:
            return self._files.path(self._day(now), 1), self._start(now)
        noon = datetime.fromisoformat(found.day).replace(hour=12, tzinfo=self._schedule.zone)
        return found.path, self._start(noon.timestamp())

    def _is_true(self, state: State, found: os.stat_result, now: float) -> bool:
        return state.inode == found.st_ino and state.start == self._current_start

    def _start_by_change(self, found: os.stat_result, now: float) -> int:
        return self._current_start

    def _publish(self, start: int, found: os.stat_result) -> tuple[State, bytes]:
        state, self._seen = super()._publish(self._current_start, found)  # The name says it, also of an empty file.
        return state, self._seen

    def _span(self, start: int) -> Span:
        return Span(*self._schedule.period(start))

    def _start(self, moment: float) -> int:
        return self._schedule.period(moment).start

    def _day(self, moment: float) -> str:
        return self._schedule.name(self._start(moment), "%Y-%m-%d")

    def _largest_size(self) -> int:
        return self.maxBytes

    # Beginning a new file.

    def _roll_over_for(self, record: logging.LogRecord, found: os.stat_result, problems: list[Exception]) -> bool:
        now = time.time()
        start = self._start(record.created if 0 <= record.created <= now else now)
        try:
            if found.st_size or start > self._current_start:  # else it is as good as a new one
                self._begin_file(start, found)
        except Exception as error:
            problems.append(error)
            return False
        return True

    def _roll_over(self, found: os.stat_result) -> None:
        self._begin_file(self._start(time.time()), found)

    def _begin_file(self, start: int, previous: os.stat_result) -> None:
        """Go on in a new file of the day that starts at ``start``; the exclusive lock is held."""
        before = self.baseFilename, self._current_start
        start = max(start, self._current_start)
        self.baseFilename, self._current_start = self._next_path(start), start
        try:
            self._create_like(previous)
            stream = self._open()
        except BaseException:
            self.baseFilename, self._current_start = before
            raise
        self._close_stream()
        self.stream = stream
        self._after_rollover = True

    def _next_path(self, start: int) -> str:
        day = self._schedule.name(start, "%Y-%m-%d")
        last = self._files.last(day)
        if last is None:
            return self._files.path(day, 1)
        if last.is_plain and last.path != self.baseFilename and not os.path.getsize(last.path):
            return last.path  # A process was killed when it had just begun it.
        return self._files.path(day, last.number + 1)

    # Late records.

    def _look(self, record: logging.LogRecord, data: bytes, problems: list[Exception], *, alone: bool) -> Span | None:
        span = super()._look(record, data, problems, alone=alone)
        if span is not None and not alone and self.maxBytes and 0 <= record.created < span.start:
            return None  # Only alone can the size of an earlier file be kept to.
        return span

    def _late_path(self, moment: float, size: int) -> str | None:
        key = self._day(moment), self._lock_file.read()
        if self._late is None or self._late[0] != key or not self._fits(self._late[1], size):
            self._late = key, self._find_late_path(key[0], size)
        return self._late[1]

    def _find_late_path(self, day: str, size: int) -> str | None:
        newer = [other for other in self._earlier_days() if other > day]
        if 0 < self.backupCount <= len(newer):
            return None
        last = self._files.last(day)
        if last is not None and last.is_plain and self._fits(last.path, size):
            return last.path
        return self._files.path(day, last.number + 1 if last else 1)

    def _fits(self, path: str | None, size: int) -> bool:
        """Return whether the file at ``path`` has room for ``size`` more bytes; one that does not exist has."""
        if path is None or not self.maxBytes:
            return True
        with contextlib.suppress(FileNotFoundError):
            return not self._is_full(os.stat(path), size)
        return True

    # Retention.

    def _surplus(self) -> list[str]:
        if self.backupCount <= 0:
            return []
        outlived = self._earlier_days()[: -self.backupCount]
        return [file.path for file in self._files.existing() if file.day in outlived]

    def _earlier_days(self) -> list[str]:
        """Return the days before the current one of which there are files, in their order."""
        today = self._schedule.name(self._current_start, "%Y-%m-%d")
        return sorted({file.day for file in self._files.existing() if file.day < today})


def zone_of(name: str) -> tzinfo:
    """Return the zone ``UTC``, ``KST``, or that of an IANA name.

    Raises:
        TypeError, ValueError: There is no such zone; the message says what would be one.
    """
    if not isinstance(name, str):
        raise TypeError(f"timezone must be a name such as 'KST' or 'Asia/Seoul', not {name!r}")
    known = {"UTC": fixed_timezone.utc, "KST": _KST}.get(name) or zone(name, False)
    assert known is not None
    return known


def _check_prefix(prefix: str) -> None:
    if not isinstance(prefix, str):
        raise TypeError(f"prefix must be a string, not {prefix!r}")
    if not prefix or os.path.basename(prefix) != prefix or "\0" in prefix:
        raise ValueError(f"prefix={prefix!r} must be the beginning of a file's name; name the folder with folder")


def _folder(folder: "str | PathLike[str]") -> str:
    try:
        return os.fsdecode(folder)
    except TypeError:
        raise TypeError(f"folder must be a path, not {folder!r}") from None

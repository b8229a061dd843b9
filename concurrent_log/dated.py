"""Log files with the day and a number in their name from the start: ``App_2025-01-20_001_KST.log``.

The append protocol is that of the other handlers. Only the rollover differs: no file is renamed, and the next record
goes to a file with the next name. The names in the folder determine the current file, which a restarted program finds
again.
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
from concurrent_log.files.options import FileOptions, parse_timezone
from concurrent_log.files.periods import Schedule
from concurrent_log.files.rollover import RollingFileHandler
from concurrent_log.files.shared_state import State
from concurrent_log.files.snapshot import Span
from concurrent_log.internal.validation import check_count

_KST = fixed_timezone(timedelta(hours=9), "KST")  # not from the zone files, which may be missing
_MAX_AHEAD = 3600  # seconds; a file whose day begins further in the future comes from a wrong clock


class DatedFileHandler(RollingFileHandler):
    """A handler for any number of processes and threads that starts a new file each day and at ``maxBytes``.

    A record is written to a file of the day in which it was created, by the clock of ``timezone``. A file reaches
    ``maxBytes`` only with a single record that is larger. After a restart, records continue in the newest file of the
    day while it has room. The file is created with the first record; ``baseFilename`` is the current one.

    For threads, forks, pickling and closing, see `concurrent_log.ConcurrentTimedRotatingFileHandler`. Its arguments of
    the same names have the same meaning.

    Args:
        folder: Folder of the files; it is created if it is missing.
        prefix: Beginning of their names.
        timezone: ``"UTC"``, ``"KST"``, or an IANA name such as ``"Europe/Berlin"``. The names of the files end with it,
            with ``-`` in place of ``/``.
        maxBytes: Size in bytes that no file reaches; 0 means no limit.
        backupCount: Number of days to keep besides the current one; 0 keeps all.
        encoding: Encoding of the files.
        lock_timeout: Seconds to wait for the lock, which a stopped process may hold.
        keep_file_open: False opens and closes the file for each record.

    Raises:
        TypeError, ValueError: An argument is invalid; the message names it and the remedy.
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
        options = FileOptions(
            # All files share one lock file, named after the common part of their names.
            filename=os.path.join(_folder(folder), f"{prefix}_YYYY-MM-DD_NNN_{label}.log"),
            encoding=encoding,
            delay=True,
            errors=None,
            lock_timeout=lock_timeout,
            keep_file_open=keep_file_open,
        )
        self.maxBytes = maxBytes
        self.backupCount = backupCount
        self._files = DatedFiles(os.path.dirname(options.path), prefix, label)
        self._known_state = b""
        self._cached_late_path: tuple[tuple[str, bytes], str | None] | None = None
        path, self._current_start = self._newest(time.time())
        BaseRotatingHandler.__init__(self, path, "a", encoding, True)
        self._set_up(options)

    def next_path(self) -> str:
        """Return the path of the file that a rollover would create now."""
        return self._next_path(max(self._period_start(time.time()), self._current_start))

    # The current file.

    def _ensure_current_file(self, problems: list[Exception]) -> os.stat_result | None:
        self._switch_to_newest()
        return super()._ensure_current_file(problems)

    def _switch_to_newest(self) -> None:
        """Switch to the newest file if another process may have created one; the lock is held."""
        now = time.time()
        try:
            state = self._lock_file.read_state()
        except OSError:
            return  # Without a lock file, no process creates a new file.
        is_known = state == self._known_state and State.from_bytes(state) is not None
        if not is_known or self._current_start > now + _MAX_AHEAD:
            self.baseFilename, self._current_start = self._newest(now)
            self._known_state = state

    def _newest(self, now: float) -> tuple[str, int]:
        """Return the path of the newest file, or of the first one of today, and the start of its day."""
        found = self._files.newest(self._day(now + _MAX_AHEAD))
        if found is None:
            return self._files.path(self._day(now), 1), self._period_start(now)
        noon = datetime.fromisoformat(found.day).replace(hour=12, tzinfo=self._schedule.zone)
        return found.path, self._period_start(noon.timestamp())

    def _is_valid(self, state: State, status: os.stat_result, now: float) -> bool:
        return state.inode == status.st_ino and state.start == self._current_start

    def _start_by_mtime(self, status: os.stat_result, now: float) -> int:
        return self._current_start

    def _write_state(self, start: int, status: os.stat_result) -> tuple[State, bytes]:
        # The start of the day is in the file's name, even if the file is empty.
        state, self._known_state = super()._write_state(self._current_start, status)
        return state, self._known_state

    def _span(self, start: int) -> Span:
        return Span(*self._schedule.period(start))

    def _period_start(self, moment: float) -> int:
        return self._schedule.period(moment).start

    def _day(self, moment: float) -> str:
        return self._schedule.name(self._period_start(moment), "%Y-%m-%d")

    def _max_file_size(self) -> int:
        return self.maxBytes

    # The rollover.

    def _try_roll_over(self, record: logging.LogRecord, status: os.stat_result, problems: list[Exception]) -> bool:
        now = time.time()
        start = self._period_start(record.created if 0 <= record.created <= now else now)
        try:
            if status.st_size or start > self._current_start:  # An empty file of the day needs no rollover.
                self._begin_file(start, status)
        except Exception as error:
            problems.append(error)
            return False
        return True

    def _roll_over(self, status: os.stat_result) -> None:
        self._begin_file(self._period_start(time.time()), status)

    def _begin_file(self, start: int, previous: os.stat_result) -> None:
        """Continue in a new file of the day that starts at ``start``; the exclusive lock is held."""
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
        self._cleanup_pending = True

    def _next_path(self, start: int) -> str:
        day = self._schedule.name(start, "%Y-%m-%d")
        last = self._files.last(day)
        if last is None:
            return self._files.path(day, 1)
        if last.is_plain and last.path != self.baseFilename and not os.path.getsize(last.path):
            return last.path  # A process was killed after it had created the file.
        return self._files.path(day, last.number + 1)

    # Late records.

    def _check_state(
        self, record: logging.LogRecord, data: bytes, problems: list[Exception], *, exclusive: bool
    ) -> Span | None:
        span = super()._check_state(record, data, problems, exclusive=exclusive)
        if span is not None and not exclusive and self.maxBytes and 0 <= record.created < span.start:
            return None  # Only the exclusive lock keeps an earlier file below maxBytes.
        return span

    def _late_record_path(self, moment: float, size: int) -> str | None:
        key = self._day(moment), self._lock_file.read_state()
        cached = self._cached_late_path
        if cached is None or cached[0] != key or not self._fits(cached[1], size):
            cached = self._cached_late_path = key, self._find_late_record_path(key[0], size)
        return cached[1]

    def _find_late_record_path(self, day: str, size: int) -> str | None:
        newer = [other for other in self._earlier_days() if other > day]
        if 0 < self.backupCount <= len(newer):
            return None
        last = self._files.last(day)
        if last is not None and last.is_plain and self._fits(last.path, size):
            return last.path
        return self._files.path(day, last.number + 1 if last else 1)

    def _fits(self, path: str | None, size: int) -> bool:
        """Return whether the file at ``path`` has room for ``size`` more bytes; a missing file has."""
        if path is None or not self.maxBytes:
            return True
        with contextlib.suppress(FileNotFoundError):
            return not self._is_full(os.stat(path), size)
        return True

    # Retention.

    def _expired_backups(self) -> list[str]:
        if self.backupCount <= 0:
            return []
        expired = self._earlier_days()[: -self.backupCount]
        return [file.path for file in self._files.existing() if file.day in expired]

    def _earlier_days(self) -> list[str]:
        """Return the days before the current one that have files, in order."""
        today = self._schedule.name(self._current_start, "%Y-%m-%d")
        return sorted({file.day for file in self._files.existing() if file.day < today})


def zone_of(name: str) -> tzinfo:
    """Return the zone for ``UTC``, ``KST`` or an IANA name.

    Raises:
        TypeError, ValueError: There is no such zone.
    """
    if not isinstance(name, str):
        raise TypeError(f"timezone must be a name such as 'KST' or 'Asia/Seoul', not {name!r}")
    known = {"UTC": fixed_timezone.utc, "KST": _KST}.get(name) or parse_timezone(name, False)
    assert known is not None
    return known


def _check_prefix(prefix: str) -> None:
    if not isinstance(prefix, str):
        raise TypeError(f"prefix must be a string, not {prefix!r}")
    if not prefix or os.path.basename(prefix) != prefix or "\0" in prefix:
        raise ValueError(f"prefix={prefix!r} must be the beginning of a file's name; use folder for the folder")


def _folder(folder: "str | PathLike[str]") -> str:
    try:
        return os.fsdecode(folder)
    except TypeError:
        raise TypeError(f"folder must be a path, not {folder!r}") from None

"""The handlers: drop-in replacements for the standard library's rotating handlers."""

import codecs
import contextlib
import errno
import locale
import os
import re
import zlib
from datetime import time as time_of_day
from datetime import timezone
from logging.handlers import TimedRotatingFileHandler
from os import PathLike

from concurrent_log.backups import Backups, move
from concurrent_log.schedule import Schedule
from concurrent_log.shared_file import SharedFileHandler, Span
from concurrent_log.streams import is_special


class ConcurrentTimedRotatingFileHandler(SharedFileHandler, TimedRotatingFileHandler):
    """A `logging.handlers.TimedRotatingFileHandler` for any number of processes and threads on one file.

    A record stands in the file of the period in which it was created, as far as retention still keeps that
    period. Periods are aligned to the clock: with ``when="H"`` a file ends with the full hour, in every process.

    Safe to use from threads and in the children of a fork. To be sent to another process by pickling, its formatter,
    filters, namer and rotator must be picklable, too. After `close` the next record opens the file again.

    Args:
        filename: The log file. Folders that are missing are created. A device or a pipe is only written to.
        when: ``S``, ``M``, ``H``, ``D``, ``midnight``, or ``W0`` (Monday) to ``W6``.
        interval: How many of those a file covers, counted on the clock of the zone from 1970.
        backupCount: How many periods to keep besides the current file; 0 keeps all.
        encoding: Of the file; None is the locale's. What it lacks is written as a backslash escape, unless
            ``errors`` says something else than ``strict``. One with a byte-order mark (``utf-16``) takes the
            exclusive lock for each record.
        delay: Open the file with the first record. That it can be written is checked all the same.
        utc: Periods and names in UTC, not in local time.
        atTime: The time of day at which ``midnight`` and ``W0`` to ``W6`` roll over.
        errors: What to do with characters that ``encoding`` lacks, as for `open`.
        terminator: What ends a record in the file.
        lock_file_directory: Where the lock file stands; by default beside the log file.
        lock_timeout: Seconds to wait for a process that was stopped while it held the lock. After that, records
            join the current file without the lock and without further waiting, and nothing rolls over, until
            the lock can be had again.
        keep_file_open: False opens and closes the file for each record, under the exclusive lock. By default
            that is done where it is necessary: on Windows (where True is ignored), and on file systems that are
            not known to be local. True keeps the file open there, but still takes the exclusive lock.

    Raises:
        TypeError, ValueError: An argument is not of its kind; the message says which, and what would be.
        OSError: The log file cannot be written.
    """

    def __init__(
        self,
        filename: "str | PathLike[str]",
        when: str = "h",
        interval: int = 1,
        backupCount: int = 0,
        encoding: str | None = None,
        delay: bool = False,
        utc: bool = False,
        atTime: time_of_day | None = None,
        errors: str | None = None,
        *,
        terminator: str = "\n",
        lock_file_directory: "str | PathLike[str] | None" = None,
        lock_timeout: float = 5.0,
        keep_file_open: bool | None = None,
    ) -> None:
        self._schedule = Schedule(when, interval, atTime, timezone.utc if utc else None)
        _check_count("backupCount", backupCount)
        _check_seconds("lock_timeout", lock_timeout)
        if not isinstance(terminator, str):
            raise TypeError(f"terminator must be a string, not {terminator!r}")
        if keep_file_open not in (None, True, False):
            raise TypeError(f"keep_file_open must be True, False or None, not {keep_file_open!r}")
        codec = _codec(encoding, errors)
        path = _log_path(filename)
        while True:
            with contextlib.suppress(FileNotFoundError):
                super().__init__(path, when, interval, backupCount, encoding, True, utc, atTime, errors)
                break
            # Another process rolled over between the standard class's exists() and its stat().
        self.delay = delay
        self.terminator = terminator
        self._standard_ext_match = self.extMatch
        self._late: tuple[int, bytes, str | None] | None = None
        self._share(
            lock_path=_lock_path(path, lock_file_directory),
            lock_timeout=lock_timeout,
            keep_file_open=keep_file_open,
            codec=codec,
        )
        self._begin()

    def getFilesToDelete(self) -> list[str]:
        """Return the paths of the backups that ``backupCount`` does not keep, oldest first."""
        return self._backups().surplus(self.backupCount) if self.backupCount > 0 else []

    def _span(self, start: int) -> Span:
        if self._overrides("computeRollover"):
            end = max(int(self.computeRollover(start)), start + 1)
        else:
            end = self._schedule.period(start).end
        self.rolloverAt = end
        return Span(start, end)

    def _start(self, moment: float) -> int:
        if self._overrides("computeRollover"):
            return int(moment)
        return self._schedule.period(moment).start

    def _move_aside(self, start: int) -> None:
        if self.rotator is not None or self._overrides("rotate"):
            self._rotate_aside(start)
            return
        try:
            move(self.baseFilename, self._destination(start))
        except FileNotFoundError:
            pass  # Somebody else moved the log file away.
        except FileExistsError:
            self._move_aside(start)

    def _rotate_aside(self, start: int) -> None:
        """Let a rotator of the user's own make the backup, from a file that nobody appends to any more.

        It may copy and then remove, for longer than others wait for the lock: what they append meanwhile must not
        be in the file that it removes.
        """
        aside = f"{self.baseFilename}.rotating"
        if os.path.exists(aside):  # A process was killed here, or its rotator failed.
            self.rotate(aside, self._destination(self._start(os.stat(aside).st_mtime)))
        move(self.baseFilename, aside)
        try:
            self.rotate(aside, self._destination(start))
        except BaseException:
            with contextlib.suppress(OSError):
                move(aside, self.baseFilename)
            raise

    def _destination(self, start: int) -> str:
        path = self._backups().free_path(self._time_text(start))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def _late_path(self, moment: float) -> str | None:
        if self._makes_own_backups():
            return None
        start, state = self._start(moment), self._lock_file.read()
        if self._late is None or self._late[:2] != (start, state):
            self._late = (start, state, self._find_late_path(self._time_text(start)))
        return self._late[2]

    def _find_late_path(self, time_text: str) -> str | None:
        existing = self._backups()
        if self.backupCount > 0 and not existing.would_keep(time_text, self.backupCount):
            return None
        return existing.last_path(time_text) or existing.path(time_text)

    def _tidy(self) -> list[Exception]:
        problems: list[Exception] = []
        for path in self.getFilesToDelete():
            try:
                os.remove(path)
            except FileNotFoundError:
                pass  # Another process tidies up, too.
            except OSError as error:
                problems.append(error)
        return problems

    def _time_text(self, start: int) -> str:
        return self._schedule.name(start, self.suffix)

    def _backups(self) -> Backups:
        pattern = None if self.extMatch is self._standard_ext_match else re.compile(self.extMatch)
        return Backups(self.baseFilename, self.suffix, self.rotation_filename, pattern)

    def _makes_own_backups(self) -> bool:
        """Return whether backups may be something else than plain copies named after our periods."""
        return self.rotator is not None or any(
            map(self._overrides, ("rotate", "doRollover", "shouldRollover", "computeRollover"))
        )


def _log_path(filename: "str | PathLike[str]") -> str:
    """Return the absolute path of the log file itself, so that all names of it share one lock file."""
    path = _absolute("filename", filename)
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, "filename is a folder; name a file in it", path)
    # Also where that does not exist yet, since the second process will find it.
    if os.path.islink(path) and not is_special(path):
        return os.path.realpath(path)
    return path


def _lock_path(log_path: str, directory: "str | PathLike[str] | None") -> str:
    folder, name = os.path.split(log_path)
    name = f".__{name.removesuffix('.log')}"
    if directory is None:
        return os.path.join(folder, f"{name}.lock")
    # Log files of one name from several folders may have their lock files in one place.
    distinct = zlib.crc32(os.fsencode(os.path.realpath(folder)))
    return os.path.join(_absolute("lock_file_directory", directory), f"{name}.{distinct:08x}.lock")


def _absolute(name: str, path: "str | PathLike[str]") -> str:
    try:
        return os.path.abspath(os.fsdecode(path))
    except TypeError:
        raise TypeError(f"{name} must be a path, not {path!r}") from None


def _codec(encoding: str | None, errors: str | None) -> str:
    """Return the name of the codec that ``open`` would use."""
    name = locale.getpreferredencoding(False) if encoding in (None, "locale") else encoding
    try:
        "".encode(name)
    except LookupError:
        raise ValueError(f"encoding={encoding!r} is unknown: use 'utf-8', or another text encoding") from None
    except TypeError:
        raise TypeError(f"encoding must be a string such as 'utf-8', not {encoding!r}") from None
    try:
        codecs.lookup_error(errors or "strict")
    except LookupError:
        raise ValueError(f"errors={errors!r} is unknown: use 'backslashreplace' or 'replace'") from None
    return codecs.lookup(name).name


def _check_count(name: str, value: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    if value < 0:
        raise ValueError(f"{name}={value} must not be negative; 0 keeps everything")


def _check_seconds(name: str, value: float) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number of seconds, not {value!r}")
    if not value >= 0:
        raise ValueError(f"{name}={value} must not be negative")

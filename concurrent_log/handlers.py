"""The handlers: drop-in replacements for the standard library's rotating handlers."""

import contextlib
import logging
import os
import re
from collections.abc import Sequence
from datetime import time as time_of_day
from datetime import tzinfo
from logging.handlers import RotatingFileHandler, TimedRotatingFileHandler
from os import PathLike

from concurrent_log.files.backups.numbered import NumberedBackups
from concurrent_log.files.backups.timed import Backups, is_compressed
from concurrent_log.files.options import FileArguments, check_mode, zone
from concurrent_log.files.periods import Schedule
from concurrent_log.files.rollover import RollingFileHandler
from concurrent_log.files.snapshot import Span
from concurrent_log.internal.validation import check_choice, check_count

_EVER = Span(float("-inf"), float("inf"))


class ConcurrentTimedRotatingFileHandler(RollingFileHandler, TimedRotatingFileHandler):
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
        maxBytes: Begin another file also before the record that would make this one reach so many bytes; 0 is no
            limit. The backups of one period are numbered, and count as one for ``backupCount``.
        timezone: Periods, ``atTime`` and names by the clock of this zone, whatever the machine's: an IANA name such
            as ``"Asia/Seoul"``, or a `datetime.tzinfo`.
        use_gzip: Compress backups to ``NAME.gz``, in a thread, after the rollover and without the lock.
        owner: The user and the group of new files, each a name, a number, or None to leave it. By default a new
            file takes the mode and owner of the one that it replaces.
        chmod: The mode of new files, such as ``0o640``. The lock file is open to those who may write the log file.
        umask: Which rights new files do not have, such as ``0o027``, in place of the process's umask.
        newline: What a newline in a record becomes in the file, as for `open`.
        terminator: What ends a record in the file.
        lock_file_directory: Where the lock file stands; by default beside the log file.
        lock_timeout: Seconds to wait for a process that was stopped while it held the lock. After that, records
            join the current file without the lock and without further waiting, and nothing rolls over, until
            the lock can be had again.
        keep_file_open: False opens and closes the file for each record, under the exclusive lock. By default
            that is done where it is necessary: on Windows (where True is ignored), and on file systems that are
            not known to be local. True keeps the file open there, but still takes the exclusive lock.
        **migrating: Further arguments of concurrent-log-handler, as far as they mean something here.

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
        maxBytes: int = 0,
        timezone: str | tzinfo | None = None,
        use_gzip: bool = False,
        owner: Sequence[str | int | None] | None = None,
        chmod: int | None = None,
        umask: int | None = None,
        newline: str | None = None,
        terminator: str = "\n",
        lock_file_directory: "str | PathLike[str] | None" = None,
        lock_timeout: float = 5.0,
        keep_file_open: bool | None = None,
        **migrating: object,
    ) -> None:
        check_choice("utc", utc, (True, False))
        self._schedule = Schedule(when, interval, atTime, zone(timezone, utc))
        check_count("backupCount", backupCount, "keeps everything")
        check_count("maxBytes", maxBytes, "is no limit")
        given = FileArguments(
            filename=filename,
            encoding=encoding,
            delay=delay,
            errors=errors,
            use_gzip=use_gzip,
            owner=owner,
            chmod=chmod,
            umask=umask,
            newline=newline,
            terminator=terminator,
            lock_file_directory=lock_file_directory,
            lock_timeout=lock_timeout,
            keep_file_open=keep_file_open,
            migrating=migrating,
        )
        while True:
            with contextlib.suppress(FileNotFoundError):
                TimedRotatingFileHandler.__init__(
                    self, given.path, when, interval, backupCount, encoding, True, utc, atTime, given.errors
                )
                break
            # Another process rolled over between the standard class's exists() and its stat().
        self.maxBytes = maxBytes
        self._standard_ext_match = self.extMatch
        self._current_start: int | None = None
        self._late: tuple[int, bytes, str | None] | None = None
        self.finalize_handler_configuration()
        self._set_up(given)

    def finalize_handler_configuration(self) -> None:
        """Do nothing; override it to set ``suffix``, ``namer`` and the like, as in concurrent-log-handler."""

    def getFilesToDelete(self) -> list[str]:
        """Return the paths of the backups that ``backupCount`` does not keep, oldest first."""
        return self._backups().surplus(self.backupCount, self._current_text()) if self.backupCount > 0 else []

    def _span(self, start: int) -> Span:
        if self._overrides("computeRollover"):
            end = max(int(self.computeRollover(start)), start + 1)
        else:
            end = self._schedule.period(start).end
        self.rolloverAt = end
        self._current_start = start
        return Span(start, end)

    def _start(self, moment: float) -> int:
        if self._overrides("computeRollover"):
            return int(moment)
        return self._schedule.period(moment).start

    def _largest_size(self) -> int:
        return self.maxBytes

    def _free_path(self, start: int) -> str:
        return self._backups().free_path(self._time_text(start))

    def _existing(self) -> list[str]:
        return [backup.path for backup in self._backups().existing()]

    def _surplus(self) -> list[str]:
        return self.getFilesToDelete()

    def _late_path(self, moment: float, size: int) -> str | None:
        if self._makes_own_backups():
            return None
        start, state = self._start(moment), self._lock_file.read()
        if self._late is None or self._late[:2] != (start, state):
            self._late = (start, state, self._find_late_path(self._time_text(start)))
        return self._late[2]

    def _find_late_path(self, time_text: str) -> str | None:
        existing = self._backups()
        if self.backupCount > 0 and not existing.would_keep(time_text, self.backupCount, self._current_text()):
            return None
        last = existing.last_path(time_text)
        if last is None or (is_compressed(last) and not last.endswith(".gz")):
            return existing.free_path(time_text)
        return last

    def _current_text(self) -> str | None:
        """Return the time in the name that the current file's backup will have; None while no file was written."""
        return None if self._current_start is None else self._time_text(self._current_start)

    def _time_text(self, start: int) -> str:
        return self._schedule.name(start, self.suffix)

    def _backups(self) -> Backups:
        pattern = None if self.extMatch is self._standard_ext_match else re.compile(self.extMatch)
        return Backups(self.baseFilename, self.suffix, self.rotation_filename, pattern)

    def _makes_own_backups(self) -> bool:
        """Return whether backups may be something else than plain copies named after our periods."""
        return self._rotates_itself() or any(map(self._overrides, ("doRollover", "shouldRollover", "computeRollover")))


class ConcurrentRotatingFileHandler(RollingFileHandler, RotatingFileHandler):
    """A `logging.handlers.RotatingFileHandler` for any number of processes and threads on one file.

    A file ends before the record that would make it reach ``maxBytes``; only a record that is larger alone has a
    larger file, of its own. ``app.log.1`` is the newest backup, ``app.log.2`` the one before.

    What `ConcurrentTimedRotatingFileHandler` says of threads, forks, pickling and closing holds here, too, and its
    arguments of the same names mean the same.

    Args:
        filename: The log file.
        mode: ``a``. As in the standard class, another one counts as ``a`` where ``maxBytes`` is given.
        maxBytes: Which size in bytes a file does not reach; 0 is no limit.
        backupCount: How many backups to keep. With 0 the file never rolls over, as in the standard class.
        encoding: Of the file.
        delay: Open the file with the first record.
        errors: What to do with characters that ``encoding`` lacks.
        use_gzip: Compress the backups.
        owner: The user and the group of new files.
        chmod: The mode of new files.
        umask: Which rights new files do not have.
        newline: What a newline in a record becomes in the file.
        terminator: What ends a record in the file.
        lock_file_directory: Where the lock file stands.
        lock_timeout: Seconds to wait for a process that was stopped while it held the lock.
        keep_file_open: False opens and closes the file for each record.
        **migrating: The other arguments of concurrent-log-handler, as far as they mean something here.

    Raises:
        TypeError, ValueError: An argument is not of its kind; the message says which, and what would be.
        OSError: The log file cannot be written.
    """

    def __init__(
        self,
        filename: "str | PathLike[str]",
        mode: str = "a",
        maxBytes: int = 0,
        backupCount: int = 0,
        encoding: str | None = None,
        delay: bool = False,
        errors: str | None = None,
        *,
        use_gzip: bool = False,
        owner: Sequence[str | int | None] | None = None,
        chmod: int | None = None,
        umask: int | None = None,
        newline: str | None = None,
        terminator: str = "\n",
        lock_file_directory: "str | PathLike[str] | None" = None,
        lock_timeout: float = 5.0,
        keep_file_open: bool | None = None,
        **migrating: object,
    ) -> None:
        check_count("maxBytes", maxBytes, "is no limit")
        check_count("backupCount", backupCount, "never rolls over")
        check_mode(mode, maxBytes)
        given = FileArguments(
            filename=filename,
            encoding=encoding,
            delay=delay,
            errors=errors,
            use_gzip=use_gzip,
            owner=owner,
            chmod=chmod,
            umask=umask,
            newline=newline,
            terminator=terminator,
            lock_file_directory=lock_file_directory,
            lock_timeout=lock_timeout,
            keep_file_open=keep_file_open,
            migrating=migrating,
        )
        RotatingFileHandler.__init__(self, given.path, "a", maxBytes, backupCount, encoding, True, given.errors)
        self._set_up(given)

    def shouldRollover(self, record: logging.LogRecord | None) -> bool:
        """Return whether ``record`` would begin a new file, by the rule of the running Python's own class.

        Override it to roll over for reasons of your own; every record then takes the exclusive lock.
        """
        if self._is_special:
            return False
        with self._lock_file.hold(exclusive=True, timeout=self._lock_timeout):
            if self._current_file([]) is None or self.stream is None or record is None:
                return False
            self.stream.seek(0, os.SEEK_END)
            return bool(RotatingFileHandler.shouldRollover(self, record))

    def _span(self, start: int) -> Span:
        return _EVER

    def _start(self, moment: float) -> int:
        return 0

    def _largest_size(self) -> int:
        return self.maxBytes if self.backupCount > 0 else 0

    def _late_path(self, moment: float, size: int) -> str | None:
        return None

    def _move_aside(self, start: int) -> str | None:
        if self.backupCount <= 0:
            return None  # Asked for all the same, by doRollover: as in the standard class, the file goes on.
        return super()._move_aside(start)

    def _free_path(self, start: int) -> str:
        self._backups().make_room(self.backupCount)
        return self._backups().path(1)

    def _existing(self) -> list[str]:
        return self._backups().existing()

    def _surplus(self) -> list[str]:
        return self._backups().surplus(self.backupCount) if self.backupCount > 0 else []

    def _backups(self) -> NumberedBackups:
        return NumberedBackups(self.baseFilename, self.rotation_filename)

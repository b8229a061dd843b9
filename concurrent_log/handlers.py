"""Drop-in replacements for the rotating file handlers of the standard library."""

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
from concurrent_log.files.options import FileOptions, check_mode, parse_timezone
from concurrent_log.files.periods import Schedule
from concurrent_log.files.rollover import RollingFileHandler
from concurrent_log.files.snapshot import ANY_TIME, Span
from concurrent_log.internal.validation import check_choice, check_count


class ConcurrentTimedRotatingFileHandler(RollingFileHandler, TimedRotatingFileHandler):
    """A `logging.handlers.TimedRotatingFileHandler` for any number of processes and threads on one file.

    A record is written to the file of the period in which it was created, unless retention has deleted that period.
    Periods are aligned to the clock: with ``when="H"`` a file ends at the full hour, in every process.

    Safe to use from threads and in the children of a fork. The handler can be pickled if its formatter, filters, namer
    and rotator can. After `close` the next record opens the file again.

    Args:
        filename: The log file. Missing folders are created. A device or a pipe never rolls over.
        when: ``S``, ``M``, ``H``, ``D``, ``midnight``, or ``W0`` (Monday) to ``W6``.
        interval: Length of a period, in units of ``when``. Periods are counted from 1970 on the clock of the zone.
        backupCount: Number of periods to keep besides the current file; 0 keeps all.
        encoding: Encoding of the file; None means that of the locale. A character that it lacks is written as a
            backslash escape, unless ``errors`` is set to another value than ``strict``. With a byte-order mark
            (``utf-16``), each record takes the exclusive lock.
        delay: Open the file with the first record. The handler still checks at once that the file can be written.
        utc: Use UTC for periods and names, not local time.
        atTime: The time of day at which ``midnight`` and ``W0`` to ``W6`` roll over.
        errors: Handling of characters that ``encoding`` lacks, as for `open`.
        maxBytes: Size in bytes that no file reaches: the file also rolls over before the record that would reach it. 0
            means no limit. The backups of one period are numbered, and count as one for ``backupCount``.
        timezone: Zone for periods, ``atTime`` and names, independent of the machine's zone: an IANA name such as
            ``"Asia/Seoul"``, or a `datetime.tzinfo`.
        mode: Only ``a`` is supported; for compatibility with concurrent-log-handler.
        use_gzip: Compress backups to ``NAME.gz`` after the rollover, in a thread and without the lock.
        owner: User and group of new files: each a name, a number, or None to leave it unchanged. By default a new file
            has the mode and owner of the file that it replaces.
        chmod: Mode of new files, such as ``0o640``. Every user who may write the log file may use the lock file.
        umask: Permissions that new files do not have, such as ``0o027``; replaces the umask of the process.
        newline: Replacement for a newline in a record, as for `open`.
        terminator: Text at the end of each record.
        lock_file_directory: Folder of the lock file; by default that of the log file.
        lock_timeout: Seconds to wait for the lock, which a stopped process may hold. After that, records are appended
            to the current file without the lock and without waiting, and the file does not roll over until the lock
            can be acquired again.
        keep_file_open: False opens and closes the file for each record, under the exclusive lock. This is the default
            on Windows (where True is ignored) and on file systems that are not known to be local. True keeps the file
            open there, but each record still takes the exclusive lock.
        unicode_error_policy: ``errors`` under the name it has in concurrent-log-handler.
        debug: Only False is supported; for compatibility with concurrent-log-handler.

    Raises:
        TypeError, ValueError: An argument is invalid; the message names it and the remedy.
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
        mode: str = "a",
        use_gzip: bool = False,
        owner: Sequence[str | int | None] | None = None,
        chmod: int | None = None,
        umask: int | None = None,
        newline: str | None = None,
        terminator: str = "\n",
        lock_file_directory: "str | PathLike[str] | None" = None,
        lock_timeout: float = 5.0,
        keep_file_open: bool | None = None,
        unicode_error_policy: str | None = None,
        debug: bool = False,
    ) -> None:
        check_choice("utc", utc, (True, False))
        self._schedule = Schedule(when, interval, atTime, parse_timezone(timezone, utc))
        check_count("backupCount", backupCount, "keeps everything")
        check_count("maxBytes", maxBytes, "is no limit")
        options = FileOptions(
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
            unicode_error_policy=unicode_error_policy,
            debug=debug,
            mode=mode,
        )
        while True:
            with contextlib.suppress(FileNotFoundError):
                TimedRotatingFileHandler.__init__(
                    self, options.path, when, interval, backupCount, encoding, True, utc, atTime, options.errors
                )
                break
            # Another process rolled over between exists() and stat() of the standard class.
        self.maxBytes = maxBytes
        self._standard_ext_match = self.extMatch
        self._current_start: int | None = None
        self._cached_late_path: tuple[int, bytes, str | None] | None = None
        self.finalize_handler_configuration()
        self._set_up(options)

    def finalize_handler_configuration(self) -> None:
        """Do nothing; override it to set ``suffix``, ``namer`` and so on, as in concurrent-log-handler."""

    def getFilesToDelete(self) -> list[str]:
        """Return the paths of the backups to delete by ``backupCount``, oldest first."""
        return self._backups().expired(self.backupCount, self._current_text()) if self.backupCount > 0 else []

    def _span(self, start: int) -> Span:
        if self._overrides("computeRollover"):
            end = max(int(self.computeRollover(start)), start + 1)
        else:
            end = self._schedule.period(start).end
        self.rolloverAt = end
        self._current_start = start
        return Span(start, end)

    def _period_start(self, moment: float) -> int:
        if self._overrides("computeRollover"):
            return int(moment)
        return self._schedule.period(moment).start

    def _max_file_size(self) -> int:
        return self.maxBytes

    def _new_backup_path(self, start: int) -> str:
        return self._backups().new_path(self._time_text(start))

    def _existing_backups(self) -> list[str]:
        return [backup.path for backup in self._backups().existing()]

    def _expired_backups(self) -> list[str]:
        return self.getFilesToDelete()

    def _late_record_path(self, moment: float, size: int) -> str | None:
        if self._has_custom_backups():
            return None
        start, state = self._period_start(moment), self._lock_file.read_state()
        if self._cached_late_path is None or self._cached_late_path[:2] != (start, state):
            self._cached_late_path = (start, state, self._find_late_record_path(self._time_text(start)))
        return self._cached_late_path[2]

    def _find_late_record_path(self, time_text: str) -> str | None:
        backups = self._backups()
        if self.backupCount > 0 and not backups.would_keep(time_text, self.backupCount, self._current_text()):
            return None
        last = backups.last_path(time_text)
        if last is None or (is_compressed(last) and not last.endswith(".gz")):
            return backups.new_path(time_text)
        return last

    def _current_text(self) -> str | None:
        """Return the time in the name of the current file's future backup; None before the first record."""
        return None if self._current_start is None else self._time_text(self._current_start)

    def _time_text(self, start: int) -> str:
        return self._schedule.name(start, self.suffix)

    def _backups(self) -> Backups:
        pattern = None if self.extMatch is self._standard_ext_match else re.compile(self.extMatch)
        return Backups(self.baseFilename, self.suffix, self.rotation_filename, pattern)

    def _has_custom_backups(self) -> bool:
        """Return whether backups may be different from plain files that are named after periods."""
        return self._has_custom_rotator() or any(
            map(self._overrides, ("doRollover", "shouldRollover", "computeRollover"))
        )


class ConcurrentRotatingFileHandler(RollingFileHandler, RotatingFileHandler):
    """A `logging.handlers.RotatingFileHandler` for any number of processes and threads on one file.

    A file rolls over before the record that would make it reach ``maxBytes``. A single record that is larger gets a
    file of its own. ``app.log.1`` is the newest backup, ``app.log.2`` the one before it.

    For threads, forks, pickling and closing, see `ConcurrentTimedRotatingFileHandler`. Its arguments of the same names
    have the same meaning.

    Args:
        filename: The log file.
        mode: ``a``. As in the standard class, another mode counts as ``a`` if ``maxBytes`` is set.
        maxBytes: Size in bytes that no file reaches; 0 means no limit.
        backupCount: Number of backups to keep. With 0 the file never rolls over, as in the standard class.
        encoding: Encoding of the file.
        delay: Open the file with the first record.
        errors: Handling of characters that ``encoding`` lacks.
        use_gzip: Compress the backups.
        owner: User and group of new files.
        chmod: Mode of new files.
        umask: Permissions that new files do not have.
        newline: Replacement for a newline in a record.
        terminator: Text at the end of each record.
        lock_file_directory: Folder of the lock file.
        lock_timeout: Seconds to wait for the lock, which a stopped process may hold.
        keep_file_open: False opens and closes the file for each record.
        unicode_error_policy: ``errors`` under the name it has in concurrent-log-handler.
        debug: Only False is supported; for compatibility with concurrent-log-handler.

    Raises:
        TypeError, ValueError: An argument is invalid; the message names it and the remedy.
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
        unicode_error_policy: str | None = None,
        debug: bool = False,
    ) -> None:
        check_count("maxBytes", maxBytes, "is no limit")
        check_count("backupCount", backupCount, "never rolls over")
        check_mode(mode, maxBytes)
        options = FileOptions(
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
            unicode_error_policy=unicode_error_policy,
            debug=debug,
        )
        RotatingFileHandler.__init__(self, options.path, "a", maxBytes, backupCount, encoding, True, options.errors)
        self._set_up(options)

    def shouldRollover(self, record: logging.LogRecord | None) -> bool:
        """Return whether the file must roll over before ``record``, by the rule of the standard class.

        Override this method to roll over for other reasons; every record then takes the exclusive lock.
        """
        if self._is_special:
            return False
        with self._lock_file.hold(exclusive=True, timeout=self._lock_timeout):
            if self._ensure_current_file([]) is None or self.stream is None or record is None:
                return False
            self.stream.seek(0, os.SEEK_END)
            return bool(RotatingFileHandler.shouldRollover(self, record))

    def _span(self, start: int) -> Span:
        return ANY_TIME

    def _period_start(self, moment: float) -> int:
        return 0

    def _max_file_size(self) -> int:
        return self.maxBytes if self.backupCount > 0 else 0

    def _late_record_path(self, moment: float, size: int) -> str | None:
        return None

    def _move_to_backup(self, start: int) -> str | None:
        if self.backupCount <= 0:
            return None  # Called by doRollover: as in the standard class, the file does not roll over.
        return super()._move_to_backup(start)

    def _new_backup_path(self, start: int) -> str:
        self._backups().make_room(self.backupCount)
        return self._backups().path(1)

    def _existing_backups(self) -> list[str]:
        return self._backups().existing()

    def _expired_backups(self) -> list[str]:
        return self._backups().expired(self.backupCount) if self.backupCount > 0 else []

    def _backups(self) -> NumberedBackups:
        return NumberedBackups(self.baseFilename, self.rotation_filename)

"""Drop-in replacements for the rotating file handlers of the standard library."""

import contextlib
import logging
import os
import weakref
from collections.abc import Callable, Sequence
from datetime import time as time_of_day
from datetime import tzinfo
from logging.handlers import RotatingFileHandler, TimedRotatingFileHandler
from os import PathLike
from typing import Any

from concurrent_log.files.adapter import FileAdapter
from concurrent_log.files.backups import Backups
from concurrent_log.files.backups.numbered import NumberedBackups
from concurrent_log.files.backups.timed import TimedBackups
from concurrent_log.files.options import FileOptions, check_mode, parse_timezone
from concurrent_log.files.overrides import is_overridden, overridden, own_handler
from concurrent_log.files.periods import Schedule
from concurrent_log.files.rollover import Mover, Rollover, SizedRollover, TimedRollover
from concurrent_log.files.view import NO_VIEW
from concurrent_log.internal.validation import check_choice, check_count


@own_handler
class ConcurrentTimedRotatingFileHandler(FileAdapter, TimedRotatingFileHandler):
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

    _backups: TimedBackups

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
        self._standard_pattern = self.extMatch
        self.finalize_handler_configuration()
        self._build(options)

    def finalize_handler_configuration(self) -> None:
        """Do nothing; override it to set ``suffix``, ``namer`` and so on, as in concurrent-log-handler."""

    def getFilesToDelete(self) -> list[str]:
        """Return the paths of the backups to delete by ``backupCount``, oldest first."""
        return self._backups.outlived()

    @property  # type: ignore[override]
    def rolloverAt(self) -> float:
        """When the current file ends, in seconds since the epoch. Set it to roll over earlier or later, once."""
        span = self._rollover.current if "_rollover" in vars(self) else None
        if span is not None:
            return span.end
        early: float = vars(self)["_early_rollover"]
        return early

    @rolloverAt.setter
    def rolloverAt(self, moment: float) -> None:
        vars(self)["_early_rollover"] = moment
        if "_rollover" in vars(self):  # otherwise it is set by the standard ``__init__``
            self._rollover.force_end(moment)
            self._log_file.view = NO_VIEW

    def _make_rollover(self) -> tuple[Rollover, Backups]:
        me, log_file = weakref.proxy(self), self._log_file
        backups = TimedBackups(
            lambda: log_file.path,
            self._schedule,
            me,
            lambda name: me.rotation_filename(name),
            lambda: me._current_start(),
            lambda: me._makes_own_backups(),
            lambda: me.getFilesToDelete(),
            self._standard_pattern,
        )
        mover = Mover(
            log_file,
            backups,
            lambda: me._own_rotator(),
            lambda moment: me._rollover.start_of(moment),
        )
        self._rollover = TimedRollover(self._schedule, mover, lambda: me._own_compute_rollover())
        return self._rollover, backups

    def _limit(self) -> int:
        return int(self.maxBytes)

    def _current_start(self) -> int | None:
        span = self._rollover.current
        return None if span is None else int(span.start)

    def _makes_own_backups(self) -> bool:
        """Return whether the program makes its backups itself: they need not be copies named after our periods."""
        names = ("doRollover", "shouldRollover", "computeRollover")
        return self._own_rotator() is not None or any(is_overridden(self, name) for name in names)

    def _own_compute_rollover(self) -> Callable[[int], Any] | None:
        """Return the program's own `computeRollover`, or None."""
        return overridden(self, "computeRollover")


@own_handler
class ConcurrentRotatingFileHandler(FileAdapter, RotatingFileHandler):
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
        self._build(options)

    def shouldRollover(self, record: logging.LogRecord | None) -> bool:
        """Return whether the file must roll over before ``record``, by the rule of the standard class.

        Override this method to roll over for other reasons; every record then takes the exclusive lock.
        """
        if self._log_writer.is_special:
            return False
        with self._lock_file.hold(exclusive=True, timeout=self._file_options.lock_timeout):
            if self._log_writer.current_file([]) is None or self.stream is None or record is None:
                return False
            self.stream.seek(0, os.SEEK_END)
            return bool(RotatingFileHandler.shouldRollover(self, record))

    def _make_rollover(self) -> tuple[Rollover, Backups]:
        me, log_file = weakref.proxy(self), self._log_file
        backups = NumberedBackups(lambda: log_file.path, me, lambda name: me.rotation_filename(name))
        mover = Mover(log_file, backups, lambda: me._own_rotator(), lambda moment: 0)
        return SizedRollover(mover), backups

    def _limit(self) -> int:
        return int(self.maxBytes) if self.backupCount > 0 else 0

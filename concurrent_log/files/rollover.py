"""Rollover: when it is due, how the log file becomes a backup, and how old backups are deleted or compressed."""

import contextlib
import functools
import logging
import os
import time
from collections.abc import Callable

from concurrent_log.files.batch import BatchFileHandler
from concurrent_log.files.compression import Compressor
from concurrent_log.files.open_file import CAN_RENAME_OPEN_FILES
from concurrent_log.files.options import FileOptions
from concurrent_log.files.rename import move
from concurrent_log.files.snapshot import NO_SNAPSHOT, Span
from concurrent_log.files.streams import status_of
from concurrent_log.files.writer import creation_time

_ATTEMPTS = 10


class RollingFileHandler(BatchFileHandler):
    """Base class: rolls a file over to a backup.

    Subclasses define the path of the next backup (`_new_backup_path`), the existing backups (`_existing_backups`) and
    those to delete (`_expired_backups`).
    """

    _use_gzip = False

    def _set_up(self, options: FileOptions) -> None:
        self._use_gzip = options.use_gzip
        super()._set_up(options)

    def _new_backup_path(self, start: int) -> str:
        """Return an unused path for the records since ``start``; the exclusive lock is held."""
        raise NotImplementedError

    def _existing_backups(self) -> list[str]:
        """Return the paths of the backups, oldest first."""
        raise NotImplementedError

    def _expired_backups(self) -> list[str]:
        """Return the paths of the backups to delete, oldest first."""
        raise NotImplementedError

    def _is_due(self, record: logging.LogRecord, moment: float, span: Span, status: os.stat_result, size: int) -> bool:
        """Return whether the file must roll over before ``record``: ``size`` bytes, created at ``moment``."""
        if self._overrides("shouldRollover"):
            return bool(self.shouldRollover(record))
        return moment >= span.end or self._is_full(status, size)

    def _try_roll_over(self, record: logging.LogRecord, status: os.stat_result, problems: list[Exception]) -> bool:
        """Roll over, and return whether that succeeded; an empty file needs no rollover."""
        try:
            if self._overrides("doRollover"):
                self.doRollover()
                if self.stream is not None:
                    self.stream.flush()  # An overriding method may have written a header.
            elif status.st_size:
                self._roll_over(status)
        except Exception as error:
            problems.append(error)
            return False
        return True

    def _roll_over(self, status: os.stat_result) -> None:
        """Move the log file to its backup and open a new one with its mode and owner; the exclusive lock is held."""
        previous, self.stream = self.stream, None
        self._snapshot = NO_SNAPSHOT
        backup = None
        try:
            if not CAN_RENAME_OPEN_FILES and previous is not None:
                previous.close()
            backup = self._move_to_backup(self._current_period_start(status))
            self._create_like(status)
            self.stream = self._open()
        except BaseException:
            if backup is not None and not os.path.lexists(self.baseFilename):
                with contextlib.suppress(OSError):
                    move(backup, self.baseFilename)  # For example, the disk has no room for another file.
            # The following records go to the open file, if it still has a name.
            previous_status = status_of(previous)
            self.stream = previous if previous_status is not None and previous_status.st_nlink else None
            raise
        if previous is not None:
            previous.close()
        self._cleanup_pending = True

    def _clean_up(self, record: logging.LogRecord) -> None:
        try:
            problems = self._clean_up_backups(functools.partial(self._report, "compress", record))
        except Exception as error:
            problems = [error]
        self._report("clean up", record, problems)

    def _set_up_process(self) -> None:
        super()._set_up_process()
        self._compressor = Compressor(self._lock_path, self._lock_file.create)

    def _move_to_backup(self, start: int) -> str | None:
        """Move the log file to the backup of the records since ``start``; the exclusive lock is held.

        Returns the path of the backup, or None if the file cannot be moved back from there.
        """
        if self._has_custom_rotator():
            self._run_rotator(start)
            return None
        for _ in range(_ATTEMPTS):
            backup = self._prepare_backup_path(start)
            try:
                move(self.baseFilename, backup)
            except FileNotFoundError:
                return None  # Another program has moved the log file.
            except FileExistsError:
                continue  # A process with another lock file has taken the name.
            return backup
        raise FileExistsError(f"no free name was found for a backup of {self.baseFilename}")

    def _run_rotator(self, start: int) -> None:
        """Let the user's rotator create the backup from a file to which no process appends.

        The rotator may copy the file and then remove it, and may take longer than ``lock_timeout``. Records that other
        processes append in the meantime must not be in the file that it removes.
        """
        aside = f"{self.baseFilename}.rotating"
        if os.path.exists(aside):  # A process was killed at this point, or its rotator failed.
            self.rotate(aside, self._prepare_backup_path(self._period_start(os.stat(aside).st_mtime)))
        move(self.baseFilename, aside)
        try:
            self.rotate(aside, self._prepare_backup_path(start))
        except BaseException:
            with contextlib.suppress(OSError):
                move(aside, self.baseFilename)
            raise

    def _prepare_backup_path(self, start: int) -> str:
        path = self._new_backup_path(start)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def _has_custom_rotator(self) -> bool:
        """Return whether the program defines how a backup is created."""
        return self.rotator is not None or self._overrides("rotate")

    def _clean_up_backups(self, report: Callable[[list[Exception]], None]) -> list[Exception]:
        """Delete expired backups, start compressing the others, and return the errors.

        Compression runs in a thread, which calls ``report`` at its end.
        """
        problems: list[Exception] = []
        for path in self._expired_backups():
            try:
                os.remove(path)
            except FileNotFoundError:
                pass  # Another process deletes backups, too.
            except OSError as error:
                problems.append(error)
        if self._use_gzip and not self._has_custom_rotator():
            self._compressor.start(self._existing_backups, report)
        return problems

    # The standard interface.

    def shouldRollover(self, record: logging.LogRecord | None) -> bool:
        """Return whether the file must roll over before ``record``.

        Override this method to roll over for other reasons; every record then takes the exclusive lock.
        """
        if self._is_special:
            return False
        with self._lock_file.hold(exclusive=True, timeout=self._lock_timeout):
            status = self._ensure_current_file([])
            if status is None or not status.st_size:
                return False
            now = time.time()
            moment = min(creation_time(record, now), now) if record else now
            if moment >= self._span(self._current_period_start(status)).end:
                return True
            return self._is_full(status, len(self._encode(record) if record else self._encoded_terminator()))

    def doRollover(self) -> None:
        """Roll over now: move the log file to the backup of its period and open a new one.

        The other processes continue in the new file. An empty file stays as it is. If a signal handler calls this
        method while a record is being written, the rollover follows before the next record.

        Raises:
            TimeoutError: Another process holds the lock for longer than ``lock_timeout``.
            Exception: The rollover failed.
        """
        problems: list[Exception] = []
        if self._lock_file.is_held_shared():
            self._rollover_requested = True  # A signal handler interrupted a record.
            self._snapshot = NO_SNAPSHOT
            return
        with self._lock_file.hold(exclusive=True, timeout=self._lock_timeout) as problem:
            if problem is not None:
                raise problem
            status = None if self._is_special else self._ensure_current_file(problems)
            if status is not None and status.st_size:
                start = self._current_period_start(status)
                self._roll_over(status)
                status = self._ensure_current_file(problems) or status
                state, _ = self._write_state(max(start, self._period_start(time.time())), status)
                self._span(state.start)
        if self._cleanup_pending and not self._lock_file.held:
            self._cleanup_pending = False
            record = logging.makeLogRecord({"msg": "doRollover of %s", "args": (self.baseFilename,)})
            problems += self._clean_up_backups(functools.partial(self._report, "compress", record))
        if problems:
            raise problems[0]

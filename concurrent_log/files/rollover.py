"""What a rollover does with the files: moves the log aside, deletes what outlived retention, compresses the rest."""

import contextlib
import functools
import logging
import os
import time
from collections.abc import Callable

from concurrent_log.files.batch import BatchFileHandler
from concurrent_log.files.compression import Compressor
from concurrent_log.files.open_file import CAN_RENAME_OPEN_FILES
from concurrent_log.files.options import FileArguments
from concurrent_log.files.rename import move
from concurrent_log.files.snapshot import NO_VIEW, Span
from concurrent_log.files.streams import status_of
from concurrent_log.files.writer import creation_time

_TRIES = 10


class RollingFileHandler(BatchFileHandler):
    """A file that leaves backups; not of use on its own.

    A subclass says what the next backup is called (`_free_path`), which backups there are (`_existing`) and which
    of them are too many (`_surplus`).
    """

    _use_gzip = False

    def _set_up(self, given: FileArguments) -> None:
        self._use_gzip = given.use_gzip
        super()._set_up(given)

    def _free_path(self, start: int) -> str:
        """Return a path for the records since ``start`` at which no file stands; the exclusive lock is held."""
        raise NotImplementedError

    def _existing(self) -> list[str]:
        """Return the paths of the backups, oldest first."""
        raise NotImplementedError

    def _surplus(self) -> list[str]:
        """Return the paths of the backups that are not to be kept, oldest first."""
        raise NotImplementedError

    def _is_due(self, record: logging.LogRecord, moment: float, span: Span, found: os.stat_result, size: int) -> bool:
        """Return whether a new file begins with ``record``, of ``size`` bytes, which was created at ``moment``."""
        if self._overrides("shouldRollover"):
            return bool(self.shouldRollover(record))
        return moment >= span.end or self._is_full(found, size)

    def _roll_over_for(self, record: logging.LogRecord, found: os.stat_result, problems: list[Exception]) -> bool:
        """Begin a new file, and return whether that worked; an empty file is as good as a new one."""
        try:
            if self._overrides("doRollover"):
                self.doRollover()
                if self.stream is not None:
                    self.stream.flush()  # such as a header that an overriding method writes
            elif found.st_size:
                self._roll_over(found)
        except Exception as error:
            problems.append(error)
            return False
        return True

    def _roll_over(self, found: os.stat_result) -> None:
        """Move the log file aside and open a new one with its mode and owner; the exclusive lock is held."""
        previous, self.stream = self.stream, None
        self._view = NO_VIEW
        backup = None
        try:
            if not CAN_RENAME_OPEN_FILES and previous is not None:
                previous.close()
            backup = self._move_aside(self._state_start(found))
            self._create_like(found)
            self.stream = self._open()
        except BaseException:
            if backup is not None and not os.path.lexists(self.baseFilename):
                with contextlib.suppress(OSError):
                    move(backup, self.baseFilename)  # such as on a disk that has no room for one more file
            # Whatever failed, records go on into the file we have, if it still has a name.
            status = status_of(previous)
            self.stream = previous if status is not None and status.st_nlink else None
            raise
        if previous is not None:
            previous.close()
        self._after_rollover = True

    def _tidy_up(self, record: logging.LogRecord) -> None:
        try:
            problems = self._tidy(functools.partial(self._report, "compress", record))
        except Exception as error:
            problems = [error]
        self._report("tidy", record, problems)

    def _attach(self) -> None:
        super()._attach()
        self._compressor = Compressor(self._lock_path, self._lock_file.create)

    def _move_aside(self, start: int) -> str | None:
        if self._rotates_itself():
            self._rotate_aside(start)
            return None
        for _ in range(_TRIES):
            backup = self._destination(start)
            try:
                move(self.baseFilename, backup)
            except FileNotFoundError:
                return None  # Somebody else moved the log file away.
            except FileExistsError:
                continue  # Somebody else, with another lock file, took the name.
            return backup
        raise FileExistsError(f"no free name could be had for a backup of {self.baseFilename}")

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
        path = self._free_path(start)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def _rotates_itself(self) -> bool:
        """Return whether the program has its own way to make a backup of the log file."""
        return self.rotator is not None or self._overrides("rotate")

    def _tidy(self, report: Callable[[list[Exception]], None]) -> list[Exception]:
        problems: list[Exception] = []
        for path in self._surplus():
            try:
                os.remove(path)
            except FileNotFoundError:
                pass  # Another process tidies up, too.
            except OSError as error:
                problems.append(error)
        if self._use_gzip and not self._rotates_itself():
            self._compressor.start(self._existing, report)
        return problems

    # The standard interface.

    def shouldRollover(self, record: logging.LogRecord | None) -> bool:
        """Return whether ``record`` would begin a new file.

        Override it to roll over for reasons of your own; every record then takes the exclusive lock.
        """
        if self._is_special:
            return False
        with self._lock_file.hold(exclusive=True, timeout=self._lock_timeout):
            found = self._current_file([])
            if found is None or not found.st_size:
                return False
            now = time.time()
            moment = min(creation_time(record, now), now) if record else now
            if moment >= self._span(self._state_start(found)).end:
                return True
            return self._is_full(found, len(self._encoded(record) if record else self._end_of_record()))

    def doRollover(self) -> None:
        """Roll over now: move the log file to the backup of its period and begin a new one.

        The other processes go on in the new file. A file without records stays as it is. Called by a signal handler
        while a record is being written, it rolls over before the next record. Raises what the
        rollover raises, and `TimeoutError` where another process keeps the lock longer than ``lock_timeout``.
        """
        problems: list[Exception] = []
        if self._lock_file.is_appending():
            self._rollover_is_wanted = True  # by a signal handler, in the middle of a record
            self._view = NO_VIEW
            return
        with self._lock_file.hold(exclusive=True, timeout=self._lock_timeout) as problem:
            if problem is not None:
                raise problem
            found = None if self._is_special else self._current_file(problems)
            if found is not None and found.st_size:
                start = self._state_start(found)
                self._roll_over(found)
                found = self._current_file(problems) or found
                state, _ = self._publish(max(start, self._start(time.time())), found)
                self._span(state.start)
        if self._after_rollover and not self._lock_file.held:
            self._after_rollover = False
            asked = logging.makeLogRecord({"msg": "doRollover of %s", "args": (self.baseFilename,)})
            problems += self._tidy(functools.partial(self._report, "compress", asked))
        if problems:
            raise problems[0]

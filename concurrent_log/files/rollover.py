"""What a rollover does with the files: moves the log aside, deletes what outlived retention, compresses the rest."""

import contextlib
import os
from collections.abc import Callable

from concurrent_log.files.batch import BatchFileHandler
from concurrent_log.files.compression import Compressor
from concurrent_log.files.options import FileArguments
from concurrent_log.files.rename import move

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

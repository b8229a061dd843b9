"""The files of the handler of dated files, besides the current one."""

import contextlib
import os
from collections.abc import Callable
from typing import Protocol

from concurrent_log.files.backups.dated_names import DatedNames


class DatedSettings(Protocol):
    """What the program may change at any time."""

    maxBytes: int  # noqa: N815 - the standard name
    backupCount: int  # noqa: N815


class DatedBackups:
    """The files of earlier days.

    Args:
        names: All files of the handler.
        settings: Has the number of days to keep, and the maximum size of a file.
        day_of: Returns the day of a moment, such as ``2025-01-20``.
        today: Returns the day of the current file.
    """

    def __init__(
        self,
        names: DatedNames,
        settings: DatedSettings,
        day_of: Callable[[float], str],
        today: Callable[[], str],
    ) -> None:
        self._names = names
        self._settings = settings
        self._day_of = day_of
        self._today = today
        self._late: tuple[tuple[str, bytes], str | None] | None = None

    @property
    def late_records_can_share(self) -> bool:
        """Whether there is no maximum size: only the exclusive lock can keep an earlier file below it."""
        return not self._settings.maxBytes

    def wanted(self) -> bool:
        """Return True."""
        return True

    def next_path(self, start: int) -> str:
        """Do not call it: a dated file is its own backup."""
        raise NotImplementedError

    def existing(self) -> list[str]:
        """Return the paths of all files, oldest first."""
        return [file.path for file in self._names.existing()]

    def expired(self) -> list[str]:
        """Return the paths of the files of all but the newest ``backupCount`` earlier days; none if that is 0."""
        keep = int(self._settings.backupCount)
        if keep <= 0:
            return []
        outlived = self._earlier_days()[:-keep]
        return [file.path for file in self._names.existing() if file.day in outlived]

    def late_path(self, created: float, size: int, state: bytes) -> str | None:
        """Return the newest file of the day of ``created`` that has room, unless retention does not keep the day."""
        key = self._day_of(created), state
        if self._late is None or self._late[0] != key or not self._fits(self._late[1], size):
            self._late = key, self._find_late_path(key[0], size)
        return self._late[1]

    def _find_late_path(self, day: str, size: int) -> str | None:
        newer = [other for other in self._earlier_days() if other > day]
        if 0 < self._settings.backupCount <= len(newer):
            return None
        last = self._names.last(day)
        if last is not None and last.is_plain and self._fits(last.path, size):
            return last.path
        return self._names.path(day, last.number + 1 if last else 1)

    def _fits(self, path: str | None, size: int) -> bool:
        """Return whether the file at ``path`` has room for ``size`` more bytes; one that does not exist has."""
        limit = self._settings.maxBytes
        if path is None or not limit:
            return True
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(path).st_size
            return not (found > 0 and limit <= found + size)
        return True

    def _earlier_days(self) -> list[str]:
        """Return the days before the current one that have files, in order."""
        today = self._today()
        return sorted({file.day for file in self._names.existing() if file.day < today})

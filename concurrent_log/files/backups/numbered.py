"""The backups of the handler by size: ``app.log.1`` is the newest."""

from collections.abc import Callable
from typing import Protocol

from concurrent_log.files.backups.numbered_names import NumberedNames


class NumberedSettings(Protocol):
    """What the program may change at any time."""

    backupCount: int  # noqa: N815 - the standard name


class NumberedBackups:
    """Backups that get the next number with each rollover.

    Args:
        path: Returns the absolute path of the log file, which the program may change.
        settings: Has the number of backups to keep; with 0 there are none.
        rename: Turns the default name of a backup into the one it gets.
    """

    late_records_can_share = True

    def __init__(self, path: Callable[[], str], settings: NumberedSettings, rename: Callable[[str], str]) -> None:
        self._path = path
        self._rename = rename
        self._settings = settings

    def wanted(self) -> bool:
        """Return whether any backup is kept."""
        return self._settings.backupCount > 0

    def next_path(self, start: int) -> str:
        """Give every backup the next number, and return the path of number 1."""
        names = self._names()
        names.make_room(int(self._settings.backupCount))
        return names.path(1)

    def existing(self) -> list[str]:
        """Return the paths of the backups without a gap before them, oldest first."""
        return self._names().existing()

    def expired(self) -> list[str]:
        """Return the paths of the backups beyond ``backupCount``; none if that is 0."""
        keep = int(self._settings.backupCount)
        return self._names().expired(keep) if keep > 0 else []

    def late_path(self, created: float, size: int, state: bytes) -> str | None:
        """Return None: no record is late for a file without a period."""
        return None

    def _names(self) -> NumberedNames:
        return NumberedNames(self._path(), self._rename)

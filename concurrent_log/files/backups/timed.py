"""The backups of the handler by time: one or more for each period."""

import re
from collections.abc import Callable
from typing import Protocol

from concurrent_log.files.backups.timed_names import TimedNames, is_compressed
from concurrent_log.files.periods import Schedule


class TimedSettings(Protocol):
    """What the program may change at any time."""

    suffix: str
    extMatch: "re.Pattern[str]"  # noqa: N815 - the standard name
    backupCount: int  # noqa: N815


class TimedBackups:
    """Backups named after their periods.

    Args:
        path: Returns the absolute path of the log file, which the program may change.
        schedule: The periods.
        settings: Has the format of the time in a name, and the number of periods to keep.
        rename: Turns the default name of a backup into the one it gets.
        current_start: Returns where the period of the current file begins, or None while that is unknown.
        are_own: Returns whether the program makes its backups itself: they need not be plain copies.
        files_to_delete: Returns the backups that retention does not keep.
        standard_pattern: The ``extMatch`` of the standard class; another one finds the time in names.
    """

    late_records_can_share = True

    def __init__(
        self,
        path: Callable[[], str],
        schedule: Schedule,
        settings: TimedSettings,
        rename: Callable[[str], str],
        current_start: Callable[[], int | None],
        are_own: Callable[[], bool],
        files_to_delete: Callable[[], list[str]],
        standard_pattern: object,
    ) -> None:
        self._path = path
        self._schedule = schedule
        self._settings = settings
        self._rename = rename
        self._current_start = current_start
        self._are_own = are_own
        self._files_to_delete = files_to_delete
        self._standard_pattern = standard_pattern
        self._late: tuple[int, bytes, str | None] | None = None

    def wanted(self) -> bool:
        """Return True."""
        return True

    def next_path(self, start: int) -> str:
        """Return a free path for one more backup of the period that begins at ``start``."""
        return self._names().new_path(self._time_text(start))

    def existing(self) -> list[str]:
        """Return the paths of the backups, oldest first."""
        return [backup.path for backup in self._names().existing()]

    def expired(self) -> list[str]:
        """Return the paths of the backups to delete, as `getFilesToDelete` of the handler says."""
        return self._files_to_delete()

    def outlived(self) -> list[str]:
        """Return the paths of the backups of all but the newest ``backupCount`` periods; none if that is 0."""
        keep = int(self._settings.backupCount)
        return self._names().expired(keep, self._current_text()) if keep > 0 else []

    def late_path(self, created: float, size: int, state: bytes) -> str | None:
        """Return the newest backup of the period of ``created``, unless retention does not keep the period."""
        if self._are_own():
            return None
        start = self._schedule.period(created).start
        if self._late is None or self._late[:2] != (start, state):
            self._late = (start, state, self._find_late_path(self._time_text(start)))
        return self._late[2]

    def _find_late_path(self, time_text: str) -> str | None:
        names, keep = self._names(), int(self._settings.backupCount)
        if keep > 0 and not names.would_keep(time_text, keep, self._current_text()):
            return None
        last = names.last_path(time_text)
        if last is None or (is_compressed(last) and not last.endswith(".gz")):
            return names.new_path(time_text)
        return last

    def _current_text(self) -> str | None:
        """Return the time in the name that the current file's backup will have; None while it is unknown."""
        start = self._current_start()
        return None if start is None else self._time_text(start)

    def _time_text(self, start: int) -> str:
        return self._schedule.name(start, self._settings.suffix)

    def _names(self) -> TimedNames:
        pattern = self._settings.extMatch
        own = None if pattern is self._standard_pattern else re.compile(pattern)
        return TimedNames(self._path(), self._settings.suffix, self._rename, own)

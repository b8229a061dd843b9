"""The backups of a log file: their names, which exist, and which retention removes."""

from typing import Protocol


class Backups(Protocol):
    """The backups of one log file, however they are named."""

    @property
    def late_records_can_share(self) -> bool:
        """Whether the shared lock is sufficient to append a late record to a backup."""

    def wanted(self) -> bool:
        """Return whether a rollover makes a backup at all."""

    def next_path(self, start: int) -> str:
        """Return a free path for the backup of the records since ``start``; the exclusive lock is held."""

    def existing(self) -> list[str]:
        """Return the paths of the backups, oldest first."""

    def expired(self) -> list[str]:
        """Return the paths of the backups that retention does not keep, oldest first."""

    def late_path(self, created: float, size: int, state: bytes) -> str | None:
        """Return the file for ``size`` bytes of an earlier period; None is the current file.

        The answer may be remembered as long as the lock file contains ``state``.
        """

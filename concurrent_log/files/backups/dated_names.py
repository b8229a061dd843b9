"""Dated log files, such as ``App_2025-01-20_001_KST.log``: the name has a prefix, the day, a number and the zone."""

import contextlib
import os
import re
from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from concurrent_log.files.backups.timed_names import COMPRESSIONS
from concurrent_log.files.open_files import with_room

_ENDING = rf"({'|'.join(map(re.escape, COMPRESSIONS))})?"


class DatedFile(NamedTuple):
    """One of the files; they sort in the order of their records.

    Attributes:
        day: Such as ``2025-01-20``.
        number: From 1; the name has at least three digits.
        path: The path of the file.
        is_plain: Whether records may be appended to it: it is neither compressed nor a folder.
    """

    day: str
    number: int
    path: str
    is_plain: bool


class DatedNames:
    """All log files of one prefix and one zone.

    Args:
        folder: The absolute path of their folder.
        prefix: The beginning of their names.
        zone: The zone as their names spell it.
    """

    def __init__(self, folder: str, prefix: str, zone: str) -> None:
        self._folder = folder
        self._prefix = prefix
        self._zone = zone
        # The whole name must match: the files of the prefix App_2 do not belong to App.
        self._pattern = re.compile(
            rf"{re.escape(prefix)}_([1-9][0-9]{{3}}-[0-9]{{2}}-[0-9]{{2}})_([0-9]{{3,}})_{re.escape(zone)}\.log{_ENDING}",
            re.DOTALL,
        )

    def path(self, day: str, number: int) -> str:
        """Return the path of the file ``number`` of ``day``."""
        return os.path.join(self._folder, f"{self._prefix}_{day}_{number:03}_{self._zone}.log")

    def existing(self) -> list[DatedFile]:
        """Return the existing files in the order of their records, including compressed ones."""
        return sorted(self._find())

    def newest(self, up_to: str) -> DatedFile | None:
        """Return the newest plain file, up to and including the day ``up_to``."""
        return max((file for file in self._find() if file.is_plain and file.day <= up_to), default=None)

    def last(self, day: str) -> DatedFile | None:
        """Return the file of ``day`` with the highest number."""
        return max((file for file in self._find() if file.day == day), default=None)

    def _find(self) -> Iterator[DatedFile]:
        with (
            contextlib.suppress(FileNotFoundError, NotADirectoryError),
            with_room(lambda: os.scandir(self._folder)) as entries,
        ):
            for entry in entries:
                match = self._pattern.fullmatch(entry.name)
                if match and _is_date(match[1]):
                    yield DatedFile(match[1], int(match[2]), entry.path, match[3] is None and entry.is_file())


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True

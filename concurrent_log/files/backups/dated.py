"""The names of dated log files, such as ``App_2025-01-20_001_KST.log``: prefix, day, number and zone."""

import contextlib
import os
import re
from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from concurrent_log.files.backups.timed import COMPRESSIONS

_ENDING = rf"({'|'.join(map(re.escape, COMPRESSIONS))})?"


class DatedFile(NamedTuple):
    """One of the files; they sort in the order of their records.

    Attributes:
        day: Such as ``2025-01-20``.
        number: From 1; the first three digits of it stand in the name at least.
        path: Where it stands.
        is_plain: Whether records may be appended to it: it is neither compressed by somebody, nor a folder.
    """

    day: str
    number: int
    path: str
    is_plain: bool


class DatedFiles:
    """All log files of one prefix and one zone.

    Args:
        folder: The absolute path of the folder that they stand in.
        prefix: What their names begin with.
        zone: How their names spell the zone.
    """

    def __init__(self, folder: str, prefix: str, zone: str) -> None:
        self._folder = folder
        self._prefix = prefix
        self._zone = zone
        # The whole name must be one of ours: the files of the prefix App_2 are none of those of App.
        self._pattern = re.compile(
            rf"{re.escape(prefix)}_([1-9][0-9]{{3}}-[0-9]{{2}}-[0-9]{{2}})_([0-9]{{3,}})_{re.escape(zone)}\.log{_ENDING}",
            re.DOTALL,
        )

    def path(self, day: str, number: int) -> str:
        """Return the path of the file ``number`` of ``day``."""
        return os.path.join(self._folder, f"{self._prefix}_{day}_{number:03}_{self._zone}.log")

    def existing(self) -> list[DatedFile]:
        """Return the files that exist, in the order of their records; also compressed ones, whose names are taken."""
        return sorted(self._find())

    def newest(self, up_to: str) -> DatedFile | None:
        """Return the newest file to which records may be appended, of those up to and including the day ``up_to``."""
        return max((file for file in self._find() if file.is_plain and file.day <= up_to), default=None)

    def last(self, day: str) -> DatedFile | None:
        """Return the file of ``day`` that has the highest number."""
        return max((file for file in self._find() if file.day == day), default=None)

    def _find(self) -> Iterator[DatedFile]:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(self._folder) as entries:
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

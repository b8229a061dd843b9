"""The backups beside a log file: what they are called, which exist, which have outlived retention.

A backup is named after the period whose records it holds. Where that name is taken already (by a file that was
restored, or by a rollover that the program asked for in the middle of a period), the next one gets a number,
``app.log.2026-11-22.0001``: nothing is ever overwritten, and the names sort in the order of the records.
"""

import errno
import functools
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple

_DIRECTIVES = (
    {"Y": r"\d{4}", "j": r"\d{3}"} | dict.fromkeys("mdHIMSyUWV", r"\d{2}") | dict.fromkeys("aAbBpZ", r"[^\W\d_]+\.?")
)
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_NUMBERED = re.compile(r"\.\d{4,}$")
_COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
_COMPRESSED = re.compile(rf"({'|'.join(map(re.escape, _COMPRESSIONS))})$")


class Backup(NamedTuple):
    """One backup: ``period``, by which backups sort in the order of time, and the ``path`` of the file."""

    period: str
    path: str


class Backups:
    """The backups of one log file.

    Args:
        log_file: The absolute path of the log file.
        suffix: The `time.strftime` format of the time in a backup's name.
        rename: Turns the default name of a backup, ``LOG_FILE.TIME``, into the one it gets.
        pattern: Finds the time in a name that ``suffix`` does not describe; by default the suffix does.
    """

    def __init__(
        self, log_file: str, suffix: str, rename: Callable[[str], str], pattern: re.Pattern[str] | None = None
    ) -> None:
        self._log_file = log_file
        self._suffix = suffix
        self._rename = rename
        self._own_pattern = pattern
        self._pattern = pattern or re.compile(_expression(suffix))

    def path(self, time_text: str) -> str:
        """Return the path of the first backup of the period that ``time_text`` names."""
        return self._rename(f"{self._log_file}.{time_text}")

    def free_path(self, time_text: str) -> str:
        """Return a path for one more backup of that period, at which no file stands, compressed or not."""
        path = self.path(time_text)
        numbered, number = path, 0
        # A rotator may add an ending of its own to the path it is given.
        while any(os.path.lexists(numbered + ending) for ending in ("", *_COMPRESSIONS)):
            number += 1
            numbered = f"{path}.{number:04}"
        return numbered

    def last_path(self, time_text: str) -> str | None:
        """Return the path of the newest backup of that period, or None where there is none."""
        path = self.path(time_text)
        numbered, number, last = path, 0, None
        while os.path.lexists(numbered):
            number += 1
            last, numbered = numbered, f"{path}.{number:04}"
        return last

    def existing(self) -> list[Backup]:
        """Return the backups that exist, oldest first."""
        # Wherever the backup of this moment would stand: a namer may choose another folder.
        folder = os.path.dirname(self.path(time.strftime(self._suffix))) or os.curdir
        if not os.path.isdir(folder):
            return []
        found = []
        for file_name in os.listdir(folder):
            period = self._period_of(file_name)
            if period is not None:
                found.append(Backup(period, os.path.join(folder, file_name)))
        return sorted(found)

    def surplus(self, keep: int) -> list[str]:
        """Return the paths of all backups but those of the newest ``keep`` periods, oldest first."""
        existing = self.existing()
        periods = sorted({backup.period for backup in existing})
        outlived = set(periods[: max(0, len(periods) - keep)])
        return [backup.path for backup in existing if backup.period in outlived]

    def would_keep(self, time_text: str, keep: int) -> bool:
        """Return whether a backup of that period would be among the newest ``keep`` periods."""
        period = self._sortable(time_text)
        newer = {backup.period for backup in self.existing() if backup.period > period}
        return len(newer) < keep

    def _period_of(self, file_name: str) -> str | None:
        """Return which period's backup ``file_name`` is, or None where it is something else."""
        if file_name == os.path.basename(self._log_file):
            return None
        for name in _without_endings(file_name):
            for time_text in self._times_in(name):
                if os.path.basename(self.path(time_text)) == name:
                    return self._sortable(time_text)
        return None

    def _times_in(self, name: str) -> Iterator[str]:
        if self._own_pattern:
            # Somebody's pattern may be anchored, or not, and is meant for what follows the log file's name.
            name = name.removeprefix(os.path.basename(self._log_file) + ".")
        match = self._pattern.search(name)
        while match:
            yield match[0]
            match = self._pattern.search(name, match.start() + 1)

    def _sortable(self, time_text: str) -> str:
        try:
            return datetime.strptime(time_text, self._suffix).isoformat()
        except ValueError:
            return time_text


def move(source: str, destination: str) -> None:
    """Rename ``source`` to ``destination``, which must be free.

    Raises:
        FileExistsError: ``destination`` is taken: by a process that has another lock file, since somebody removed
            the one we hold. Where the platform has no rename that refuses to replace, this is only looked up.
    """
    rename_exclusively = _renameat2()
    code = errno.ENOSYS if rename_exclusively is None else rename_exclusively(source, destination)
    if code in (errno.ENOSYS, errno.EINVAL):  # unknown to the kernel, or to this file system
        code = errno.EEXIST if os.path.lexists(destination) else 0
        if code == 0:
            os.rename(source, destination)
    if code:
        raise OSError(code, os.strerror(code), source, None, destination)


@functools.cache
def _renameat2() -> Callable[[str, str], int] | None:
    """Return renameat2(2), which refuses to replace, as a function that returns an error number."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        import ctypes  # only here: some Pythons are built without it

        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (ImportError, OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]

    def rename_exclusively(source: str, destination: str) -> int:
        failed = function(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(destination), _RENAME_NOREPLACE)
        return ctypes.get_errno() if failed else 0

    return rename_exclusively


def _without_endings(file_name: str) -> Iterator[str]:
    """Yield ``file_name`` as it is, and without the number and the compression that come after a backup's name."""
    yield file_name
    plain = _COMPRESSED.sub("", file_name)
    if plain != file_name:
        yield plain
    unnumbered = _NUMBERED.sub("", plain)
    if unnumbered != plain:
        yield unnumbered


def _expression(suffix: str) -> str:
    """Return the regular expression of what the `time.strftime` format ``suffix`` can produce."""
    parts = re.split(r"(%.)", suffix)
    expression = ""
    for part in parts:
        directive = part[1:] if len(part) == 2 and part[0] == "%" else ""
        if directive == "%":
            expression += "%"
        elif directive:
            expression += _DIRECTIVES.get(directive, ".+?")
        else:
            expression += re.escape(part)
    return rf"(?<!\d){expression}(?!\d)"

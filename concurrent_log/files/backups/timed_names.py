"""The backups of a log file that rolls over by time: their names, their lookup and their retention.

A backup is named after the period of its records. If that name is taken (by the first part of a period with more than
``maxBytes``, or by a restored file), the next backup gets a number, ``app.log.2026-11-22.0001``: no backup is ever
overwritten, and the names sort in the order of the records.
"""

# Imported here, because a worker that has dropped its privileges may not be able to import it.
import _strptime  # type: ignore[import-not-found]  # noqa: F401
import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple

from concurrent_log.files.open_files import with_room

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")

_DIRECTIVES = (
    {"Y": r"\d{4}", "j": r"\d{3}"} | dict.fromkeys("mdHIMSyUWV", r"\d{2}") | dict.fromkeys("aAbBpZ", r"[^\W\d_]+\.?")
)
_DIRECTIVE = re.compile("(%.)")
_ENDING = rf"({'|'.join(map(re.escape, COMPRESSIONS))})"
_COMPRESSED = re.compile(rf"{_ENDING}$")
_LONGEST_FIRST = "%Y%m%d%H%M%S"  # Times in this format sort as text.
_NUMBERED = re.compile(r"\.\d{4,}$")
_NUMBER = re.compile(rf"(?:\.(\d{{4,}}))?{_ENDING}?")


class Backup(NamedTuple):
    """One backup: its ``period``, by which backups sort in the order of time, and its ``path``."""

    period: str
    path: str


class TimedNames:
    """The backups of one log file.

    Args:
        log_file: The absolute path of the log file.
        suffix: The format of the time in a backup's name; see `time.strftime`.
        rename: Function that turns the default name of a backup, ``LOG_FILE.TIME``, into the final one.
        pattern: Matches the time in a name if ``suffix`` does not describe it.
    """

    def __init__(
        self, log_file: str, suffix: str, rename: Callable[[str], str], pattern: re.Pattern[str] | None = None
    ) -> None:
        self._log_file = log_file
        self._log_name = os.path.basename(log_file)
        self._suffix = suffix
        self._sorts_as_text = pattern is None and _LONGEST_FIRST.startswith("".join(_DIRECTIVE.findall(suffix)))
        self._rename = rename
        self._own_pattern = pattern
        self._pattern = pattern or re.compile(_expression(suffix))

    def path(self, time_text: str) -> str:
        """Return the path of the first backup of the period ``time_text``."""
        return os.fspath(self._rename(f"{self._log_file}.{time_text}"))  # A namer may return a Path.

    def new_path(self, time_text: str) -> str:
        """Return the path of the next backup of that period, which sorts after all existing ones."""
        path = self.path(time_text)
        numbers = [number for number, _ in _numbered(path)]
        return f"{path}.{max(numbers) + 1:04}" if numbers else path

    def last_path(self, time_text: str) -> str | None:
        """Return the path of the newest backup of that period; None if there is none.

        If a process was killed while it compressed the backup, both the plain and the compressed one exist.
        """
        return max(_numbered(self.path(time_text)), default=(0, None))[1]

    def existing(self) -> list[Backup]:
        """Return the existing backups, oldest first."""
        # The folder of the next backup: a namer may choose another one than the log file's.
        folder = os.path.dirname(self.path(time.strftime(self._suffix))) or os.curdir
        found = []
        for file_name in files_in(folder):
            period = self._period_of(file_name)
            if period is not None:
                found.append(Backup(period, os.path.join(folder, file_name)))
        return sorted(found)

    def expired(self, keep: int, current: str | None) -> list[str]:
        """Return the paths of all backups except those of the newest ``keep`` periods, oldest first.

        ``current`` is the time text of the current period. Its backups are neither counted nor returned.
        """
        existing = self.existing()
        periods = sorted(self._before(existing, current))
        expired = set(periods[: max(0, len(periods) - keep)])
        return [backup.path for backup in existing if backup.period in expired]

    def would_keep(self, time_text: str, keep: int, current: str | None) -> bool:
        """Return whether that period is among the newest ``keep`` periods before the current one."""
        period = self._sortable(time_text)
        return sum(other > period for other in self._before(self.existing(), current)) < keep

    def _before(self, backups: list[Backup], current: str | None) -> set[str]:
        periods = {backup.period for backup in backups}
        if current is None:
            return periods
        now = self._sortable(current)
        return {period for period in periods if period < now}

    def _period_of(self, file_name: str) -> str | None:
        """Return the period of the backup ``file_name``; None if it is not a backup."""
        if file_name == self._log_name:
            return None
        for name in _without_endings(file_name):
            for time_text in self._times_in(name):
                if os.path.basename(self.path(time_text)) == name:
                    return self._sortable(time_text)
        return None

    def _times_in(self, name: str) -> Iterator[str]:
        if self._own_pattern:
            # The user's pattern, which may be anchored, is meant for the text after the log file's name.
            name = name.removeprefix(self._log_name + ".")
        match = self._pattern.search(name)
        while match:
            yield match[0]
            match = self._pattern.search(name, match.start() + 1)

    def _sortable(self, time_text: str) -> str:
        if self._sorts_as_text:  # The usual case. Parsing would take half the time of the whole lookup.
            return time_text
        try:
            return datetime.strptime(time_text, self._suffix).isoformat()
        except ValueError:
            return time_text


def is_compressed(path: str) -> bool:
    """Return whether ``path`` ends like a compressed file."""
    return path.endswith(COMPRESSIONS)


def files_in(folder: str) -> list[str]:
    """Return the names in ``folder``, none if it does not exist."""
    try:
        return with_room(lambda: os.listdir(folder))
    except FileNotFoundError:
        return []


def _numbered(path: str) -> Iterator[tuple[int, str]]:
    """Yield the number and the path of each backup named ``path``; the first one has the number 0."""
    folder, name = os.path.split(path)
    for file_name in files_in(folder):
        match = _NUMBER.fullmatch(file_name, len(name)) if file_name.startswith(name) else None
        if match:
            yield int(match[1] or 0), os.path.join(folder, file_name)


def _without_endings(file_name: str) -> Iterator[str]:
    """Yield ``file_name`` unchanged, then without the endings for compression and number."""
    yield file_name
    plain = _COMPRESSED.sub("", file_name)
    if plain != file_name:
        yield plain
    unnumbered = _NUMBERED.sub("", plain)
    if unnumbered != plain:
        yield unnumbered


def _expression(suffix: str) -> str:
    """Return a regular expression that matches the results of the `time.strftime` format ``suffix``."""
    expression = ""
    for part in _DIRECTIVE.split(suffix):
        directive = part[1:] if len(part) == 2 and part[0] == "%" else ""
        if directive == "%":
            expression += "%"
        elif directive:
            expression += _DIRECTIVES.get(directive, ".+?")
        else:
            expression += re.escape(part)
    return rf"(?<!\d){expression}(?!\d)"

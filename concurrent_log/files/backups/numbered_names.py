"""The backups of a log file that rolls over by size: ``app.log.1`` is the newest, ``app.log.2`` the one before.

At each rollover every backup gets the next number, up to the first number that is free.
"""

import os
from collections.abc import Callable, Iterator

from concurrent_log.files.backups.timed_names import COMPRESSIONS, files_in
from concurrent_log.files.rename import move

_ATTEMPTS = 10


class NumberedNames:
    """The backups of one log file.

    Args:
        log_file: The absolute path of the log file.
        rename: Function that turns the default name of a backup, ``LOG_FILE.NUMBER``, into the final one.
    """

    def __init__(self, log_file: str, rename: Callable[[str], str]) -> None:
        self._log_file = log_file
        self._rename = rename

    def path(self, number: int) -> str:
        """Return the path of backup ``number`` before it is compressed."""
        return os.fspath(self._rename(f"{self._log_file}.{number}"))  # A namer may return a Path.

    def existing(self) -> list[str]:
        """Return the paths of the backups up to the first gap in the numbers, oldest first."""
        return [path for _, path in reversed(list(self._from(1)))]

    def expired(self, keep: int) -> list[str]:
        """Return the paths of the backups with numbers above ``keep``, up to the first gap, oldest first."""
        return [path for _, path in reversed(list(self._from(keep + 1)))]

    def make_room(self, keep: int) -> None:
        """Give each backup the next number, so that number 1 is free; call it with the exclusive lock held.

        A process that is killed halfway leaves a gap; the next call moves the backups before it. If a namer gives all
        numbers the same name, because only one backup is kept, that backup is deleted.

        Raises:
            ValueError: A namer gives several backups the same name.
        """
        for _ in range(_ATTEMPTS):
            try:
                for number, path in reversed(list(self._from(1))):
                    ending = path.removeprefix(self.path(number))
                    next_path = self.path(number + 1) + ending
                    if next_path != path:
                        move(path, next_path)
                    elif number < keep:
                        raise ValueError(f"backups {number} and {number + 1} have the same name, {path}: fix the namer")
                    else:
                        os.remove(path)
            except (FileNotFoundError, FileExistsError):
                continue  # A process with another lock file moves them, too.
            return

    def _from(self, number: int) -> Iterator[tuple[int, str]]:
        """Yield backup ``number`` and those after it, up to the first number that is free or has no name of its own."""
        listed: dict[str, set[str]] = {}
        named = {self.path(number - 1)} if number > 1 else set()
        while True:
            path = self.path(number)
            if path in named:
                return
            named.add(path)
            folder, name = os.path.split(path)
            if folder not in listed:
                listed[folder] = set(files_in(folder))
            found = [path + ending for ending in ("", *COMPRESSIONS) if name + ending in listed[folder]]
            if not found:
                return
            for each in found:
                yield number, each
            number += 1

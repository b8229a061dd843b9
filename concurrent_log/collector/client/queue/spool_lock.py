"""Whose a part of a spool is: a process holds the lock on its file as long as it lives."""

import os
from pathlib import Path
from typing import IO

import portalocker

_AT_ONCE = portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING


class Owned:
    """What this process owns of a spool: all files whose names begin with ``name``."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self.name = path.stem
        self._file = file

    def give_up(self, *, is_empty: bool) -> None:
        """Let another process own it; where nothing is left of it, the lock file goes, too."""
        if is_empty and os.name != "nt":
            self.path.unlink(missing_ok=True)  # While it is locked: nobody owns what is about to vanish.
        self.forget()
        if is_empty and os.name == "nt":
            self.path.unlink(missing_ok=True)

    def forget(self) -> None:
        """Close the file; in the child after a fork, the parent still has the lock."""
        self._file.close()


def own(path: Path) -> Owned | None:
    """Return what the lock file at ``path`` stands for, if no living process owns it.

    Raises:
        OSError: The file cannot be opened.
    """
    file = open(path, "ab", buffering=0, opener=_private)  # noqa: SIM115 - open as long as this process lives
    try:
        portalocker.lock(file, _AT_ONCE)
        # Somebody may have removed it before we had the lock: then it keeps nobody away.
        if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
            return Owned(path, file)
    except (portalocker.exceptions.LockException, FileNotFoundError):
        pass
    except BaseException:
        file.close()
        raise
    file.close()
    return None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)

"""The lock of a part of the spool: a process holds it as long as it lives, so that others know whether it does."""

import os
from pathlib import Path
from typing import IO

import portalocker

from concurrent_log.collector.client.queue.private_file import open_private

_NON_BLOCKING = portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING


class SpoolLock:
    """The lock of this process on all files of a spool whose names begin with ``name``."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self.name = path.stem
        self._file = file

    def release(self, *, is_empty: bool) -> None:
        """Release the lock; remove the lock file too if no files are left."""
        if is_empty and os.name != "nt":
            self.path.unlink(missing_ok=True)  # While it is locked, so that no process locks a file that is removed.
        self.close()
        if is_empty and os.name == "nt":
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; in the child after a fork, the parent still holds the lock."""
        self._file.close()


def try_lock(path: Path) -> SpoolLock | None:
    """Lock the file at ``path``, and create it if necessary. Return None if another process holds the lock.

    Raises:
        OSError: The file cannot be opened.
    """
    file = open(path, "ab", buffering=0, opener=open_private)  # noqa: SIM115 - open as long as the lock is held
    try:
        portalocker.lock(file, _NON_BLOCKING)
        # Another process may have removed the file before we locked it; the lock then excludes nothing.
        if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
            return SpoolLock(path, file)
    except (portalocker.exceptions.LockException, FileNotFoundError):
        pass
    except BaseException:
        file.close()
        raise
    file.close()
    return None

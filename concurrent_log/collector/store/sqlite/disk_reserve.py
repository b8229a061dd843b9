"""A file that occupies some space, and is removed when a full disk must be made room on."""

import contextlib
import os
import pathlib
import sys

_SIZE = 16 << 20  # bytes
_PART_OF_DISK = 8  # On a small disk, the reserve is that part of it.


class DiskReserve:
    """The file at ``path``. Removing records needs space, for a moment; on a full disk, the file gives it.

    Attributes:
        size: The size in bytes that the file should have.
        is_filled: Whether it has that size.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self.size = _SIZE
        self.is_filled = False

    def fill(self) -> None:
        """Create the file, if twice its size is free."""
        if sys.platform == "win32" or not hasattr(os, "posix_fallocate"):
            return  # Windows and macOS reserve no space.
        try:
            disk = os.statvfs(self._path.parent)
            self.size = min(_SIZE, disk.f_blocks * disk.f_frsize // _PART_OF_DISK)
            if self._path.exists() and self._path.stat().st_size >= self.size:
                self.is_filled = True
            elif disk.f_bavail * disk.f_frsize >= 2 * self.size:
                self._create()
        except OSError:
            self.is_filled = False

    def _create(self) -> None:
        if sys.platform == "win32":
            return
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            os.fchmod(fd, 0o600)  # whatever the umask
            os.posix_fallocate(fd, 0, self.size)
            self.is_filled = True
        except OSError:
            self.release()
            raise
        finally:
            os.close(fd)

    def release(self) -> bool:
        """Remove the file; return whether there was one."""
        self.is_filled = False
        with contextlib.suppress(OSError):
            self._path.unlink()
            return True
        return False

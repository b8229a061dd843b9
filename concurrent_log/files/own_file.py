"""Own files: descriptors that are used only while they are the file that was opened.

A daemon closes all descriptors, and some libraries close one twice. The number then belongs to another file or socket
of the program, which must keep its content and stay open.
"""

import errno
import io
import os
from typing import Any

from concurrent_log.files.log_links import open_log
from concurrent_log.files.regular_files import open_regular
from concurrent_log.files.torn_records import APPEND_FLAGS


def identity_of(fd: int) -> tuple[int, int] | None:
    """Return device and inode of the open file ``fd``, or None if the descriptor is not open."""
    try:
        found = os.fstat(fd)
    except OSError:
        return None
    return found.st_dev, found.st_ino


class OwnFile(io.FileIO):
    """A file opened for appending, which closes its descriptor only while the number is still that file.

    Args:
        path: The file, which is created where it is missing; see `open_log` about links.
        owner: The user who gets the files of the handler; -1 for none.

    Attributes:
        append: Writes bytes with one system call, and returns how many were written. `write` writes all of them.
    """

    append = io.FileIO.write  # not an attribute of the instance, which would refer to itself

    def __init__(self, path: str, owner: int = -1) -> None:
        fd = open_log(path, APPEND_FLAGS | os.O_CREAT, owner)
        try:  # at once: a signal handler may raise anywhere
            self._own(fd, "ab", path)
        except BaseException:
            os.close(fd)
            raise

    def _own(self, fd: int, mode: str, path: str) -> None:
        """Take over a descriptor."""
        super().__init__(fd, mode, closefd=False)
        self._identity = identity_of(fd)
        self.name = path

    def write(self, data: Any) -> int:
        """Write all of ``data``.

        Raises:
            OSError: The disk is full; a part may be written.
        """
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest:
            written = self.append(rest) or 0
            if not written:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.name)
            rest = rest[written:]
        return size

    def is_own(self) -> bool:
        """Return whether the descriptor is still the file that was opened."""
        try:
            return not self.closed and identity_of(self.fileno()) == self._identity
        except ValueError:  # closed by a signal handler
            return False

    def close(self) -> None:
        """Close the file. A descriptor that belongs to another file by now stays open."""
        if self.closed:
            return
        fd, is_own = self.fileno(), self.is_own()
        super().close()  # with closefd=False this leaves the descriptor open
        if is_own:
            os.close(fd)


class LostFile(Exception):  # noqa: N818 - not an error of ours
    """The program closed the descriptor of a `LongOpenFile`, or put another file in its place."""


class LongOpenFile(OwnFile):
    """A file that is open for seconds, in a thread: each call first makes sure that the number is still that file.

    Args:
        path: The file, which must exist, and be a regular one.
        mode: ``rb`` or ``r+b``.
    """

    def __init__(self, path: str, mode: str) -> None:
        fd = open_regular(path, os.O_RDONLY if mode == "rb" else os.O_RDWR)
        try:
            self._own(fd, mode, path)
        except BaseException:
            os.close(fd)
            raise

    def _check(self) -> None:
        if not self.is_own():
            raise LostFile(f"the program closed the descriptor of {self.name}, or put another file in its place")

    def readinto(self, buffer: Any) -> int:
        """Read into ``buffer``."""
        self._check()
        return super().readinto(buffer) or 0

    def read(self, size: int | None = -1) -> bytes:
        """Read up to ``size`` bytes."""
        self._check()
        return super().read(-1 if size is None else size) or b""

    def write(self, data: Any) -> int:
        """Write all of ``data``."""
        self._check()
        return super().write(data)

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        """Change the position."""
        self._check()
        return super().seek(position, whence)

    def tell(self) -> int:
        """Return the position."""
        self._check()
        return super().tell()

    def status(self) -> os.stat_result:
        """Return the status of the file."""
        self._check()
        return os.fstat(self.fileno())

    def sync(self) -> None:
        """Write the content to the disk."""
        self._check()
        os.fsync(self.fileno())

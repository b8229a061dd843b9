"""Streams: the open file under the ``stream`` of a handler, and special files at its path."""

import contextlib
import errno
import io
import os
import stat
from collections.abc import Callable
from typing import Any

from concurrent_log.files.open_files import with_room
from concurrent_log.files.torn_records import APPEND_FLAGS

_OWN_OUTPUT = ("/dev/std", "/dev/fd/", "/proc/")


class OwnFile(io.FileIO):
    """A file opened for appending, which closes its descriptor only while the number is still that file.

    A daemon closes all descriptors, and some libraries close one twice. The number then belongs to another file or
    socket of the program, which must stay open.

    Attributes:
        append: Writes bytes with one system call, and returns how many were written. `write` writes all of them.
    """

    append = io.FileIO.write  # not an attribute of the instance, which would refer to itself

    def __init__(self, path: str) -> None:
        fd = os.open(path, APPEND_FLAGS | os.O_CREAT, 0o666)
        try:
            super().__init__(fd, "ab", closefd=False)
            self._identity = identity_of(fd)
        except BaseException:
            os.close(fd)
            raise
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


def open_stream(path: str, encoding: str | None, errors: str | None) -> io.TextIOWrapper:
    """Open ``path`` for appending. Text is in the file when ``write`` of the stream returns: nothing is buffered."""
    stream = io.TextIOWrapper(OwnFile(path), encoding=encoding, errors=errors, write_through=True)
    stream.mode = "a"  # type: ignore[misc]  # `open` sets it, too
    return stream


def raw_file(stream: Any) -> io.FileIO | None:
    """Return the file under ``stream`` if that is open for appending, as the standard ``_open`` opens it."""
    if type(stream) is not io.TextIOWrapper:
        return None
    buffer = stream.buffer
    raw = buffer if isinstance(buffer, OwnFile) else getattr(buffer, "raw", None)
    if isinstance(raw, OwnFile) or (type(raw) is io.FileIO and raw.mode.startswith("ab")):
        return raw
    return None


def append_function(stream: Any, raw: io.FileIO) -> Callable[[bytes], int | None]:
    """Return a function that appends bytes to ``raw``, the file under ``stream``, after any buffered text."""
    if isinstance(raw, OwnFile):
        return raw.append

    def append(data: bytes) -> int | None:
        try:
            stream.flush()
            return raw.write(data)
        except (OSError, ValueError) as error:
            # The caller finds out why nothing was written. An error with another frame comes from a signal handler.
            if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
                raise
            return 0

    return append


def identity_of(fd: int) -> tuple[int, int] | None:
    """Return device and inode of the open file ``fd``, or None if the descriptor is not open."""
    try:
        found = os.fstat(fd)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def status_of(stream: Any) -> os.stat_result | None:
    """Return the status of the file under ``stream``, or None if it has none, or if it is closed or not its own."""
    raw = raw_file(stream)
    if isinstance(raw, OwnFile) and not raw.is_own():
        return None
    try:
        return None if stream is None else os.fstat(stream.fileno())
    except (OSError, ValueError):
        return None


def is_special(path: str) -> bool:
    """Return whether ``path`` is a device, a pipe or this process's own output, which never rolls over."""
    target = ""
    with contextlib.suppress(OSError):
        target = os.readlink(path)
    if path.startswith(_OWN_OUTPUT) or target.startswith(_OWN_OUTPUT):
        return True
    try:
        # One call, not exists() and stat(): another process may rename the file in between.
        return not stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def check_writable(path: str) -> None:
    """Raise the `OSError` that opening ``path`` for writing would raise, without creating it."""
    if is_special(path):
        return  # opening a pipe would block until another process reads it
    try:
        os.close(with_room(lambda: os.open(path, APPEND_FLAGS)))
    except FileNotFoundError:
        folder = os.path.dirname(path)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder) from None


def write_all(raw: io.FileIO, data: bytes) -> None:
    """Write all of ``data``: a signal may end a write to a pipe early."""
    write = raw.append if isinstance(raw, OwnFile) else raw.write
    rest = memoryview(data)
    while rest:
        written = write(rest)
        if written is None:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        rest = rest[written:]

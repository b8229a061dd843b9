"""Checks of a log file's path and of a handler's stream."""

import contextlib
import errno
import io
import os
import stat
from typing import Any

from concurrent_log.files.torn_records import APPEND_FLAGS

_OWN_OUTPUT = ("/dev/std", "/dev/fd/", "/proc/")


def is_special(path: str) -> bool:
    """Return whether ``path`` is a device, a pipe or this process's own output: it never rolls over."""
    target = ""
    with contextlib.suppress(OSError):
        target = os.readlink(path)
    if path.startswith(_OWN_OUTPUT) or target.startswith(_OWN_OUTPUT):
        return True
    try:
        # One call, not two: another process may rename the file in between.
        return not stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def check_writable(path: str) -> None:
    """Raise the `OSError` that opening ``path`` for writing would raise, without creating it."""
    if is_special(path):
        return  # Opening a pipe blocks until another process reads from it.
    try:
        os.close(os.open(path, APPEND_FLAGS))
    except FileNotFoundError:
        folder = os.path.dirname(path)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder) from None


def raw_file(stream: Any) -> io.FileIO | None:
    """Return the raw file under ``stream`` if it was opened for appending, as the standard ``_open`` does."""
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    if type(stream) is io.TextIOWrapper and type(raw) is io.FileIO and raw.mode.startswith("ab"):
        return raw
    return None


def status_of(stream: Any) -> os.stat_result | None:
    """Return the status of the file under ``stream``; None if there is no file or the stream is closed."""
    try:
        return None if stream is None else os.fstat(stream.fileno())
    except (OSError, ValueError):
        return None


def write_all(raw: io.FileIO, data: bytes) -> None:
    """Write all of ``data``; a signal may end a write to a pipe early."""
    rest = memoryview(data)
    while rest:
        written = raw.write(rest)
        if written is None:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        rest = rest[written:]


def without_mark(data: bytes, mark: bytes, fd: int) -> bytes:
    """Return ``data`` without its byte-order ``mark``, unless the file ``fd`` is empty."""
    return data[len(mark) :] if mark and os.fstat(fd).st_size else data

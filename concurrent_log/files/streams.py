"""What stands at the path of a log file, and under the stream of a handler."""

import contextlib
import errno
import io
import os
import stat
from typing import Any

from concurrent_log.files.torn_records import FLAGS

_OWN_OUTPUT = ("/dev/std", "/dev/fd/", "/proc/")


def is_special(path: str) -> bool:
    """Return whether ``path`` is a device, a pipe or this process's own output, which nobody rolls over."""
    target = ""
    with contextlib.suppress(OSError):
        target = os.readlink(path)
    if path.startswith(_OWN_OUTPUT) or target.startswith(_OWN_OUTPUT):
        return True
    try:
        # One look, not two: another process may rename the file in between.
        return not stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def check_writable(path: str) -> None:
    """Raise the `OSError` that opening ``path`` for writing would raise, without creating it."""
    if is_special(path):
        return  # a pipe would be opened only once somebody reads it
    try:
        os.close(os.open(path, FLAGS))
    except FileNotFoundError:
        folder = os.path.dirname(path)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder) from None


def raw_file(stream: Any) -> io.FileIO | None:
    """Return the file under ``stream`` if that was opened for appending, as the standard ``_open`` does."""
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    if type(stream) is io.TextIOWrapper and type(raw) is io.FileIO and raw.mode.startswith("ab"):
        return raw
    return None


def status_of(stream: Any) -> os.stat_result | None:
    """Return the status of the file under ``stream``, or None where there is none, or somebody closed it."""
    try:
        return None if stream is None else os.fstat(stream.fileno())
    except (OSError, ValueError):
        return None


def write_whole(raw: io.FileIO, data: bytes) -> None:
    """Write all of ``data``: a signal may end a write to a pipe early."""
    rest = memoryview(data)
    while rest:
        written = raw.write(rest)
        if written is None:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        rest = rest[written:]


def without_mark(data: bytes, mark: bytes, fd: int) -> bytes:
    """Return ``data`` without its byte-order ``mark``, unless it begins the file ``fd``."""
    return data[len(mark) :] if mark and os.fstat(fd).st_size else data

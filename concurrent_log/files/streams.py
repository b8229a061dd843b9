"""Streams: the open file under the ``stream`` of a handler, and special files at its path."""

import contextlib
import errno
import io
import os
import stat
import weakref
from collections.abc import Callable
from typing import Any

from concurrent_log.files.log_links import check_links, open_log
from concurrent_log.files.open_files import with_room
from concurrent_log.files.own_file import OwnFile, identity_of
from concurrent_log.files.torn_records import APPEND_FLAGS

try:
    import ctypes
except ImportError:  # Some Pythons are built without it.
    ctypes = None  # type: ignore[assignment]

_taken: "weakref.WeakKeyDictionary[Any, tuple[int, int]]" = weakref.WeakKeyDictionary()
_abandoned: list[Any] = []

_OWN_OUTPUT = ("/dev/std", "/dev/fd/", "/proc/")


def open_stream(path: str, encoding: str | None, errors: str | None, owner: int = -1) -> io.TextIOWrapper:
    """Open ``path`` for appending. Text is in the file when ``write`` of the stream returns: nothing is buffered.

    Links of ``owner`` are followed, and those that `open_log` trusts.
    """
    stream = io.TextIOWrapper(OwnFile(path, owner), encoding=encoding, errors=errors, write_through=True)
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


def remember(stream: Any) -> None:
    """Note which file ``stream`` is: the descriptor of a stream that the program opened may be closed, too."""
    if stream is None or isinstance(raw_file(stream), OwnFile):
        return
    with contextlib.suppress(TypeError):  # an object that no weak reference can refer to
        if stream not in _taken:
            identity = _identity_now(stream)
            if identity is not None:
                _taken[stream] = identity


def is_own(stream: Any) -> bool:
    """Return whether the descriptor under ``stream`` is still the file that it was when it was taken."""
    raw = raw_file(stream)
    if isinstance(raw, OwnFile):
        return raw.is_own()
    try:
        before = _taken.get(stream)
    except TypeError:
        before = None
    return before is None or getattr(stream, "closed", False) or _identity_now(stream) == before


def close_stream(stream: Any) -> None:
    """Close ``stream``. A descriptor that belongs to another file by now stays open."""
    if isinstance(raw_file(stream), OwnFile) or is_own(stream) or _identity_now(stream) is None:
        with contextlib.suppress(OSError):
            stream.close()
    else:
        abandon(stream)


def abandon(stream: Any) -> None:
    """Let nothing ever close ``stream`` or write what it has in its buffer: the descriptor is that of another file."""
    _abandoned.append(stream)
    if ctypes is not None:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(stream))  # also not at the exit of the interpreter


def _identity_now(stream: Any) -> tuple[int, int] | None:
    try:
        fd = stream.fileno()
    except (OSError, ValueError, AttributeError, TypeError):
        return None
    return identity_of(fd) if isinstance(fd, int) else None


def status_of(stream: Any) -> os.stat_result | None:
    """Return the status of the file under ``stream``, or None if it has none, or if it is closed or not its own."""
    if stream is None or not is_own(stream):
        return None
    try:
        return os.fstat(stream.fileno())
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


def check_writable(path: str, owner: int = -1) -> None:
    """Raise the `OSError` that opening ``path`` for writing would raise, without creating it."""
    if is_special(path):
        check_links(path, owner)
        return  # opening a pipe would block until another process reads it
    try:
        os.close(with_room(lambda: open_log(path, APPEND_FLAGS, owner)))
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

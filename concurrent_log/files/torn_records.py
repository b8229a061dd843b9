"""Half a record in a log file: how it comes about, and how it is made harmless.

On a local POSIX file system one ``write`` to a file opened for appending is one piece: the kernel keeps others
out until it is done. It can end early in two cases. The disk is full, and the writer is told; or the writer is
killed, and nobody is told. A killed write ends where a page of the file ends, since only there the kernel looks
whether the process still lives (``generic_perform_write`` in Linux), so that a file whose size is no multiple
of the page size ends with a whole record.
"""

import os
from typing import NamedTuple

FLAGS = os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
PAGE = 4096  # the smallest page; larger ones are multiples of it


class Piece(NamedTuple):
    """The bytes of a file, from ``start`` to before ``end``, that hold half a record."""

    start: int
    end: int


def cut(fd: int, path: str, start: int, end: int, terminator: bytes) -> None:
    """Remove the half record from ``start`` to ``end`` of the open file ``fd``, which stands at ``path``.

    Where another record follows it already, it is closed with ``terminator`` instead, to keep the two apart.
    """
    status = os.fstat(fd)
    if status.st_size == end:
        os.ftruncate(fd, start)
    elif status.st_size > end:  # Else somebody emptied the file.
        close_torn_record(path, status.st_ino, end, terminator)


def close_torn_record(path: str, inode: int, end: int, terminator: bytes, following: bytes = b"") -> None:
    """Put ``terminator`` over the last bytes before ``end``, where a killed writer left half a record.

    Leaves the file alone where the bytes there are a terminator already, where ``path`` is not the file
    ``inode``, or where it does not go on with ``following``. A record that ends there with another
    terminator is taken for a half one: all handlers of a file must have the same. A piece that is shorter than the
    terminator becomes its last bytes.
    """
    if end < len(terminator) or not terminator:
        return
    with open(path, "r+b", buffering=0) as file:
        if os.fstat(file.fileno()).st_ino != inode:
            return
        start = max(0, end - 2 * len(terminator))
        file.seek(start)
        before = file.read(end - start)
        if len(before) == end - start and file.read(len(following[:PAGE])) == following[:PAGE]:
            room = _torn(before, terminator)
            file.seek(end - room)
            file.write(terminator[len(terminator) - room :])


def _torn(before: bytes, terminator: bytes) -> int:
    """Return over how many of the last bytes ``before`` a terminator may be put; 0 where one is there already.

    Of a half record that is shorter than the terminator, only so many: else that of the record before would go.
    """
    for room in range(len(terminator)):
        if before[: len(before) - room].endswith(terminator):
            return room
    return len(terminator)

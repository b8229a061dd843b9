"""Torn records: the part of a record that a full disk or a killed process leaves, and how to make it harmless.

On a local POSIX file system, one ``write`` to a file opened for appending is atomic: the kernel keeps other writers
out until it is done. It can end early in two cases. If the disk is full, the writer gets an error. If the writer is
killed, no process is notified. A killed write ends at a page boundary of the file, because only there does the kernel
check whether the process is still alive (``generic_perform_write`` in Linux). A file whose size is not a multiple of
the page size therefore ends with a whole record.

A torn record stays in the file, on a line of its own. To cut it off would be a look at the size, and then a truncation:
a process that could not get the lock may append in between, and its record would be lost.
"""

import os
from typing import NamedTuple

from concurrent_log.files.open_files import with_room

APPEND_FLAGS = os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
PAGE_SIZE = 4096  # the smallest page size; larger ones are multiples of it


class TornRecord(NamedTuple):
    """The bytes of a torn record in a file: from ``start`` to before ``end``."""

    start: int
    end: int


def close_torn_record(path: str, inode: int, end: int, terminator: bytes, following: bytes = b"") -> None:
    """Overwrite the last bytes before ``end``, where a killed writer left a torn record, with ``terminator``.

    Leaves the file unchanged if these bytes already are a terminator, if the file at ``path`` has another ``inode``,
    or if ``following`` does not come next. A record that ends there with a different terminator counts as torn: all
    handlers of a file must use the same terminator. A torn record that is shorter than the terminator is overwritten
    with the terminator's last bytes.
    """
    if end < len(terminator) or not terminator:
        return
    if os.stat(path).st_ino != inode:
        return  # It is not opened: it could be a device.
    with with_room(lambda: open(path, "r+b", buffering=0, opener=_open_without_waiting)) as file:
        if os.fstat(file.fileno()).st_ino != inode:
            return
        start = max(0, end - 2 * len(terminator))
        file.seek(start)
        before = file.read(end - start)
        if len(before) == end - start and file.read(len(following[:PAGE_SIZE])) == following[:PAGE_SIZE]:
            length = _overwritable(before, terminator)
            file.seek(end - length)
            file.write(terminator[len(terminator) - length :])


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _overwritable(before: bytes, terminator: bytes) -> int:
    """Return how many of the last bytes of ``before`` to overwrite with a terminator; 0 if it ends with one.

    Fewer than the terminator has if the torn record is shorter, to keep the terminator of the record before it.
    """
    for length in range(len(terminator)):
        if before[: len(before) - length].endswith(terminator):
            return length
    return len(terminator)

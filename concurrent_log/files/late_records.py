"""Late records: a record of an earlier period is appended to the backup of that period."""

import contextlib
import errno
import os
from typing import Any

from concurrent_log.files.permissions import Ownership, create, ownership_of
from concurrent_log.files.streams import status_of, without_mark
from concurrent_log.files.torn_records import (
    APPEND_FLAGS,
    PAGE_SIZE,
    TornRecord,
    close_torn_record,
    remove_torn_record,
)


def is_appendable(backup: str) -> bool:
    """Return whether several processes may append to ``backup`` at once: it exists and is not compressed."""
    return not backup.endswith(".gz") and os.path.exists(backup)


def open_backup(path: str, log_stream: Any, ownership: Ownership) -> tuple[int, bool]:
    """Open the backup at ``path``, and return its descriptor and whether it is new.

    A new one has the mode and owner of the file under ``log_stream``, or ``ownership`` if that is not open.
    """
    is_new = not os.path.exists(path)
    if is_new:
        status = status_of(log_stream)
        create(path, ownership if status is None else ownership_of(status))
    return os.open(path, APPEND_FLAGS), is_new


def append_to_backup(
    fd: int, path: str, data: bytes, *, mark: bytes, terminator: bytes, is_new: bool, others_append: bool
) -> TornRecord | None:
    """Append ``data`` to the backup at ``path``, which is open as ``fd``, and close it.

    Returns the torn record if the disk is full and other processes may append to the file, otherwise None.
    """
    try:
        return _write(fd, path, without_mark(data, mark, fd), terminator, others_append)
    except OSError:
        # Only under the exclusive lock: otherwise another process may be about to append.
        if is_new and not others_append and not os.fstat(fd).st_size:
            os.remove(path)
        raise
    finally:
        os.close(fd)


def _write(fd: int, path: str, data: bytes, terminator: bytes, others_append: bool) -> TornRecord | None:
    written = os.write(fd, data)
    end = os.lseek(fd, 0, os.SEEK_CUR)
    if written < len(data):
        if others_append:  # Truncating the file would also remove what they append at this moment.
            with contextlib.suppress(OSError):
                close_torn_record(path, os.fstat(fd).st_ino, end, terminator)
            return TornRecord(-written, 0)  # A negative start: it is closed already and must not be removed.
        remove_torn_record(fd, path, end - written, end, terminator)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    if (end - written) % PAGE_SIZE == 0:
        with contextlib.suppress(OSError):
            close_torn_record(path, os.fstat(fd).st_ino, end - written, terminator, data)
    return None

"""Appending a late record: one of an earlier period, which goes to the backup of that period."""

import contextlib
import errno
import os

from concurrent_log.files.streams import without_mark
from concurrent_log.files.torn_records import PAGE, Piece, close_torn_record, cut


def is_appendable(backup: str) -> bool:
    """Return whether several processes may append to a backup at once: it exists, and is not compressed."""
    return not backup.endswith(".gz") and os.path.exists(backup)


def append_to_backup(
    fd: int, path: str, data: bytes, *, mark: bytes, terminator: bytes, is_new: bool, others_append: bool
) -> Piece | None:
    """Append ``data`` to the open backup ``fd``, which stands at ``path``, and close it.

    Returns None, or the piece of it that a full disk let through.
    """
    try:
        return _write(fd, path, without_mark(data, mark, fd), terminator, others_append)
    except OSError:
        # Only with the exclusive lock: else others may be about to append.
        if is_new and not others_append and not os.fstat(fd).st_size:
            os.remove(path)
        raise
    finally:
        os.close(fd)


def _write(fd: int, path: str, data: bytes, terminator: bytes, others_append: bool) -> Piece | None:
    written = os.write(fd, data)
    end = os.lseek(fd, 0, os.SEEK_CUR)
    if written < len(data):
        if others_append:  # and what they append right now must not be cut off with it
            with contextlib.suppress(OSError):
                close_torn_record(path, os.fstat(fd).st_ino, end, terminator)
            return Piece(-written, 0)  # which nobody has to cut
        cut(fd, path, end - written, end, terminator)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    if (end - written) % PAGE == 0:
        with contextlib.suppress(OSError):
            close_torn_record(path, os.fstat(fd).st_ino, end - written, terminator, data)
    return None

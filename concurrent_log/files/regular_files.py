"""Open and check the files that a handler keeps beside its log file: the lock file and the backups.

Another user who may write to the folder can put a link or a pipe in the place of such a file. A link would make the
handler read or write a file of somebody else, and a pipe would make it wait.
"""

import errno
import os
import stat

_SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


def open_regular(path: str, flags: int) -> int:
    """Open a file that must exist, and return its descriptor.

    Raises:
        OSError: It cannot be opened, or it is a link, a pipe or anything else but a regular file.
    """
    try:
        fd = os.open(path, flags | _SAFELY | getattr(os, "O_BINARY", 0))
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENXIO):  # a link; a pipe without a reader
            raise not_regular(path) from None
        raise
    return check_is_regular(fd, path)


def check_is_regular(fd: int, path: str) -> int:
    """Return the descriptor ``fd`` of the open file ``path``.

    Raises:
        OSError: It is not a regular file; the descriptor is closed.
    """
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise not_regular(path)
        return fd
    except BaseException:  # also of a signal handler
        os.close(fd)
        raise


def check_regular(path: str) -> os.stat_result:
    """Return the status of a file that must exist.

    Raises:
        OSError: It is a link, a pipe or anything else but a regular file.
    """
    found = os.lstat(path)
    if not stat.S_ISREG(found.st_mode):
        raise not_regular(path)
    return found


def not_regular(path: str) -> OSError:
    """Return the error for a file that is none, or one that another user may have planted."""
    return OSError(errno.EINVAL, "a link, a pipe or a device is in the place of a file; remove it", path)

"""Open and check the files that a handler keeps beside its log file: its backups, also those on their way.

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
            raise _not_regular(path) from None
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise _not_regular(path)
    return fd


def check_regular(path: str) -> os.stat_result:
    """Return the status of a file that must exist.

    Raises:
        OSError: It is a link, a pipe or anything else but a regular file.
    """
    found = os.lstat(path)
    if not stat.S_ISREG(found.st_mode):
        raise _not_regular(path)
    return found


def _not_regular(path: str) -> OSError:
    return OSError(errno.EINVAL, "a link, a pipe or a device is in the place of a file; remove it", path)

"""Opens a file of the spool: others may have put something else at its path, such as a link or a FIFO."""

import errno
import os
import stat
import sys


def open_private(path: "str | os.PathLike[str]", flags: int) -> int:
    """Open or create a regular file of this user, readable by this user only, and return its descriptor.

    Raises:
        OSError: The file cannot be opened; or it is a link, no regular file, or of another user.
    """
    safe = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    fd = os.open(path, flags | safe | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EPERM, "it is not a regular file", os.fspath(path))
        if sys.platform != "win32" and found.st_uid != os.geteuid():
            raise OSError(errno.EPERM, "it belongs to another user", os.fspath(path))
    except BaseException:
        os.close(fd)
        raise
    return fd


def check_folder(path: str) -> None:
    """Raise `PermissionError` if other users may write to an existing folder, and so replace its files.

    With the sticky bit they cannot replace any; `open_private` accepts none that they add.
    """
    if os.name == "nt" or not os.path.isdir(path):
        return
    mode = os.stat(path).st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        message = "other users may write to spool_directory; use a folder of this program's own, or chmod o-w it"
        raise PermissionError(errno.EPERM, message, path)

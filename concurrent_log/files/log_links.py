"""Open a log file that may be a link: administrators make such links, and another user may have planted one.

A link is followed if it belongs to root, to the user of this process, to the owner that the handler gives its files,
or to the owner of the folder that the link is in. Linux has the same rule for folders such as ``/tmp``; see
``protected_symlinks`` in proc(5).
"""

import errno
import os
import stat
import sys

from concurrent_log.files.regular_files import check_is_regular, not_regular

_SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_MOST_LINKS = 40  # as in Linux


def open_log(path: str, flags: int, owner: int = -1) -> int:
    """Open the regular file at ``path``, or the one that links lead to, and return its descriptor.

    Args:
        path: The absolute path.
        flags: Those of `os.open`.
        owner: A user whose links are followed, too; -1 for none.

    Raises:
        OSError: It cannot be opened, is not a regular file, or a link to it belongs to another user.
    """
    place = path
    for _ in range(_MOST_LINKS):
        # What is in /proc leads to open files, which may have no other name.
        safely = 0 if place.startswith("/proc/") else _SAFELY
        try:
            return check_is_regular(os.open(place, flags | safely, 0o666), path)
        except OSError as error:
            if error.errno == errno.ENXIO:  # a pipe without a reader
                raise not_regular(path) from None
            if error.errno not in (errno.ELOOP, errno.EMLINK) or not os.path.islink(place):
                raise
        place = _target(place, owner)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def check_links(path: str, owner: int = -1) -> None:
    """Raise an `OSError` if ``path`` is a link of another user, or leads to one."""
    place = path
    for _ in range(_MOST_LINKS):
        if place.startswith("/proc/") or not os.path.islink(place):
            return
        place = _target(place, owner)


def _target(link: str, owner: int) -> str:
    """Return where ``link`` leads to.

    Raises:
        OSError: It belongs to another user, or another link took its place meanwhile.
    """
    found, target = os.lstat(link), os.readlink(link)
    if _version(os.lstat(link)) != _version(found):
        raise OSError(errno.ELOOP, "another link took the place of this one", link)
    folder = os.path.dirname(link)
    if sys.platform != "win32" and found.st_uid not in (0, os.geteuid(), owner, os.stat(folder).st_uid):
        raise PermissionError(
            errno.EACCES,
            f"is a link of user {found.st_uid}, to whom neither the folder nor this process belongs; "
            "remove it, or create it as root",
            link,
        )
    return os.path.join(folder, target)


def _version(found: os.stat_result) -> tuple[int, ...]:
    # The target of a link never changes, and a file that is renamed gets another time of change.
    return stat.S_IFMT(found.st_mode), found.st_dev, found.st_ino, found.st_ctime_ns

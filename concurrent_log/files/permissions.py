"""Who may read and write the files: the mode and owner that a new file has from its first moment on.

The umask of the process is never changed, since that would change it for all its threads.
"""

import contextlib
import os
import stat
import sys
from collections.abc import Sequence
from typing import NamedTuple

from concurrent_log.files.torn_records import FLAGS

_LARGEST_NUMBER = 2**32 - 2  # of a user or a group; the next one is what -1 means to the system


class Ownership(NamedTuple):
    """The mode and owner of a file; None and -1 leave to the system what it is."""

    mode: int | None = None
    user: int = -1
    group: int = -1

    def instead_of(self, other: "Ownership") -> "Ownership":
        """Return this mode and owner, with those of ``other`` where this says nothing."""
        return Ownership(
            other.mode if self.mode is None else self.mode,
            other.user if self.user == -1 else self.user,
            other.group if self.group == -1 else self.group,
        )

    def missing(self, found: os.stat_result) -> bool:
        """Return whether a file of the status ``found`` has another mode or owner."""
        return (
            self.mode not in (None, stat.S_IMODE(found.st_mode))
            or self.user not in (-1, found.st_uid)
            or self.group not in (-1, found.st_gid)
        )

    def claim(self, fd: int) -> list[OSError]:
        """Give the open file ``fd`` this mode and owner, as far as this process may, and return what failed."""
        problems: list[OSError] = []
        if sys.platform != "win32":
            # One by one: who may not give a file away may still share it with a group. The mode comes last, since
            # a change of owner takes the set-id bits away.
            for user, group in ((-1, self.group), (self.user, -1)):
                if (user, group) != (-1, -1):
                    try:
                        os.fchown(fd, user, group)
                    except OSError as error:
                        problems.append(error)
            if self.mode is not None:
                try:
                    os.fchmod(fd, self.mode)
                except OSError as error:
                    problems.append(error)
        return problems


def ownership(owner: Sequence[str | int | None] | None, chmod: int | None, umask: int | None) -> Ownership:
    """Return what the handlers' arguments of these names ask for.

    Raises:
        TypeError, ValueError: One of them is not of its kind, or names nobody on this machine.
    """
    _check_mode("chmod", chmod, 0o7777, "a mode such as 0o640")
    _check_mode("umask", umask, 0o777, "a mask such as 0o027")
    mode = 0o666 & ~umask if chmod is None and umask is not None else chmod
    if mode is not None and mode & 0o600 != 0o600:
        name, value = ("umask", umask) if chmod is None else ("chmod", chmod)
        raise ValueError(f"{name}={value:#o} takes from the owner what he needs to write the file")
    if owner is None:
        return Ownership(mode)
    if isinstance(owner, (str, bytes)) or not isinstance(owner, Sequence) or len(owner) != 2:
        raise TypeError(f"owner must be a user and a group such as ('www-data', 'adm'), not {owner!r}")
    user, group = owner
    return Ownership(mode, _number_of("user", user), _number_of("group", group))


def create(path: str, wanted: Ownership, mode: int = 0o666) -> None:
    """Create an empty file that has its mode and owner before others can see it; one that exists stays as it is.

    Where ``wanted`` says nothing of the mode, it is ``mode`` less the umask.
    """
    if wanted != Ownership() and _create_unseen(path, wanted, mode):
        return
    with contextlib.suppress(FileExistsError):
        fd = os.open(path, FLAGS | os.O_CREAT | os.O_EXCL, mode if wanted.mode is None else wanted.mode)
        try:
            wanted.claim(fd)
        finally:
            os.close(fd)


def create_lock_file(log_file: str, wanted: Ownership, path: str) -> None:
    """Create the lock file ``path``, which those may use who may write ``log_file``."""
    with contextlib.suppress(OSError):
        wanted = wanted.instead_of(of_status(os.stat(log_file)))
    if wanted.mode is not None:
        create(path, wanted._replace(mode=_of_writers(wanted.mode)))
        return
    create(path, wanted, 0o660)  # less the umask, which the log file will have, too
    with contextlib.suppress(OSError):
        os.chmod(path, _of_writers(os.stat(path, follow_symlinks=False).st_mode))


def _of_writers(mode: int) -> int:
    """Return the mode of a file that those may read and write who may write one of ``mode``."""
    writers = mode & 0o222
    return writers | writers << 1


def of_status(found: os.stat_result) -> Ownership:
    """Return the mode and owner of an existing file."""
    return Ownership(stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)


def _create_unseen(path: str, wanted: Ownership, mode: int) -> bool:
    """Create the file without a name and link it when it is ready; return whether that worked, or it exists.

    See open(2) on O_TMPFILE, which some file systems lack.
    """
    if sys.platform != "linux":
        return False
    try:
        fd = os.open(os.path.dirname(path), os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, mode)
    except FileNotFoundError:
        raise
    except OSError:
        return False
    try:
        wanted.claim(fd)
        # A folder's descriptor makes Python call linkat(2), which follows the link in /proc; it is not used.
        os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=fd, follow_symlinks=True)
    except FileExistsError:
        pass
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _check_mode(name: str, value: int | None, largest: int, kind: str) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name}={value!r} must be {kind}")
    if not 0 <= value <= largest:
        raise ValueError(f"{name}={value:#o} must be {kind}, from 0 to {largest:#o}")


def _number_of(kind: str, name: str | int | None) -> int:
    """Return the number of a user or a group; None leaves it as it is."""
    if name is None:
        return -1
    if isinstance(name, int) and not isinstance(name, bool):
        if name < 0:
            raise ValueError(f"owner: the {kind} must not be negative, as {name} is; None leaves it")
        if name > _LARGEST_NUMBER:
            raise ValueError(f"owner: the {kind} must not be above {_LARGEST_NUMBER}, as {name} is")
        return name
    if not isinstance(name, str):
        raise TypeError(f"owner: the {kind} must be a name or a number, not {name!r}")
    if sys.platform == "win32":
        raise ValueError("owner: files have no such owner on Windows; leave it out")
    import grp
    import pwd

    try:
        return pwd.getpwnam(name).pw_uid if kind == "user" else grp.getgrnam(name).gr_gid
    except KeyError:
        raise ValueError(f"owner: this machine knows no {kind} {name!r}") from None

"""Mode and owner of files, which a new file has from the moment it is visible.

The process's umask is never changed, because the change would affect all threads.
"""

import contextlib
import os
import stat
import sys
from collections.abc import Sequence
from typing import NamedTuple

from concurrent_log.files.regular_files import open_regular
from concurrent_log.files.torn_records import APPEND_FLAGS

_MAX_ID = 2**32 - 2  # of a user or a group; to the system, the next one means -1


class Ownership(NamedTuple):
    """The mode and owner of a file; None and -1 mean the system's default."""

    mode: int | None = None
    user: int = -1
    group: int = -1

    def with_defaults(self, other: "Ownership") -> "Ownership":
        """Return this mode and owner, with those of ``other`` in place of None and -1."""
        return Ownership(
            other.mode if self.mode is None else self.mode,
            other.user if self.user == -1 else self.user,
            other.group if self.group == -1 else self.group,
        )

    def differs_from(self, status: os.stat_result) -> bool:
        """Return whether a file with this ``status`` has a different mode or owner."""
        return (
            self.mode not in (None, stat.S_IMODE(status.st_mode))
            or self.user not in (-1, status.st_uid)
            or self.group not in (-1, status.st_gid)
        )

    def apply_to(self, fd: int) -> list[OSError]:
        """Apply this mode and owner to the open file ``fd`` as far as permitted, and return the errors."""
        problems: list[OSError] = []
        if sys.platform != "win32":
            # One by one: without the right to change the owner, a process may still change the group. The mode comes
            # last, because a change of owner clears the set-id bits.
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


def parse_ownership(owner: Sequence[str | int | None] | None, chmod: int | None, umask: int | None) -> Ownership:
    """Return the mode and owner that the handler's arguments of these names configure.

    Raises:
        TypeError, ValueError: An argument is invalid, or names no user or group of this machine.
    """
    _check_mode("chmod", chmod, 0o7777, "a mode such as 0o640")
    _check_mode("umask", umask, 0o777, "a mask such as 0o027")
    mode = 0o666 & ~umask if chmod is None and umask is not None else chmod
    if mode is not None and mode & 0o600 != 0o600:
        name, value = ("umask", umask) if chmod is None else ("chmod", chmod)
        raise ValueError(f"{name}={value:#o} must let the owner read and write: use chmod=0o600 or umask=0o077")
    if owner is None:
        return Ownership(mode)
    if isinstance(owner, (str, bytes)) or not isinstance(owner, Sequence) or len(owner) != 2:
        raise TypeError(f"owner must be a user and a group such as ('www-data', 'adm'), not {owner!r}")
    user, group = owner
    return Ownership(mode, _number_of("user", user), _number_of("group", group))


def create(path: str, wanted: Ownership, mode: int = 0o666) -> None:
    """Create an empty file that has its mode and owner before it is visible; an existing file is not changed.

    If ``wanted`` has no mode, the file gets ``mode`` without the bits of the umask.
    """
    if wanted != Ownership() and _create_linked(path, wanted, mode):
        return
    with contextlib.suppress(FileExistsError):
        fd = os.open(path, APPEND_FLAGS | os.O_CREAT | os.O_EXCL, mode if wanted.mode is None else wanted.mode)
        try:
            wanted.apply_to(fd)
        finally:
            os.close(fd)


def create_folders(path: str, wanted: Ownership) -> None:
    """Create the folder ``path`` and its missing parents, for the users that ``wanted`` opens its files to.

    A permission to read a file becomes the permission to list the folder and to enter it.
    """
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    if parent and parent != path:
        create_folders(parent, wanted)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path)
        mode = None if wanted.mode is None else stat.S_IMODE(wanted.mode) | (wanted.mode & 0o444) >> 2
        _apply_to_folder(path, wanted._replace(mode=mode))


def _apply_to_folder(path: str, wanted: Ownership) -> None:
    """Give the folder ``path`` a mode and owner, as far as this process may."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        # By descriptor: another user may have put a link in the place of the folder.
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            wanted.apply_to(fd)
        finally:
            os.close(fd)


def create_lock_file(log_file: str, wanted: Ownership, path: str) -> None:
    """Create the lock file ``path``, and its folder; every user who may write ``log_file`` may use it."""
    create_folders(os.path.dirname(path), wanted)
    with contextlib.suppress(OSError):
        wanted = wanted.with_defaults(ownership_of(os.stat(log_file)))
    if wanted.mode is not None:
        create(path, wanted._replace(mode=_of_writers(wanted.mode)))
        return
    create(path, wanted, 0o660)  # without the bits of the umask, as for the log file
    with contextlib.suppress(OSError):
        fd = open_regular(path, os.O_RDWR)  # not by path: another user may have put a link there
        try:
            os.chmod(fd if os.chmod in os.supports_fd else path, _of_writers(os.fstat(fd).st_mode))
        finally:
            os.close(fd)


def _of_writers(mode: int) -> int:
    """Return the mode of a file which every user with write permission under ``mode`` may read and write."""
    writers = mode & 0o222
    return writers | writers << 1


def ownership_of(status: os.stat_result) -> Ownership:
    """Return the mode and owner of an existing file."""
    return Ownership(stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def _create_linked(path: str, wanted: Ownership, mode: int) -> bool:
    """Create the file without a name and link it when it is ready; return whether it exists now.

    See O_TMPFILE in open(2). Some file systems do not support it.
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
        wanted.apply_to(fd)
        # With src_dir_fd, which is not used, Python calls linkat(2), which follows the link in /proc.
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
    """Return the number of a user or a group; -1 for None."""
    if name is None:
        return -1
    if isinstance(name, int) and not isinstance(name, bool):
        if name < 0:
            raise ValueError(f"owner: {kind} {name} must not be negative; None leaves the {kind} unchanged")
        if name > _MAX_ID:
            raise ValueError(f"owner: {kind} {name} must not be above {_MAX_ID}")
        return name
    if not isinstance(name, str):
        raise TypeError(f"owner: the {kind} must be a name or a number, not {name!r}")
    if sys.platform == "win32":
        raise ValueError("owner: files have no owner of this kind on Windows; omit owner")
    import grp
    import pwd

    try:
        return pwd.getpwnam(name).pw_uid if kind == "user" else grp.getgrnam(name).gr_gid
    except KeyError:
        raise ValueError(f"owner: {kind} {name!r} is unknown here; use an existing name or a number") from None

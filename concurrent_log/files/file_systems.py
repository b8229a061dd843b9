"""The file system of a folder: whether appends to its files are atomic, so that the shared lock is sufficient."""

import functools
import os
import sys
from collections.abc import Callable
from typing import Literal

try:
    # Here, and not on the first call: an exception of a signal handler in the middle of an import leaves the import
    # locked, and a rollover would wait for it indefinitely, with the lock of all writers.
    import ctypes
except ImportError:  # Some Pythons are built without it.
    ctypes = None  # type: ignore[assignment]

# statfs(2) gives the type of a file system as a number, also in a chroot or a container without /proc. These are the
# kernel file systems of Linux that hold the inode's lock for the whole of an appending write (linux/magic.h, and the
# sources of those that are not in it).
_ATOMIC = frozenset(
    (
        0xEF53,  # ext2, ext3, ext4
        0x58465342,  # XFS
        0x9123683E,  # Btrfs
        0xF2F52010,  # F2FS
        0xCA451A4E,  # bcachefs
        0x2FC12FC1,  # ZFS
        0x3153464A,  # JFS
        0x52654973,  # ReiserFS
        0x01021994,  # tmpfs
        0x858458F6,  # ramfs
        0x794C7630,  # overlayfs
        0x4D44,  # FAT
        0x2011BAB0,  # exFAT
        0x7366746E,  # ntfs3
    )
)
_STATFS_SIZE = 4096  # more than any struct statfs has
_MACOS_FLAGS = 64  # offset of f_flags in macOS' struct statfs, see its sys/mount.h
_MACOS_LOCAL = 0x1000  # MNT_LOCAL

_known: dict[str, bool] = {}


def is_atomic(folder: str) -> bool:
    """Return whether appends to files in ``folder`` are atomic; an unknown file system counts as not.

    Looked up once per folder and process. A failed look is repeated by the next call, since its cause may go: the
    process had no free descriptor, or the file system was mounted later.
    """
    known = _known.get(folder)
    if known is None:
        found = _look_up(folder)
        if found is None:
            return False
        known = _known[folder] = found
    return known


def root() -> tuple[int, int] | None:
    """Return device and inode of the root folder, which chroot(2) changes; None if that is unknown."""
    try:
        found = os.stat(os.path.abspath(os.sep))
    except OSError:
        return None
    return found.st_dev, found.st_ino


def has_moved(before: tuple[int, int] | None) -> bool:
    """Return whether the process called chroot(2) since `root` returned ``before``: all paths lead elsewhere now."""
    now = root()
    return now is not None and before is not None and now != before


def _look_up(folder: str) -> bool | None:
    """Return whether appends in ``folder`` are atomic, or None if the system does not say."""
    if sys.platform.startswith("linux"):
        buffer = _statfs(folder)
        return None if buffer is None else linux_type(buffer, sys.byteorder) in _ATOMIC
    if sys.platform == "darwin":
        buffer = _statfs(folder)
        return None if buffer is None else is_local_on_macos(buffer)
    return False


def linux_type(buffer: bytes, byteorder: Literal["little", "big"]) -> int:
    """Return the first member of Linux' struct statfs: a number of four bytes on s390x and 32-bit machines, else eight.

    The types need four bytes. If the first four of a big-endian machine are empty, they are the upper half of eight.
    """
    first = int.from_bytes(buffer[:4], byteorder)
    return first if first not in (0, 0xFFFFFFFF) else int.from_bytes(buffer[4:8], byteorder)


def is_local_on_macos(buffer: bytes) -> bool:
    """Return whether macOS' struct statfs in ``buffer`` describes a local file system: APFS and HFS+ lock the file."""
    flags = int.from_bytes(buffer[_MACOS_FLAGS : _MACOS_FLAGS + 4], "little")
    return bool(flags & _MACOS_LOCAL)


@functools.cache
def _statfs_function() -> Callable[[bytes, object], int] | None:
    if ctypes is None:
        return None
    try:
        library = ctypes.CDLL(None, use_errno=True)
        # On Intel Macs the plain name is the old struct.
        return getattr(library, "statfs$INODE64", None) or library.statfs
    except (OSError, AttributeError):
        return None


def _statfs(folder: str) -> bytes | None:
    function = _statfs_function()
    if function is None:
        return None
    buffer = ctypes.create_string_buffer(_STATFS_SIZE)
    return None if function(os.fsencode(folder), buffer) else buffer.raw

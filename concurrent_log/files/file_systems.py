"""File systems on which one appending write is atomic, so that a shared lock is enough."""

import codecs
import functools
import os
import sys

# Kernel file systems that hold the inode's lock for the whole of an appending write.
_ATOMIC = frozenset(
    """ext2 ext3 ext4 xfs btrfs f2fs bcachefs zfs jfs reiserfs tmpfs ramfs overlay vfat exfat ntfs3""".split()  # noqa: SIM905
)


@functools.lru_cache(maxsize=1024)
def appends_are_atomic(path: str) -> bool:
    """Return whether appends to the file or folder at ``path`` are atomic; False if the file system is unknown.

    Reads /proc/self/mountinfo once per path and process.
    """
    if sys.platform == "win32":
        return False
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            return _file_system(os.path.realpath(path), mounts.read()) in _ATOMIC
    except OSError:
        return False


def _file_system(path: str, mountinfo: str) -> str:
    """Return the type of the file system that contains ``path``, from the text of proc_pid_mountinfo(5)."""
    found, longest = "", -1
    for line in mountinfo.splitlines():
        fields, _, source = line.partition(" - ")
        point, _ = codecs.unicode_escape_decode(fields.split(" ")[4].encode("latin-1", "surrogateescape"))
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        # Of two mounts on one point, the later one hides the earlier.
        if inside and len(point) >= longest:
            found, longest = source.split(" ")[0], len(point)
    return found

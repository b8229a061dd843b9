"""Checks of resources that run out: disk space and file descriptors."""

import os
import shutil
import sys
from os import PathLike

from concurrent_log.health.checks.probes import Check, make_check
from concurrent_log.health.status import CheckFailed, Degraded

_FAILED_FRACTION = 0.1  # of the space that should be free
_FAILED_PERCENT = 95  # of the file descriptors


def disk(path: "str | PathLike[str]", free_percent: float = 10, free_bytes: int | None = None) -> Check:
    """Return a check of the free space on a disk: `Degraded` below a limit, `CheckFailed` below a tenth of it.

    Args:
        path: A file or folder on the disk.
        free_percent: Percentage of the disk that should be free; 0 for no limit.
        free_bytes: Number of bytes that should be free; None for no limit.
    """
    if not 0 <= free_percent < 100:
        raise ValueError(f"free_percent={free_percent} must be from 0 to less than 100")
    if free_bytes is not None and free_bytes < 0:
        raise ValueError(f"free_bytes={free_bytes} must not be negative")
    os.fspath(path)

    def probe() -> None:
        usage = shutil.disk_usage(path)
        limit = max(usage.total * free_percent / 100, free_bytes or 0)
        message = f"{usage.free:,} bytes of the disk are free, {100 * usage.free / usage.total:.1f} percent"
        if usage.free < limit * _FAILED_FRACTION:
            raise CheckFailed(message)
        if usage.free < limit:
            raise Degraded(message)

    return make_check("disk", probe)


def file_descriptors(used_percent: float = 80) -> Check:
    """Return a check of how many of its file descriptors this process uses.

    More than ``used_percent`` are `Degraded`; 95 percent or more are `CheckFailed`.

    Raises:
        NotImplementedError: On Windows, which has no such limit.
    """
    if not 0 < used_percent <= 100:
        raise ValueError(f"used_percent={used_percent} must be above 0, and at most 100")
    if sys.platform == "win32":
        raise NotImplementedError("Windows does not limit the open files of a process: remove this check")
    import resource

    def probe() -> None:
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if limit == resource.RLIM_INFINITY:
            return
        used = len(os.listdir("/dev/fd")) - 1  # listdir itself uses one.
        message = f"{used:,} of {limit:,} file descriptors are in use"
        if used >= limit * _FAILED_PERCENT / 100:
            raise CheckFailed(message)
        if used > limit * used_percent / 100:
            raise Degraded(message)

    return make_check("file_descriptors", probe)

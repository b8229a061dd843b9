"""Whether this machine, and this process, have room left."""

import os
import shutil
import sys
from os import PathLike

from concurrent_log.health.checks.probes import Check, check_of
from concurrent_log.health.status import CheckFailed, Degraded

_NEARLY_FULL = 0.1  # of what should be free
_NEARLY_ALL = 95  # percent


def disk(path: "str | PathLike[str]", free_percent: float = 10, free_bytes: int | None = None) -> Check:
    """Return a check of the disk on which ``path`` lies: `Degraded` below a limit, failed below a tenth of it.

    Args:
        path: A file or folder there.
        free_percent: How much of the disk should be free for us; 0 for no such limit.
        free_bytes: How many bytes should be free; None for no such limit.
    """
    if not 0 <= free_percent < 100:
        raise ValueError(f"free_percent={free_percent} must be from 0 to less than 100")
    if free_bytes is not None and free_bytes < 0:
        raise ValueError(f"free_bytes={free_bytes} must not be negative")
    os.fspath(path)

    def probe() -> None:
        usage = shutil.disk_usage(path)
        limit = max(usage.total * free_percent / 100, free_bytes or 0)
        said = f"{usage.free:,} bytes of the disk are free, {100 * usage.free / usage.total:.1f} percent"
        if usage.free < limit * _NEARLY_FULL:
            raise CheckFailed(said)
        if usage.free < limit:
            raise Degraded(said)

    return check_of("disk", probe)


def file_descriptors(used_percent: float = 80) -> Check:
    """Return a check of how many files and connections this process has open, of those that it may have.

    More than ``used_percent`` are `Degraded`; at 95 percent, it has failed.

    Raises:
        NotImplementedError: On Windows, which has no such limit.
    """
    if not 0 < used_percent <= 100:
        raise ValueError(f"used_percent={used_percent} must be above 0, and at most 100")
    if sys.platform == "win32":
        raise NotImplementedError("Windows does not limit how many files a process has open: leave this check out")
    import resource

    def probe() -> None:
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if most == resource.RLIM_INFINITY:
            return
        used = len(os.listdir("/dev/fd")) - 1  # One is of the listing itself.
        said = f"{used:,} of {most:,} file descriptors are in use"
        if used >= most * _NEARLY_ALL / 100:
            raise CheckFailed(said)
        if used > most * used_percent / 100:
            raise Degraded(said)

    return check_of("file_descriptors", probe)

"""Log files with the day and a number in their name from the start: ``App_2025-01-20_001_KST.log``.

The append protocol is that of the other handlers. Only the rollover differs: no file is renamed, and the next record
goes to a file with the next name. The names in the folder determine the current file, which a restarted program finds
again.
"""

import os
import time
import weakref
from datetime import timedelta, tzinfo
from datetime import timezone as fixed_timezone
from logging.handlers import BaseRotatingHandler
from os import PathLike

from concurrent_log.files.adapter import FileAdapter
from concurrent_log.files.backups import Backups
from concurrent_log.files.backups.dated import DatedBackups
from concurrent_log.files.backups.dated_names import DatedNames
from concurrent_log.files.dated_rollover import DatedRollover
from concurrent_log.files.options import FileOptions, check_literal, parse_timezone
from concurrent_log.files.overrides import own_handler
from concurrent_log.files.periods import Schedule
from concurrent_log.files.rollover import Rollover
from concurrent_log.internal.validation import check_count

_KST = fixed_timezone(timedelta(hours=9), "KST")  # not from the zone files, which may be missing


@own_handler
class DatedFileHandler(FileAdapter):
    """A handler for any number of processes and threads that starts a new file each day and at ``maxBytes``.

    A record is written to a file of the day in which it was created, by the clock of ``timezone``. A file reaches
    ``maxBytes`` only with a single record that is larger. After a restart, records continue in the newest file of the
    day while it has room. The file is created with the first record; ``baseFilename`` is the current one.

    For threads, forks, pickling and closing, see `concurrent_log.ConcurrentTimedRotatingFileHandler`. Its arguments of
    the same names have the same meaning.

    Args:
        folder: Folder of the files; it is created if it is missing.
        prefix: Beginning of their names.
        timezone: ``"UTC"``, ``"KST"``, or an IANA name such as ``"Europe/Berlin"``. The names of the files end with it,
            with ``-`` in place of ``/``.
        maxBytes: Size in bytes that no file reaches; 0 means no limit.
        backupCount: Number of days to keep besides the current one; 0 keeps all.
        encoding: Encoding of the files.
        lock_timeout: Seconds to wait for the lock, which a stopped process may hold.
        keep_file_open: False opens and closes the file for each record.

    Raises:
        TypeError, ValueError: An argument is invalid; the message names it and the remedy.
        OSError: The log file cannot be written.
    """

    def __init__(
        self,
        folder: "str | PathLike[str]",
        prefix: str = "App",
        timezone: str = "UTC",
        maxBytes: int = 0,
        backupCount: int = 0,
        *,
        encoding: str | None = "utf-8",
        lock_timeout: float = 5.0,
        keep_file_open: bool | None = None,
    ) -> None:
        _check_prefix(prefix)
        self._schedule = Schedule("midnight", zone=zone_of(timezone))
        check_count("maxBytes", maxBytes, "is no limit")
        check_count("backupCount", backupCount, "keeps everything")
        label = timezone.replace("/", "-")
        options = FileOptions(
            # All files share one lock file, named after the common part of their names.
            filename=os.path.join(_folder(folder), f"{prefix}_YYYY-MM-DD_NNN_{label}.log"),
            encoding=encoding,
            delay=True,
            errors=None,
            lock_timeout=lock_timeout,
            keep_file_open=keep_file_open,
        )
        self.maxBytes = maxBytes
        self.backupCount = backupCount
        self._names = DatedNames(os.path.dirname(options.path), prefix, label)
        BaseRotatingHandler.__init__(self, options.path, "a", encoding, True)
        self._build(options)

    def next_path(self) -> str:
        """Return the path of the file that a rollover would create now."""
        rollover = self._rollover
        return rollover.next_path(max(rollover.start_of(time.time()), rollover.start))

    def _make_rollover(self) -> tuple[Rollover, Backups]:
        self._rollover = rollover = DatedRollover(self._names, self._schedule)
        rollover.attach(self._log_file, self._lock_file)
        return rollover, DatedBackups(self._names, weakref.proxy(self), rollover.day_of, rollover.today)

    def _limit(self) -> int:
        return int(self.maxBytes)


def zone_of(name: str) -> tzinfo:
    """Return the zone for ``UTC``, ``KST`` or an IANA name.

    Raises:
        TypeError, ValueError: There is no such zone.
    """
    if not isinstance(name, str):
        raise TypeError(f"timezone must be a name such as 'KST' or 'Asia/Seoul', not {name!r}")
    known = {"UTC": fixed_timezone.utc, "KST": _KST}.get(name) or parse_timezone(name, False)
    assert known is not None
    return known


def _check_prefix(prefix: str) -> None:
    if not isinstance(prefix, str):
        raise TypeError(f"prefix must be a string, not {prefix!r}")
    if not prefix or os.path.basename(prefix) != prefix or "\0" in prefix:
        raise ValueError(f"prefix={prefix!r} must be the beginning of a file's name; use folder for the folder")


def _folder(folder: "str | PathLike[str]") -> str:
    try:
        path = os.fsdecode(folder)
    except TypeError:
        raise TypeError(f"folder must be a path, not {folder!r}") from None
    check_literal("folder", path)
    return path

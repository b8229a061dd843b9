"""Late records: a record of an earlier period is appended to the backup of that period."""

import contextlib
import errno
import os

from concurrent_log.files.backups import Backups
from concurrent_log.files.gzip_members import append_member
from concurrent_log.files.lock_file import LockFile
from concurrent_log.files.log_file import LogFile
from concurrent_log.files.open_files import with_room
from concurrent_log.files.permissions import create, ownership_of
from concurrent_log.files.regular_files import open_regular
from concurrent_log.files.streams import status_of
from concurrent_log.files.torn_records import APPEND_FLAGS, PAGE_SIZE, TornRecord, close_torn_record


class LateRecords:
    """Appends records to the backups of their periods.

    Attributes:
        has_new_backup: Whether a backup was created: there may be one too many now.
    """

    def __init__(self, log_file: LogFile, lock_file: LockFile, backups: Backups) -> None:
        self._log_file = log_file
        self._lock_file = lock_file
        self._backups = backups
        self.has_new_backup = False

    def path(self, created: float, size: int) -> str | None:
        """Return the backup for ``size`` bytes of a record, or None if they belong into the current file."""
        return self._backups.late_path(created, size, self._lock_file.read_state())

    def can_share(self, path: str) -> bool:
        """Return whether several processes may append to the backup at once: it exists, and is not compressed."""
        return self._backups.late_records_can_share and not path.endswith(".gz") and os.path.exists(path)

    def append(self, created: float, data: bytes, problems: list[Exception]) -> tuple[bool, TornRecord | None]:
        """Append a record; return whether that was possible, and the part of it that fitted on a full disk.

        Raises:
            OSError: The disk is full.
        """
        try:
            path = self.path(created, len(data))
            if path is None:
                return False, None
            if path.endswith(".gz"):
                with_room(lambda: append_member(path, data[len(self._log_file.byte_order_mark) :]))
                return True, None
            is_new = not os.path.exists(path)
            if is_new:
                found = status_of(self._log_file.stream)
                wanted = self._log_file.permissions if found is None else ownership_of(found)
                with_room(lambda: create(path, wanted))
                self.has_new_backup = True
            fd = with_room(lambda: open_regular(path, APPEND_FLAGS))
        except Exception as error:
            problems.append(error)
            return False, None
        try:
            return True, self._write(fd, path, data)
        except OSError:
            # Only with the exclusive lock: otherwise others may be about to append.
            if is_new and not self._lock_file.is_held_shared() and not os.fstat(fd).st_size:
                os.remove(path)
            raise
        finally:
            os.close(fd)

    def _write(self, fd: int, path: str, data: bytes) -> TornRecord | None:
        end_of_record = self._log_file.end_of_record()
        data = self._log_file.marked(data, fd)
        written = os.write(fd, data)
        end = os.lseek(fd, 0, os.SEEK_CUR)
        if written < len(data):
            with contextlib.suppress(OSError):
                close_torn_record(path, os.fstat(fd).st_ino, end, end_of_record)
            if self._lock_file.is_held_shared():
                return TornRecord(-written, 0)  # which is closed already
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        if (end - written) % PAGE_SIZE == 0:
            with contextlib.suppress(OSError):
                close_torn_record(path, os.fstat(fd).st_ino, end - written, end_of_record, data)
        return None

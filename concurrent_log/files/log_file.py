"""One log file, as this process has it open: opening it, noticing changes from outside, writing records whole."""

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable
from typing import Any

from concurrent_log.files.file_systems import has_moved, is_atomic, root
from concurrent_log.files.log_links import open_log
from concurrent_log.files.open_files import may_reopen, with_room
from concurrent_log.files.own_file import OwnFile
from concurrent_log.files.permissions import Ownership, create, create_folders, ownership_of
from concurrent_log.files.streams import abandon, close_stream, is_own, raw_file, remember, status_of, write_all
from concurrent_log.files.torn_records import APPEND_FLAGS, PAGE_SIZE, TornRecord, close_torn_record
from concurrent_log.files.view import NO_VIEW, View

CAN_RENAME_OPEN_FILES = sys.platform != "win32"


class LogFile:
    """The log file at ``path``, and the stream that this process has open for it.

    Not safe by itself: its methods need the lock of the log file, the shared one to append, else the exclusive one.

    Args:
        path: The absolute path.
        codec: The name of the encoding.
        permissions: The mode and owner of new files.
        keep_open: False opens and closes the file for each record; None does so where appends are not atomic.
        open_stream: Opens the file at ``path`` and returns the stream.
        end_of_record: Returns the bytes that end a record.

    Attributes:
        view: What the last look at the file found. Every change of `stream` invalidates it.
        pid: The process that opened the stream.
        is_inherited: Whether that was a parent process, and this one cannot open the file again.
        is_set_aside: Whether the stream was closed only because the process has too many open files.
        end: The position of the stream behind what this process appended last. Another position means that the
            descriptor is another file by now, or that the program itself wrote to the stream.
    """

    def __init__(
        self,
        path: str,
        codec: str,
        permissions: Ownership,
        keep_open: bool | None,
        open_stream: Callable[[], Any],
        end_of_record: Callable[[], bytes],
    ) -> None:
        self.path = path
        self.permissions = permissions
        self.byte_order_mark = "".encode(codec)
        self._codec = codec
        self._keep_open = keep_open
        self._open_stream = open_stream
        self._end_of_record = end_of_record
        self._stream: Any = None
        self._root = root()
        self.view: View = NO_VIEW
        self.end = -1
        self.pid = os.getpid()
        self.is_inherited = False
        self.is_set_aside = False

    @property
    def stream(self) -> Any:
        """The open stream, or None."""
        return self._stream

    @stream.setter
    def stream(self, stream: Any) -> None:
        self.view, self.end = NO_VIEW, -1
        self.is_set_aside = False
        remember(stream)
        self._stream = stream

    # Opening and closing.

    def open(self) -> Any:
        """Open the file and return the stream; create it, and its folder, with their modes and owners."""
        try:
            return with_room(self._open)
        except FileNotFoundError:
            self.create_folder()
            return with_room(self._open)

    def _open(self) -> Any:
        self.create_with_permissions()
        return self._open_stream()

    def create_folder(self) -> None:
        """Create the folder of the file, where it is missing, with the mode and owner for new files."""
        create_folders(os.path.dirname(self.path), self.permissions)

    def create_like(self, previous: os.stat_result) -> None:
        """Create the file with the mode and owner of the previous one, unless `permissions` say something else."""
        with_room(lambda: create(self.path, self.permissions.with_defaults(ownership_of(previous))))

    def create_with_permissions(self) -> None:
        """Create the file, where it is missing, if it needs a mode or an owner of its own."""
        if self.permissions != Ownership() and not os.path.lexists(self.path):
            create(self.path, self.permissions)

    def bring_up_to_date(self, problems: list[Exception]) -> os.stat_result | None:
        """Open the file at `path` if the stream is not that file; return its status, or None for another stream.

        A stream of the program's own, such as a pipe or a `io.StringIO`, stays as it is.
        """
        stream = self._stream
        if stream is not None and raw_file(stream) is None:
            return None
        found = status_of(stream)
        if found is not None and self.pid == os.getpid():
            with contextlib.suppress(OSError):
                if os.path.samestat(found, os.stat(self.path)):
                    return self._with_permissions(found, problems)
        if found is not None and found.st_nlink and self.is_out_of_reach():
            self._inherit()
            return found
        if found is None:
            self.close()  # Otherwise, if the file cannot be opened, the record goes to another file of the program.
        return self._open_again(found, problems)

    def _inherit(self) -> None:
        """Continue in the file that is open; it is that of a parent process, if that opened it."""
        self.is_inherited = self.is_inherited or self.pid != os.getpid()
        self.pid = os.getpid()

    def _open_again(self, previous: os.stat_result | None, problems: list[Exception]) -> os.stat_result:
        try:
            fresh = self._opened(previous)
        except OSError as error:
            if previous is None or previous.st_nlink == 0:
                raise
            problems.append(error)  # such as a worker that gave up its privileges: it keeps what it inherited
            self._inherit()
            return previous
        found = os.fstat(fresh.fileno())
        self.close()
        self.stream = fresh
        self.is_inherited = False
        self.pid = os.getpid()
        return self._with_permissions(found, problems)

    def _opened(self, previous: os.stat_result | None) -> Any:
        if previous is not None:
            with contextlib.suppress(FileNotFoundError):
                self.create_like(previous)  # if another program removed it
        return self.open()

    def is_out_of_reach(self) -> bool:
        """Return whether the process called chroot(2) since it opened the file: `path` leads somewhere else now."""
        return has_moved(self._root)

    def _with_permissions(self, found: os.stat_result, problems: list[Exception]) -> os.stat_result:
        """Give the open file the mode and owner that `permissions` ask for; return its status, ``found``."""
        if self._stream is not None and self.permissions.differs_from(found):
            with contextlib.suppress(ValueError):  # closed by a signal handler
                problems += self.permissions.apply_to(self._stream.fileno())
        return found

    def take_stream(self) -> Any:
        """Return the stream and leave none."""
        stream, self.stream = self._stream, None
        return stream

    def close(self) -> None:
        """Close the stream."""
        stream = self.take_stream()
        if stream is not None:
            close_stream(stream)

    def leave_lost_stream(self) -> None:
        """Leave the stream if its descriptor is another file of the program by now, without a write or a close."""
        if self._stream is not None and not is_own(self._stream):
            self.close()

    def __del__(self) -> None:
        stream = vars(self).get("_stream")
        if stream is not None and not isinstance(raw_file(stream), OwnFile) and not is_own(stream):
            abandon(stream)

    def set_aside(self) -> None:
        """Close the stream until it is needed, if `open` would give an equal one: not a stream of the program's own."""
        raw = raw_file(self._stream)
        is_ours = isinstance(raw, OwnFile) and not self.is_inherited and not self.is_out_of_reach()
        if is_ours and may_reopen(self.path, os.W_OK):
            self.close()
            self.is_set_aside = True

    def is_removed(self) -> bool:
        """Return whether the open file has no name any longer: what is written to it is lost."""
        found = None if raw_file(self._stream) is None else status_of(self._stream)
        return found is not None and found.st_nlink == 0

    def keeps_open(self) -> bool:
        """Return whether the file stays open between two records."""
        if not CAN_RENAME_OPEN_FILES:
            return False
        return self._is_atomic() if self._keep_open is None else self._keep_open

    def can_share(self) -> bool:
        """Return whether the shared lock is sufficient to append."""
        return self.keeps_open() and not self.byte_order_mark and self._is_atomic()

    def _is_atomic(self) -> bool:
        # After a chroot the file stays open, and its path leads somewhere else.
        return is_atomic(os.path.dirname(self.path)) or (self._stream is not None and self.is_out_of_reach())

    # Writing.

    def write(self, raw: io.FileIO, data: bytes) -> TornRecord | None:
        """Append one record; return None, or the part of it that fitted on a full disk."""
        append = getattr(raw, "append", raw.write)
        data = self.marked(data, raw.fileno())
        written = append(data) or 0
        try:
            if self.byte_order_mark and self._stream is not None:
                self._stream.seek(0, os.SEEK_END)  # The mark is written: text of the program needs no other one.
            end = raw.tell()
        except ValueError:  # closed by a signal handler after the write
            end = 0
        self.end = end
        if written < len(data):
            return TornRecord(end - written, end)
        if (end - written) % PAGE_SIZE == 0:
            self.close_torn_record(end - written, data)
        return None

    def write_to_stream(self, data: bytes) -> None:
        """Write to a device, a pipe or a stream of the program's own, as the standard class does."""
        self.leave_lost_stream()
        if self._stream is None:
            self.stream = self._open_stream()
        raw = raw_file(self._stream)
        if raw is not None and not self.byte_order_mark:
            self._stream.flush()
            write_all(raw, data)  # without a buffer, which would keep what a full device refused
        else:
            errors = "surrogatepass" if self._codec.startswith("utf") else "strict"
            self._stream.write(data.decode(self._codec, errors))
            self._stream.flush()

    def write_nested(self, data: bytes) -> None:
        """Append a record through a descriptor of its own, in the middle of another one, under whichever lock."""
        fd = with_room(lambda: open_log(self.path, APPEND_FLAGS | os.O_CREAT, self.permissions.user))
        try:
            data = self.marked(data, fd)
            written = os.write(fd, data)
            if written < len(data):
                end, inode = os.lseek(fd, 0, os.SEEK_CUR), os.fstat(fd).st_ino
                close_torn_record(self.path, inode, end, self.end_of_record())
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)
        finally:
            os.close(fd)

    def marked(self, data: bytes, fd: int) -> bytes:
        """Return ``data`` without its byte-order mark, unless it begins the file."""
        mark = self.byte_order_mark
        return data[len(mark) :] if mark and os.fstat(fd).st_size else data

    def close_torn_record(self, end: int, following: bytes = b"") -> None:
        """End a part of a record before ``end`` with the terminator, if a full disk or a killed process left one."""
        found = status_of(self._stream)
        # An inherited descriptor shares its position with the parent: it is unknown whose record ends there.
        if found is not None and not self.is_inherited:
            # A process that may not read the file leaves this to the others.
            with contextlib.suppress(OSError):
                close_torn_record(self.path, found.st_ino, end, self.end_of_record(), following)

    def end_of_record(self) -> bytes:
        """Return the bytes that end a record, without a byte-order mark."""
        return self._end_of_record()[len(self.byte_order_mark) :]

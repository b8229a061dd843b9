"""One open log file: opening it, noticing what others did to it, and writing a record to it whole."""

import contextlib
import errno
import io
import os
import sys
from logging.handlers import BaseRotatingHandler
from typing import Any, NamedTuple

from concurrent_log.files.options import FileArguments
from concurrent_log.files.permissions import Ownership, create, of_status
from concurrent_log.files.streams import raw_file, status_of, write_whole
from concurrent_log.files.torn_records import PAGE, close_torn_record, cut, is_atomic

CAN_RENAME_OPEN_FILES = sys.platform != "win32"


class Piece(NamedTuple):
    """The bytes of a file, from ``start`` to before ``end``, that hold half a record."""

    start: int
    end: int


class OpenFileHandler(BaseRotatingHandler):
    """A handler's open file; not of use on its own. Its methods need the lock that they are called with."""

    _pid: int  # the process that opened the stream
    _is_inherited: bool  # whether that was a parent, and the file could not be opened anew

    def _take(self, given: FileArguments) -> None:
        """Take the arguments that say what the file is like; call it when the standard ``__init__`` is done."""
        self.terminator = given.terminator
        self._codec = given.codec
        self._byte_order_mark = "".encode(given.codec)
        self._encoding_errors = self.errors or "strict"
        self._line_end = given.line_end
        self._ownership = given.ownership
        self._keep_file_open = given.keep_file_open

    def _open(self) -> Any:
        """Open the log file, and create it with the mode and owner that it is to have; return the stream."""
        if self._ownership != Ownership() and not os.path.lexists(self.baseFilename):
            create(self.baseFilename, self._ownership)
        return super()._open()

    def _current_file(self, problems: list[Exception]) -> os.stat_result | None:
        """Make sure that the stream is the file at our path; return its status, or None for a foreign stream."""
        stream = self.stream
        if stream is not None and raw_file(stream) is None:
            return None
        found = status_of(stream)
        if found is not None and self._pid == os.getpid():
            with contextlib.suppress(OSError):
                if os.path.samestat(found, os.stat(self.baseFilename)):
                    return self._claimed(found, problems)
        try:
            fresh = self._open_in_folder(found)
        except OSError as error:
            if found is None or found.st_nlink == 0:
                raise
            problems.append(error)  # such as a worker that gave up its privileges: it keeps what it inherited
            self._is_inherited = self._is_inherited or self._pid != os.getpid()
            self._pid = os.getpid()
            return found
        found = os.fstat(fresh.fileno())
        self._close_stream()
        self.stream = fresh
        self._is_inherited = False
        self._pid = os.getpid()
        return self._claimed(found, problems)

    def _open_in_folder(self, previous: os.stat_result | None) -> Any:
        try:
            if previous is not None:
                self._create_like(previous)  # if somebody removed it
            return self._open()
        except FileNotFoundError:
            os.makedirs(os.path.dirname(self.baseFilename), exist_ok=True)
            return self._open()

    def _create_like(self, previous: os.stat_result) -> None:
        """Create the log file like the one before, but for what the handler's arguments say of its mode and owner."""
        create(self.baseFilename, self._ownership.instead_of(of_status(previous)))

    def _claimed(self, found: os.stat_result, problems: list[Exception]) -> os.stat_result:
        """Give the open file the mode and owner that the handler's arguments ask for; return its status, ``found``."""
        if self.stream is not None and self._ownership.missing(found):
            with contextlib.suppress(ValueError):  # closed by a signal handler
                problems += self._ownership.claim(self.stream.fileno())
        return found

    def _close_stream(self) -> None:
        stream, self.stream = self.stream, None
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()

    def _is_removed(self) -> bool:
        """Return whether the open file has no name any more."""
        found = None if raw_file(self.stream) is None else status_of(self.stream)
        return found is not None and found.st_nlink == 0

    def _keeps_open(self) -> bool:
        if not CAN_RENAME_OPEN_FILES:
            return False
        if self._keep_file_open is None:
            return is_atomic(os.path.dirname(self.baseFilename))
        return self._keep_file_open

    def _may_share(self) -> bool:
        """Return whether the shared lock is enough to append."""
        return self._keeps_open() and not self._byte_order_mark and is_atomic(os.path.dirname(self.baseFilename))

    # Writing.

    def _write_to(self, raw: io.FileIO, data: bytes) -> "Piece | None":
        data = self._marked(data, raw.fileno())
        written = raw.write(data) or 0
        try:
            end = raw.tell()
        except ValueError:  # closed by a signal handler after the write
            end = 0
        if written < len(data):
            return Piece(end - written, end)
        if (end - written) % PAGE == 0:
            self._close_torn_record(end - written, data)
        return None

    def _write_late(self, fd: int, path: str, data: bytes, *, others_append: bool) -> "Piece | None":
        data = self._marked(data, fd)
        written = os.write(fd, data)
        end = os.lseek(fd, 0, os.SEEK_CUR)
        if written < len(data):
            if others_append:  # and what they append right now must not be cut off with it
                with contextlib.suppress(OSError):
                    close_torn_record(path, os.fstat(fd).st_ino, end, self._end_of_record())
                return Piece(-written, 0)  # which nobody has to cut
            cut(fd, path, end - written, end, self._end_of_record())
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        if (end - written) % PAGE == 0:
            with contextlib.suppress(OSError):
                close_torn_record(path, os.fstat(fd).st_ino, end - written, self._end_of_record(), data)
        return None

    def _write_elsewhere(self, data: bytes) -> None:
        """Write to a device, a pipe or a stream of the program's own, as the standard class does."""
        if self.stream is None:
            self.stream = self._open()
        raw = raw_file(self.stream)
        if raw is not None and not self._byte_order_mark:
            write_whole(raw, data)  # without a buffer, which would keep what a full device refused
        else:
            errors = "surrogatepass" if self._codec.startswith("utf") else "strict"
            self.stream.write(data.decode(self._codec, errors))
            self.stream.flush()

    def _marked(self, data: bytes, fd: int) -> bytes:
        """Return ``data`` without its byte-order mark, unless it begins the file."""
        mark = self._byte_order_mark
        return data[len(mark) :] if mark and os.fstat(fd).st_size else data

    def _close_torn_record(self, end: int, following: bytes) -> None:
        found = status_of(self.stream)
        if found is not None and not self._is_inherited:
            # Whom the file is not open to for reading leaves this to others.
            with contextlib.suppress(OSError):
                close_torn_record(self.baseFilename, found.st_ino, end, self._end_of_record(), following)

    def _cut(self, torn: "Piece") -> None:
        # An inherited descriptor has its position in common with the parent: nobody knows whose record ends there.
        if self.stream is not None and not self._is_inherited and torn.start >= 0:
            fd = self.stream.fileno()
            cut(fd, self.baseFilename, torn.start, torn.end, self._end_of_record())

    def _end_of_record(self) -> bytes:
        end = self.terminator.replace("\n", self._line_end)
        return end.encode(self._codec, "backslashreplace")[len(self._byte_order_mark) :]

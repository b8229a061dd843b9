"""One open log file: opening it, noticing what others did to it, and writing a record to it whole."""

import contextlib
import errno
import functools
import io
import logging
import os
import sys
from logging.handlers import BaseRotatingHandler
from typing import Any

from concurrent_log.files.file_systems import is_atomic
from concurrent_log.files.lock_file import LockFile
from concurrent_log.files.options import FileArguments
from concurrent_log.files.permissions import Ownership, create, create_lock_file, of_status
from concurrent_log.files.streams import check_writable, is_special, raw_file, status_of, without_mark, write_whole
from concurrent_log.files.torn_records import FLAGS, PAGE, Piece, close_torn_record, cut

CAN_RENAME_OPEN_FILES = sys.platform != "win32"


class OpenFileHandler(BaseRotatingHandler):
    """A handler's open file; not of use on its own. Its methods need the lock that they are called with."""

    _pid: int  # the process that opened the stream
    _is_inherited: bool  # whether that was a parent, and the file could not be opened anew

    def _set_up(self, given: FileArguments) -> None:
        """Set up what `emit` needs, and open the file; call it when the standard ``__init__`` is done."""
        self.delay = given.delay
        self._take(given)
        self._lock_path = given.lock_path
        self._lock_timeout = given.lock_timeout
        self._is_special = False
        self._attach()
        self._begin()

    def _attach(self) -> None:
        """Take part in the writing; what this sets belongs to one process."""
        self._lock_file = LockFile.at(self._lock_path)
        self._lock_file.create = functools.partial(create_lock_file, self.baseFilename, self._ownership)
        # All handlers of one log file in this process wait in one line, and logging renews this lock after a fork.
        self.lock = self._lock_file.mutex
        self._pid = os.getpid()
        self._after_rollover = False
        self._is_inherited = False
        self._rollover_is_wanted = False

    def createLock(self) -> None:
        """Keep to the lock that all handlers of the file in this process have in common."""
        if hasattr(self, "_lock_file"):
            self.lock = self._lock_file.mutex
        else:
            super().createLock()

    def _begin(self) -> None:
        """Make sure that the file can be written, and open it unless that is to wait for the first record."""
        path = self.baseFilename
        self._is_special = is_special(path)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if self.delay:
                check_writable(path)
            else:
                self.stream = self._open()
                if not self._is_special and not self._keeps_open():
                    self._close_stream()
        except OSError as error:
            message = f"cannot write the log file {path} ({error.strerror}); name a place that this user may write"
            raise type(error)(error.errno, message, error.filename) from error

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

    def close(self) -> None:
        """Close the file and the lock file. A record that comes later opens them again."""
        with self._lock_file.mutex:
            super().close()
            if not self._lock_file.held:
                self._lock_file.close()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in _OF_ONE_PROCESS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        logging.Handler.__init__(self)
        vars(self).update(state, stream=None)
        self._attach()

    def _overrides(self, name: str) -> bool:
        """Return whether a subclass, or an attribute of this handler, replaces the method ``name``."""
        module = str(getattr(getattr(self, name), "__module__", ""))
        return module != "logging.handlers" and not module.startswith("concurrent_log.")

    # Writing.

    def _write_to(self, raw: io.FileIO, data: bytes) -> "Piece | None":
        data = without_mark(data, self._byte_order_mark, raw.fileno())
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

    def _append_by_path(self, data: bytes) -> None:
        """Append a record that was logged from inside this handler: by a namer, a signal handler, a warning."""
        fd = os.open(self.baseFilename, FLAGS | os.O_CREAT, 0o666)
        try:
            data = without_mark(data, self._byte_order_mark, fd)
            written = os.write(fd, data)
            if written < len(data):
                # Perhaps only the shared lock is held: others may append, so nothing can be cut off again.
                end, inode = os.lseek(fd, 0, os.SEEK_CUR), os.fstat(fd).st_ino
                close_torn_record(self.baseFilename, inode, end, self._end_of_record())
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.baseFilename)
        finally:
            os.close(fd)

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


_OF_ONE_PROCESS = frozenset(
    (
        "lock",
        "stream",
        "_lock_file",
        "_compressor",
        "_pid",
        "_asctime",
        "_reports",
        "_view",
        "_room",
        "_grant",
        "_asked",
        "_after_rollover",
        "_is_inherited",
        "_rollover_is_wanted",
    )
)

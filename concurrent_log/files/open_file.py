"""One open log file: it is opened, compared with the file at its path, and written to."""

import contextlib
import errno
import functools
import io
import logging
import os
import sys
from logging.handlers import BaseRotatingHandler
from typing import Any

from concurrent_log.files.file_systems import appends_are_atomic
from concurrent_log.files.lock_file import LockFile
from concurrent_log.files.options import FileOptions
from concurrent_log.files.permissions import Ownership, create, create_lock_file, ownership_of
from concurrent_log.files.streams import check_writable, is_special, raw_file, status_of, without_mark, write_all
from concurrent_log.files.torn_records import APPEND_FLAGS, PAGE_SIZE, TornRecord, close_torn_record, remove_torn_record

CAN_RENAME_OPEN_FILES = sys.platform != "win32"


class OpenFileHandler(BaseRotatingHandler):
    """Base class: a handler's open file. The caller holds the lock that the method needs."""

    _pid: int  # the process that opened the stream
    _stream_is_inherited: bool  # whether a parent process opened the stream, and the file cannot be re-opened

    def _set_up(self, options: FileOptions) -> None:
        """Set up what `emit` needs, and open the file; call it after the standard ``__init__``."""
        self.delay = options.delay
        self._apply_options(options)
        self._lock_path = options.lock_path
        self._lock_timeout = options.lock_timeout
        self._is_special = False
        self._set_up_process()
        self._prepare_file()

    def _set_up_process(self) -> None:
        """Set the attributes that belong to one process; also called after unpickling."""
        self._lock_file = LockFile.at(self._lock_path)
        self._lock_file.create = functools.partial(create_lock_file, self.baseFilename, self._ownership)
        # All handlers of one log file in this process share this lock. After a fork, logging re-creates it.
        self.lock = self._lock_file.mutex
        self._pid = os.getpid()
        self._cleanup_pending = False
        self._stream_is_inherited = False
        self._rollover_requested = False

    def createLock(self) -> None:
        """Use the lock that all handlers of the file in this process share."""
        if hasattr(self, "_lock_file"):
            self.lock = self._lock_file.mutex
        else:
            super().createLock()

    def _prepare_file(self) -> None:
        """Check that the file can be written, and open it unless ``delay`` is set."""
        path = self.baseFilename
        self._is_special = is_special(path)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if self.delay:
                check_writable(path)
            else:
                self.stream = self._open()
                if not self._is_special and not self._keeps_file_open():
                    self._close_stream()
        except OSError as error:
            message = f"cannot write the log file {path} ({error.strerror}); use a path that this user may write to"
            raise type(error)(error.errno, message, error.filename) from error

    def _apply_options(self, options: FileOptions) -> None:
        """Store the options of the file; call it after the standard ``__init__``."""
        self.terminator = options.terminator
        self._codec = options.codec
        self._byte_order_mark = "".encode(options.codec)
        self._encoding_errors = self.errors or "strict"
        self._line_end = options.line_end
        self._ownership = options.ownership
        self._keep_file_open = options.keep_file_open

    def _open(self) -> Any:
        """Open the log file, created with the configured mode and owner if necessary, and return the stream."""
        if self._ownership != Ownership() and not os.path.lexists(self.baseFilename):
            create(self.baseFilename, self._ownership)
        return super()._open()

    def _ensure_current_file(self, problems: list[Exception]) -> os.stat_result | None:
        """Open the file at ``baseFilename`` unless it is open; return its status, or None for the user's own stream."""
        stream = self.stream
        if stream is not None and raw_file(stream) is None:
            return None
        status = status_of(stream)
        if status is not None and self._pid == os.getpid():
            with contextlib.suppress(OSError):
                if os.path.samestat(status, os.stat(self.baseFilename)):
                    return self._apply_ownership(status, problems)
        try:
            fresh = self._reopen(status)
        except OSError as error:
            if status is None or status.st_nlink == 0:
                raise
            problems.append(error)  # A worker that dropped its privileges continues with the inherited stream.
            self._stream_is_inherited = self._stream_is_inherited or self._pid != os.getpid()
            self._pid = os.getpid()
            return status
        status = os.fstat(fresh.fileno())
        self._close_stream()
        self.stream = fresh
        self._stream_is_inherited = False
        self._pid = os.getpid()
        return self._apply_ownership(status, problems)

    def _reopen(self, previous: os.stat_result | None) -> Any:
        try:
            if previous is not None:
                self._create_like(previous)  # Another program may have removed the file.
            return self._open()
        except FileNotFoundError:
            os.makedirs(os.path.dirname(self.baseFilename), exist_ok=True)
            return self._open()

    def _create_like(self, previous: os.stat_result) -> None:
        """Create the log file with the configured mode and owner, or those of the ``previous`` file."""
        create(self.baseFilename, self._ownership.with_defaults(ownership_of(previous)))

    def _apply_ownership(self, status: os.stat_result, problems: list[Exception]) -> os.stat_result:
        """Apply the configured mode and owner to the open file, and return ``status``."""
        if self.stream is not None and self._ownership.differs_from(status):
            with contextlib.suppress(ValueError):  # A signal handler has closed the stream.
                problems += self._ownership.apply_to(self.stream.fileno())
        return status

    def _close_stream(self) -> None:
        stream, self.stream = self.stream, None
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()

    def _is_removed(self) -> bool:
        """Return whether the open file no longer has a name."""
        status = None if raw_file(self.stream) is None else status_of(self.stream)
        return status is not None and status.st_nlink == 0

    def _keeps_file_open(self) -> bool:
        if not CAN_RENAME_OPEN_FILES:
            return False
        if self._keep_file_open is None:
            return appends_are_atomic(os.path.dirname(self.baseFilename))
        return self._keep_file_open

    def _can_share_lock(self) -> bool:
        """Return whether the shared lock is enough to append."""
        return (
            self._keeps_file_open()
            and not self._byte_order_mark
            and appends_are_atomic(os.path.dirname(self.baseFilename))
        )

    def close(self) -> None:
        """Close the file and the lock file."""
        with self._lock_file.mutex:
            super().close()
            if not self._lock_file.held:
                self._lock_file.close()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in _OF_ONE_PROCESS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        logging.Handler.__init__(self)
        vars(self).update(state, stream=None)
        self._set_up_process()

    def _overrides(self, name: str) -> bool:
        """Return whether a subclass, or an attribute of this handler, replaces the method ``name``."""
        module = str(getattr(getattr(self, name), "__module__", ""))
        return module != "logging.handlers" and not module.startswith("concurrent_log.")

    # Writing.

    def _write_to(self, raw: io.FileIO, data: bytes) -> "TornRecord | None":
        data = without_mark(data, self._byte_order_mark, raw.fileno())
        written = raw.write(data) or 0
        try:
            end = raw.tell()
        except ValueError:  # A signal handler closed the stream after the write.
            end = 0
        if written < len(data):
            return TornRecord(end - written, end)
        if (end - written) % PAGE_SIZE == 0:
            self._close_torn_record(end - written, data)
        return None

    def _write_to_stream(self, data: bytes) -> None:
        """Write to a device, a pipe or the user's own stream, as the standard class does."""
        if self.stream is None:
            self.stream = self._open()
        raw = raw_file(self.stream)
        if raw is not None and not self._byte_order_mark:
            write_all(raw, data)  # Unbuffered: a buffer would keep what a full device rejected.
        else:
            errors = "surrogatepass" if self._codec.startswith("utf") else "strict"
            self.stream.write(data.decode(self._codec, errors))
            self.stream.flush()

    def _append_reentrant(self, data: bytes) -> None:
        """Append a re-entrant record: one logged inside this handler by a namer, a signal handler or a warning."""
        fd = os.open(self.baseFilename, APPEND_FLAGS | os.O_CREAT, 0o666)
        try:
            data = without_mark(data, self._byte_order_mark, fd)
            written = os.write(fd, data)
            if written < len(data):
                # If only the shared lock is held, other processes may append: the torn record cannot be removed.
                end, inode = os.lseek(fd, 0, os.SEEK_CUR), os.fstat(fd).st_ino
                close_torn_record(self.baseFilename, inode, end, self._encoded_terminator())
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.baseFilename)
        finally:
            os.close(fd)

    def _close_torn_record(self, end: int, following: bytes) -> None:
        status = status_of(self.stream)
        if status is not None and not self._stream_is_inherited:
            # A process that may not read the file leaves this to others.
            with contextlib.suppress(OSError):
                close_torn_record(self.baseFilename, status.st_ino, end, self._encoded_terminator(), following)

    def _remove_torn_record(self, torn: "TornRecord") -> None:
        # An inherited descriptor shares its position with the parent: the end may be that of another record.
        if self.stream is not None and not self._stream_is_inherited and torn.start >= 0:
            fd = self.stream.fileno()
            remove_torn_record(fd, self.baseFilename, torn.start, torn.end, self._encoded_terminator())

    def _encoded_terminator(self) -> bytes:
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
        "_snapshot",
        "_granted_bytes",
        "_grant_key",
        "_last_request",
        "_cleanup_pending",
        "_stream_is_inherited",
        "_rollover_requested",
    )
)

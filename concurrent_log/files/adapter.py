"""The adapter between `logging` and the writer of a log file: the one place that calls what a subclass overrides."""

import functools
import logging
import os
import time
import weakref
from collections.abc import Callable, Sequence
from logging.handlers import BaseRotatingHandler
from typing import Any

from concurrent_log.files.asctime_cache import AsctimeCache
from concurrent_log.files.backups import Backups
from concurrent_log.files.batch import append_batch
from concurrent_log.files.compression import Compressor
from concurrent_log.files.late_records import LateRecords
from concurrent_log.files.lock_file import LOCK_SHARED, UNLOCK, LockFile, flock, pread
from concurrent_log.files.log_file import LogFile
from concurrent_log.files.log_links import check_links
from concurrent_log.files.options import FileOptions
from concurrent_log.files.overrides import is_overridden, overridden, own_handler
from concurrent_log.files.permissions import create_lock_file
from concurrent_log.files.problem_reports import ProblemReports
from concurrent_log.files.rollover import Rollover, publish
from concurrent_log.files.shared_state import STATE_SIZE
from concurrent_log.files.size_grants import SizeGrants
from concurrent_log.files.streams import check_writable, is_special, open_stream
from concurrent_log.files.torn_records import PAGE_SIZE
from concurrent_log.files.writer import LogWriter
from concurrent_log.internal.handler_closing import close_soon
from concurrent_log.internal.lock_owners import is_owned, owns_logging_lock

lseek, SEEK_CUR = os.lseek, os.SEEK_CUR  # looked up for each record


@own_handler
class FileAdapter(BaseRotatingHandler):
    """The part of `logging.Handler` that all file handlers of this package have in common.

    A subclass creates its policy (`_make_rollover`) and its backups, and calls `_build` at the end of ``__init__``.
    """

    _log_file: LogFile
    _lock_file: LockFile
    _log_writer: LogWriter
    _backups: Backups
    _file_options: FileOptions

    # Building.

    def _build(self, options: FileOptions) -> None:
        """Create the writer, and open the file unless ``delay`` is set; call it after the standard ``__init__``."""
        stream, path = vars(self).pop("_early_stream", None), vars(self).pop("_early_path", options.path)
        self._file_options = options
        self.delay = options.delay
        self.terminator = options.terminator
        self._encoding_errors = self.errors or "strict"
        self._codec = options.codec
        self._line_end = options.line_end
        self._attach(path)
        self._log_file.stream = stream
        self._begin()

    def _attach(self, path: str) -> None:
        """Create the parts that belong to one process.

        They refer to the handler weakly: one that is dropped gives back its descriptors at once.
        """
        me = weakref.proxy(self)
        options = self._file_options
        self._asctime = AsctimeCache()
        self._log_file = LogFile(
            path,
            options.codec,
            options.ownership,
            options.keep_file_open,
            lambda: me._open(),
            lambda: me._end_of_record(),
        )
        self._lock_file = LockFile.at(options.lock_path)
        # All handlers of one log file in this process share one lock.
        self.lock = self._lock_file.mutex
        rollover, self._backups = self._make_rollover()
        self._lock_file.create = functools.partial(create_lock_file, self._log_file.path, options.ownership)
        grants = SizeGrants(
            self._log_file, self._lock_file, functools.partial(publish, self._lock_file, rollover), lambda: me._limit()
        )
        late_records = LateRecords(self._log_file, self._lock_file, self._backups)
        self._problems = ProblemReports(lambda record: me.handleError(record))
        self._compressor = Compressor(options.lock_path, self._lock_file.create)
        hooks = _Hooks(self)
        self._log_writer = LogWriter(
            self._log_file,
            self._lock_file,
            rollover,
            grants,
            late_records,
            self._problems,
            hooks,
            options.lock_timeout,
        )
        self._log_writer.is_special = is_special(self._log_file.path)

    def _make_rollover(self) -> tuple[Rollover, Backups]:
        """Return the policy of this handler, and its backups."""
        raise NotImplementedError

    def _limit(self) -> int:
        """Return the size in bytes that no file may reach, except with a single record; 0 is no limit."""
        raise NotImplementedError

    def _begin(self) -> None:
        """Make sure that the file can be written, and open it unless that waits for the first record."""
        log_file = self._log_file
        try:
            log_file.create_folder()
            if self.delay:
                check_writable(log_file.path, log_file.permissions.user)
            elif log_file.stream is None:
                self._log_writer.open_first()
                if not self._log_writer.is_special and not log_file.keeps_open():
                    log_file.close()
        except OSError as error:
            message = (
                f"cannot write the log file {log_file.path} ({error.strerror}); use a path that this user may write to"
            )
            raise type(error)(error.errno, message, error.filename) from error

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in vars(self).items() if name not in _OF_ONE_PROCESS}
        return state | {"_early_path": self._log_file.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        logging.Handler.__init__(self)
        vars(self).update(state)
        self._attach(vars(self).pop("_early_path"))

    # Attributes of the standard class that belong to the log file here.

    @property
    def stream(self) -> Any:
        """The open stream, or None; text that is written to it is in the file at once."""
        if "_log_file" not in vars(self):
            return vars(self).get("_early_stream")
        if self._log_file.is_set_aside:
            self._log_writer.open()
        return self._log_file.stream

    @stream.setter
    def stream(self, stream: Any) -> None:
        if "_log_file" in vars(self):
            self._log_file.stream = stream
        else:  # by the standard ``__init__``
            vars(self)["_early_stream"] = stream

    @property
    def baseFilename(self) -> str:
        """The absolute path of the log file."""
        return self._log_file.path if "_log_file" in vars(self) else vars(self)["_early_path"]

    @baseFilename.setter
    def baseFilename(self, path: str) -> None:
        if "_log_file" in vars(self):
            self._log_file.path = path
            self._log_writer.is_special = is_special(path)
        else:
            vars(self)["_early_path"] = path

    def createLock(self) -> None:
        """Keep the lock that all handlers of the file in this process share."""
        if "_lock_file" in vars(self):
            self.lock = self._lock_file.mutex
        else:
            super().createLock()

    # The straight path.

    def format(self, record: logging.LogRecord) -> str:
        """Format ``record`` with the handler's formatter; its time is rendered once a second."""
        return self._asctime.format(self.formatter, record)

    def handle(self, record: logging.LogRecord) -> bool:
        """Emit ``record`` if the filters let it pass; the same as the standard method, with one call less."""
        passed = self.filter(record)
        if passed is not True and isinstance(passed, logging.LogRecord):
            record = passed  # Python 3.12: a filter may return another record
        if passed:
            with self._lock_file.mutex:
                self.emit(record)
        return passed

    def emit(self, record: logging.LogRecord) -> None:
        """Append ``record`` to the file of the period in which it was created.

        Never raises, except for `RecursionError`: what fails is reported through ``handleError``, and the record is
        written nevertheless wherever that is possible. As in the standard library, ``handle`` is the method to call
        from several threads; it takes the handler's lock.
        """
        try:
            data = self._encoded(record)
            log_file, lock_file = self._log_file, self._lock_file
            opens, closes, since, until, expires, pid, state, has_limit, append, position = log_file.view
            try:
                # At another position, a descriptor is another file by now: look before anything is done to it.
                is_own = position() == log_file.end and lseek(lock_file.fd, 0, SEEK_CUR) == lock_file.mark
            except (OSError, ValueError) as error:
                if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
                    raise  # of a signal handler
                is_own = False  # It is closed, or a socket.
            if (
                is_own
                and (opens <= record.created < closes or (since <= record.created < until and time.time() < expires))
                and (pid == record.process or pid == os.getpid())
                and not lock_file.held
            ):
                written = end = 0
                try:
                    lock_file.held = True
                    flock(lock_file.fd, LOCK_SHARED)
                    if pread(lock_file.fd, STATE_SIZE, 0) == state and (
                        not has_limit or self._log_writer.grants.spend(len(data))
                    ):
                        written = append(data) or 0
                        end = log_file.end = position()
                except (OSError, ValueError) as error:
                    # A rollover is in progress, the disk is full, a descriptor was closed: look carefully. But an
                    # error that a signal handler raised here says nothing of the file; the record may be written.
                    if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
                        raise
                finally:
                    # One more signal may interrupt this; the second attempt leaves no lock behind.
                    try:
                        lock_file.held = False
                        flock(lock_file.fd, UNLOCK)
                    except (OSError, ValueError):
                        pass  # The lock file was closed, which released the lock.
                    except BaseException:
                        lock_file.release()
                        raise
                if written != len(data) or not (end - written) % PAGE_SIZE:
                    self._log_writer.append(record, data, written, end)
            else:
                self._log_writer.append(record, data)
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    def _encoded(self, record: logging.LogRecord) -> bytes:
        """Return the bytes to append for ``record``."""
        text = self.format(record) + self.terminator
        if self._line_end != "\n":
            text = text.replace("\n", self._line_end)
        try:
            return text.encode(self._codec, self._encoding_errors)
        except UnicodeEncodeError:
            return text.encode(self._codec, "backslashreplace")

    def _end_of_record(self) -> bytes:
        text = self.terminator.replace("\n", self._line_end)
        return text.encode(self._codec, "backslashreplace")

    # Many records at once.

    def emit_batch(self, records: Sequence[logging.LogRecord]) -> None:
        """Append ``records`` in order, as `emit` would one by one, but many of them under one lock.

        The sequence may create its records when they are requested: as a rule, each is requested once. What fails is
        reported through ``handleError``, also if formatting recurses without an end; like `emit`, this raises
        nothing but `RecursionError`.
        """
        if is_overridden(self, "emit"):
            for record in records:
                self.emit(record)
        else:
            append_batch(self._log_writer, records, self._encoded, self.handleError)

    # What a subclass overrides.

    def _own_rotator(self) -> Callable[[str, str], object] | None:
        """Return the program's own way to make a backup of the log file, or None."""
        return self.rotate if self.rotator is not None or is_overridden(self, "rotate") else None

    def _open(self) -> Any:
        """Open the log file and return the stream. Override it to open the file in another way."""
        owner = self._log_file.permissions.user
        if self._log_writer.is_special:
            check_links(self.baseFilename, owner)
            return super()._open()
        self._log_file.create_with_permissions()  # a program calls this, too, to open the log again
        return open_stream(self.baseFilename, self.encoding, self.errors, owner)

    # The standard interface.

    def shouldRollover(self, record: logging.LogRecord | None) -> bool:
        """Return whether ``record`` would begin a new file.

        Override it to roll over for reasons of your own; every record then takes the exclusive lock.
        """
        if self._log_writer.is_special:
            return False
        return self._log_writer.should_roll_over(
            record, len(self._encoded(record) if record else self._end_of_record())
        )

    def doRollover(self) -> None:
        """Roll over now: move the log file to the backup of its period and begin a new one.

        The other processes continue in the new file. A file without records stays as it is. Called by a signal handler
        while a record is being written, it rolls over before the next record. Raises what the rollover raises, and
        `TimeoutError` if another process holds the lock for longer than ``lock_timeout``.
        """
        problems: list[Exception] = []
        record = logging.makeLogRecord({"msg": "doRollover of %s", "args": (self.baseFilename,)})
        self._log_writer.roll_over(record, problems)
        if problems:
            raise problems[0]

    # `logging.config.dictConfig` calls these with the lock of `logging` held. The thread that uses the file may wait
    # for that lock, because an ``emit`` looks up a logger: so they do not wait for this thread.

    def acquire(self) -> None:
        """Acquire the handler's lock; if the caller holds the lock of `logging`, only if it does not have to wait."""
        if self.lock is not None:
            self.lock.acquire(blocking=not owns_logging_lock())

    def release(self) -> None:
        """Release the handler's lock, if `acquire` has acquired it."""
        if is_owned(self.lock):
            self.lock.release()  # type: ignore[union-attr]

    def flush(self) -> None:
        """Flush the stream, if it is open."""
        if "_log_file" not in vars(self):
            super().flush()
        elif not self._log_file.is_set_aside:
            self._run_locked(self._flush)

    def _flush(self) -> None:
        self._log_file.leave_lost_stream()
        super().flush()

    def close(self) -> None:
        """Close the file and the lock file. A later record opens them again."""
        if not self._run_locked(self._close):
            close_soon(self)

    def _close(self) -> None:
        self._log_file.is_set_aside = False
        self._log_file.leave_lost_stream()
        super().close()
        self._log_writer.close()

    def _run_locked(self, function: Callable[[], None]) -> bool:
        """Call ``function`` with the handler's lock held; return False if the caller must not wait for this lock."""
        mutex = self._lock_file.mutex
        if not owns_logging_lock():
            with mutex:
                function()
        elif mutex.acquire(blocking=False):
            try:
                function()
            finally:
                mutex.release()
        else:
            return False
        return True


class _Hooks:
    """Calls what a handler's subclass overrides, by the names that the writer knows."""

    def __init__(self, handler: FileAdapter) -> None:
        self._reference = weakref.ref(handler)

    @property
    def _handler(self) -> FileAdapter:
        handler = self._reference()
        assert handler is not None  # its method is running
        return handler

    def should_roll_over(self) -> Callable[[Any], object] | None:
        return overridden(self._handler, "shouldRollover")

    def do_rollover(self) -> Callable[[], object] | None:
        return overridden(self._handler, "doRollover")

    def opens_file(self) -> bool:
        handler = self._reference()  # another thread may be deleting it
        return handler is None or is_overridden(handler, "_open")

    def tidy(self, record: Any) -> list[Exception]:
        """Remove the backups that retention does not keep, and let a thread compress the others."""
        handler = self._handler
        problems: list[Exception] = []
        for path in handler._backups.expired():
            try:
                os.remove(path)
            except FileNotFoundError:
                pass  # Another process does the same.
            except OSError as error:
                problems.append(error)
        if handler._file_options.use_gzip and handler._own_rotator() is None:
            report = functools.partial(handler._problems.report, "compress", record)
            # The function keeps the handler alive until the thread is done.
            handler._compressor.start(lambda: handler._backups.existing(), report)
        return problems


_OF_ONE_PROCESS = frozenset(
    (
        "lock",
        "_log_file",
        "_lock_file",
        "_log_writer",
        "_backups",
        "_problems",
        "_compressor",
        "_asctime",
        "_rollover",
    )
)

"""The append protocol: how a record gets into a log file that many processes write.

`SharedFileHandler.emit` is the straight path. It formats and encodes the record, takes the shared lock, checks with
one read of the lock file that no other process has rolled over, and appends the record with one ``write``.

`SharedFileHandler._append` is the slow path. It opens the file, checks what other processes changed, and rolls over
under the exclusive lock.
"""

import contextlib
import errno
import logging
import os
import time
from collections.abc import Iterator

from concurrent_log.files.asctime_cache import AsctimeCache
from concurrent_log.files.gzip_members import append_member
from concurrent_log.files.late_records import append_to_backup, is_appendable, open_backup
from concurrent_log.files.lock_file import LOCK_SHARED, UNLOCK, flock, pread
from concurrent_log.files.problem_reports import ProblemReports
from concurrent_log.files.shared_state import STATE_SIZE, State
from concurrent_log.files.size_grants import LimitedFileHandler
from concurrent_log.files.snapshot import ANY_TIME, NO_SNAPSHOT, Span, take_snapshot
from concurrent_log.files.streams import raw_file
from concurrent_log.files.torn_records import PAGE_SIZE, TornRecord

_MAX_CLOCK_STEP_BACK = 3600  # seconds; a period that begins further in the future comes from a wrong clock


class SharedFileHandler(LimitedFileHandler):
    """Base class: appends each record under the lock that the file needs.

    Subclasses define which records belong to the current file (`_span`), where a period starts (`_period_start`), the
    size limit (`_max_file_size`), the rollover (`_is_due`, `_try_roll_over`, `_clean_up`), and the backup for a late
    record (`_late_record_path`).
    """

    _snapshot = NO_SNAPSHOT

    def _set_up_process(self) -> None:
        super()._set_up_process()
        self._asctime = AsctimeCache()
        self._reports = ProblemReports()
        self._snapshot = NO_SNAPSHOT
        self._reset_grants()

    # Defined by subclasses.

    def _span(self, start: int) -> Span:
        """Return the creation times of the records that belong to a file whose state has this ``start``."""
        raise NotImplementedError

    def _period_start(self, moment: float) -> int:
        """Return the ``start`` of a file whose first record was created at ``moment``."""
        raise NotImplementedError

    def _is_due(self, record: logging.LogRecord, moment: float, span: Span, status: os.stat_result, size: int) -> bool:
        """Return whether the file must roll over before ``record``: ``size`` bytes, created at ``moment``."""
        raise NotImplementedError

    def _try_roll_over(self, record: logging.LogRecord, status: os.stat_result, problems: list[Exception]) -> bool:
        """Roll over, and return whether that succeeded; an empty file needs no rollover."""
        raise NotImplementedError

    def _late_record_path(self, moment: float, size: int) -> str | None:
        """Return the backup for a late record of ``size`` bytes; None if the record goes to the current file."""
        raise NotImplementedError

    def _clean_up(self, record: logging.LogRecord) -> None:
        """Delete and compress backups after a rollover, without the lock; report failures with ``record``."""
        raise NotImplementedError

    # The straight path.

    def format(self, record: logging.LogRecord) -> str:
        """Format ``record`` with the handler's formatter; the time is rendered once per second."""
        return self._asctime.format(self.formatter, record)

    def handle(self, record: logging.LogRecord) -> bool:
        """Emit ``record`` if the filters accept it. Same as the standard method, with one call fewer."""
        passed = self.filter(record)
        if passed is not True and isinstance(passed, logging.LogRecord):
            record = passed  # Python 3.12: a filter may return another record
        if passed:
            with self._lock_file.mutex:
                self.emit(record)
        return passed

    def emit(self, record: logging.LogRecord) -> None:
        """Append ``record`` to the file of the period in which it was created.

        Raises nothing but `RecursionError`. Errors are reported through ``handleError``, and the record is still
        written if that is possible. As in the standard library, call ``handle`` when several threads log: it takes
        the handler's lock.
        """
        try:
            data = self._encode(record)
            opens, closes, since, until, expires, stream, pid, state, has_limit, write, tell = self._snapshot
            lock_file = self._lock_file
            if (
                (opens <= record.created < closes or (since <= record.created < until and time.time() < expires))
                and stream is self.stream
                and (pid == record.process or pid == os.getpid())
                and not lock_file.held
            ):
                written = end = 0
                try:
                    lock_file.held = True
                    flock(lock_file.fd, LOCK_SHARED)
                    if pread(lock_file.fd, STATE_SIZE, 0) == state and (not has_limit or self._use_grant(len(data))):
                        written = write(data) or 0
                        end = tell()
                except (OSError, ValueError) as error:
                    # A rollover is in progress, the disk is full, or a descriptor was closed: take the slow path.
                    # An error that a signal handler raised here is not about the file: the record may be written.
                    if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
                        raise
                finally:
                    # Another signal may interrupt this; the second attempt releases the lock.
                    try:
                        lock_file.held = False
                        flock(lock_file.fd, UNLOCK)
                    except (OSError, ValueError):
                        pass  # The lock file was closed, which released the lock.
                    except BaseException:
                        lock_file.release()
                        raise
                if written != len(data) or not (end - written) % PAGE_SIZE:
                    self._emit_slow_path(record, data, written, end)
            else:
                self._emit_slow_path(record, data)
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    @contextlib.contextmanager
    def _reporting(self, record: logging.LogRecord) -> Iterator[None]:
        """Report an exception from the body of the ``with`` statement through ``handleError``."""
        try:
            yield
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    # The slow path.

    def _encode(self, record: logging.LogRecord) -> bytes:
        """Return the bytes to append for ``record``."""
        text = self.format(record) + self.terminator
        if self._line_end != "\n":
            text = text.replace("\n", self._line_end)
        try:
            return text.encode(self._codec, self._encoding_errors)
        except UnicodeEncodeError:
            return text.encode(self._codec, "backslashreplace")

    def _emit_slow_path(self, record: logging.LogRecord, data: bytes, written: int = 0, end: int = 0) -> None:
        """Append ``data``; its first ``written`` bytes are already in the file and end at offset ``end``."""
        try:
            with self._lock_file.mutex:
                if self._is_special:
                    self._write_to_stream(data)
                elif self._lock_file.held:
                    self._granted_bytes -= len(data)
                    self._append_reentrant(data)
                elif written == len(data):
                    with self._lock_file.hold(exclusive=False, timeout=self._lock_timeout):
                        self._close_torn_record(end - written, data)
                else:
                    torn = TornRecord(end - written, end) if written else None
                    problems: list[Exception] = []
                    try:
                        self._append(record, data, torn, problems)
                    finally:
                        self._report("append", record, problems)
        finally:
            self._finish_rollover(record)

    def _finish_rollover(self, record: logging.LogRecord) -> None:
        """Clean up after a rollover, if there was one."""
        if self._cleanup_pending and not self._lock_file.held:
            self._cleanup_pending = False
            self._clean_up(record)

    def _append(
        self, record: logging.LogRecord, data: bytes, torn: "TornRecord | None", problems: list[Exception]
    ) -> None:
        """Append ``data`` under the shared lock if that is enough, otherwise under the exclusive lock."""
        if torn is None and self._can_share_lock():
            with self._lock_file.hold(exclusive=False, timeout=self._lock_timeout) as problem:
                span = self._try_check_state(record, data, problems, exclusive=False) if problem is None else None
                if span is not None:
                    torn = self._write(record, data, span, problems)
                    if torn is None:
                        return
        with self._lock_file.hold(exclusive=True, timeout=self._lock_timeout) as problem:
            try:
                self._append_exclusively(record, data, torn, problem, problems)
            finally:
                if not self._keeps_file_open() and raw_file(self.stream) is not None:
                    self._close_stream()

    def _append_exclusively(
        self,
        record: logging.LogRecord,
        data: bytes,
        torn: "TornRecord | None",
        problem: Exception | None,
        problems: list[Exception],
    ) -> None:
        """Append ``data``, after a rollover if one is due.

        A ``problem`` means that the lock could not be acquired. Then ``data`` is appended without the lock.
        """
        if problem is None:
            if torn is not None:
                self._remove_torn_record(torn)
            span = self._try_check_state(record, data, problems, exclusive=True)
            if span is None and self._is_removed():
                error = problems[-1]  # The open file has no name: a record in it would be lost.
                problems.clear()
                raise error
        else:
            problems.append(problem)
            self._ensure_current_file(problems)
            span = None
        torn = self._write(record, data, span or ANY_TIME, problems)
        if problem is not None and self._is_removed():
            # Without the lock, another process may have rolled over, compressed and deleted the file after our check.
            self._ensure_current_file(problems)
            torn = self._write(record, data, ANY_TIME, problems)
        if torn is not None:
            if problem is None:
                self._remove_torn_record(torn)
            else:
                self._close_torn_record(torn.end, b"")  # Other processes may already append after it.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.baseFilename)

    def _try_check_state(
        self, record: logging.LogRecord, data: bytes, problems: list[Exception], *, exclusive: bool
    ) -> Span | None:
        """Check the state; a failure is added to ``problems`` and must not cost the record."""
        try:
            return self._check_state(record, data, problems, exclusive=exclusive)
        except Exception as error:
            problems.append(error)
            return None

    def _check_state(
        self, record: logging.LogRecord, data: bytes, problems: list[Exception], *, exclusive: bool
    ) -> Span | None:
        """Compare this handler with the shared state, and return which records belong to the current file.

        With ``exclusive``, the exclusive lock is held: the state is written and the file rolls over as needed.
        Without it, nothing is changed, and None means that a change is necessary.
        """
        now = time.time()
        moment = min(creation_time(record, now), now)  # A record from the future causes no rollover.
        status = self._ensure_current_file(problems)
        if status is None:
            return ANY_TIME if exclusive else None
        content = self._lock_file.read_state()
        state = State.from_bytes(content)
        if exclusive and not self._lock_file.is_writable():
            raise PermissionError(errno.EACCES, "cannot notify other processes of a rollover", self._lock_file.path)
        if state is None or not self._is_valid(state, status, now):
            if not exclusive:
                return None
            start = self._start_by_mtime(status, now) if status.st_size else self._period_start(moment)
            if status.st_size == 0 and state is not None and state.start <= now:
                start = max(start, state.start)  # A late record does not reopen an earlier period.
            state, content = self._write_state(start, status)
        span = self._span(state.start)
        is_late = 0 <= record.created < span.start
        late_path = self._late_record_path(record.created, len(data)) if is_late else None
        if late_path is not None:
            return span if exclusive or is_appendable(late_path) else None
        due = self._rollover_requested or self._is_due(record, moment, span, status, len(data))
        if due and exclusive:
            moved = self._try_roll_over(record, status, problems)
            previous, status = status, self._ensure_current_file(problems) or status
            # The rollover may have failed after the file was moved. Then this file is new nevertheless.
            if moved or not os.path.samestat(previous, status):
                state, content = self._write_state(max(state.start, self._period_start(moment)), status)
                span, due = self._span(state.start), False
                self._rollover_requested = False
        elif due:
            return None
        if exclusive:
            content = self._ensure_grant(state, content, status, len(data))
        elif not self._has_grant(content, len(data)) and not self._request_grant_shared(content, status, len(data)):
            return None
        self._granted_bytes -= len(data)
        self._take_snapshot(content, Span(span.start, float("inf")) if due else span, moment, now)
        return span

    def _current_period_start(self, status: os.stat_result) -> int:
        """Return the start of the current file's period; ``status`` is that of the file."""
        state = State.from_bytes(self._lock_file.read_state())
        now = time.time()
        if state is not None and self._is_valid(state, status, now):
            return state.start
        return self._start_by_mtime(status, now)

    def _start_by_mtime(self, status: os.stat_result, now: float) -> int:
        """Return the start of the period of the file's last change, for a file without a valid state."""
        return self._period_start(min(max(status.st_mtime, 0), now))

    def _is_valid(self, state: State, status: os.stat_result, now: float) -> bool:
        """Return whether ``state`` can describe the file with this ``status``; the state is only a cache."""
        latest_start = max(self._span(self._period_start(now)).end, now + _MAX_CLOCK_STEP_BACK)
        return state.describes(status) and state.start <= latest_start  # Later: written while the clock was wrong.

    def _take_snapshot(self, content: bytes, span: Span, moment: float, now: float) -> None:
        """Let `emit` take the straight path until the snapshot expires."""
        raw = raw_file(self.stream)
        if raw is not None and self._can_share_lock() and not self._overrides("shouldRollover"):
            has_limit = self._max_file_size() > 0
            self._snapshot = take_snapshot(
                self.stream, raw, state=content, span=span, moment=moment, now=now, pid=self._pid, has_limit=has_limit
            )

    # Writing.

    def _write(
        self, record: logging.LogRecord, data: bytes, span: Span, problems: list[Exception]
    ) -> "TornRecord | None":
        """Write one record; return the torn record if the disk is full and took only a part, otherwise None."""
        if self.stream is None:
            self._ensure_current_file(problems)  # The check failed before the file was open.
        raw = raw_file(self.stream)
        if raw is None:
            self._write_to_stream(data)
            return None
        if 0 <= record.created < span.start:
            is_appended, torn = self._append_late(record, data, problems)
            if is_appended:
                return torn
        while True:
            try:
                return self._write_to(raw, data)
            except ValueError:
                if not raw.closed:
                    raise
            # A signal handler closed the stream at this moment: gunicorn reopens its logs that way.
            self._ensure_current_file(problems)
            raw = raw_file(self.stream) or raw

    def _append_late(
        self, record: logging.LogRecord, data: bytes, problems: list[Exception]
    ) -> "tuple[bool, TornRecord | None]":
        """Append a late record to the backup of its period; return whether there is one, and the result of `_write`."""
        try:
            path = self._late_record_path(record.created, len(data))
            if path is None:
                return False, None
            if path.endswith(".gz"):
                append_member(path, data[len(self._byte_order_mark) :])
                return True, None
            fd, is_new = open_backup(path, self.stream, self._ownership)
            if is_new:
                self._cleanup_pending = True  # The new backup may be one too many.
        except Exception as error:
            problems.append(error)
            return False, None
        torn = append_to_backup(
            fd,
            path,
            data,
            mark=self._byte_order_mark,
            terminator=self._encoded_terminator(),
            is_new=is_new,
            others_append=self._lock_file.is_held_shared(),
        )
        return True, torn

    def _report(self, stage: str, record: logging.LogRecord, problems: list[Exception]) -> None:
        """Report each problem through ``handleError`` once, until it is gone or a different one occurs."""
        self._reports.report(stage, record, problems, self.handleError)

    def close(self) -> None:
        """Close the file and the lock file. The next record opens them again."""
        with self._lock_file.mutex:
            self._snapshot = NO_SNAPSHOT
            super().close()


def creation_time(record: logging.LogRecord, now: float) -> float:
    """Return when ``record`` was created, or ``now`` if its time is before 1970."""
    return record.created if record.created >= 0 else now

"""The writer: appends records to one log file that many processes write, by the protocol of docs/design.md.

The straight path of a record, one lock and one write, is `FileAdapter.emit`. Everything else happens here: opening the
file, noticing changes, rolling over under the exclusive lock, late records, full disks.
"""

import errno
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from concurrent_log.files.late_records import LateRecords
from concurrent_log.files.lock_file import LockFile
from concurrent_log.files.log_file import LogFile
from concurrent_log.files.open_files import open_files
from concurrent_log.files.problem_reports import ProblemReports
from concurrent_log.files.rollover import EVER, Rollover, Span, publish, start_of_current
from concurrent_log.files.shared_state import State
from concurrent_log.files.size_grants import SizeGrants
from concurrent_log.files.streams import append_function, raw_file
from concurrent_log.files.torn_records import TornRecord
from concurrent_log.files.view import NO_VIEW, View

_LOOK_AGAIN = 1.0  # seconds within which a change from outside is noticed


class Record(Protocol):
    """What the writer needs to know of a record."""

    created: float


class Hooks(Protocol):
    """The program's own ways, which a writer calls: those that a handler's subclass overrides."""

    def should_roll_over(self) -> Callable[[Any], object] | None:
        """Return the program's own `shouldRollover`, or None if it has none."""

    def do_rollover(self) -> Callable[[], object] | None:
        """Return the program's own `doRollover`, or None if it has none."""

    def opens_file(self) -> bool:
        """Return whether the program opens the log file in its own way."""

    def tidy(self, record: Any) -> list[Exception]:
        """Remove and compress backups after a rollover; return what failed."""


class LogWriter:
    """Appends records to a log file.

    Safe to use from threads, from signal handlers and in the children of a fork. Nothing that fails around a record is
    raised: it is reported to `problems`.
    """

    def __init__(
        self,
        log_file: LogFile,
        lock_file: LockFile,
        rollover: Rollover,
        grants: SizeGrants,
        late_records: LateRecords,
        problems: ProblemReports,
        hooks: Hooks,
        lock_timeout: float,
    ) -> None:
        self.log_file = log_file
        self.lock_file = lock_file
        self.rollover = rollover
        self.grants = grants
        self.problems = problems
        self.is_special = False
        self._late_records = late_records
        self._hooks = hooks
        self._lock_timeout = lock_timeout
        self._has_rolled_over = False
        self._rollover_is_requested = False
        self._reference = open_files.reference(self)

    def append(self, record: Record, data: bytes, written: int = 0, end: int = 0) -> None:
        """Append ``data``, of which ``written`` bytes are in the file already, up to its byte ``end``."""
        try:
            with self.lock_file.mutex:
                if self.is_special:
                    self.log_file.write_to_stream(data)
                elif self.lock_file.held:
                    self.grants.use(len(data))
                    self.log_file.write_nested(data)
                elif written == len(data):
                    with self.lock_file.hold(exclusive=False, timeout=self._lock_timeout):
                        self.log_file.close_torn_record(end - written, data)
                else:
                    self._append(record, data, TornRecord(end - written, end) if written else None)
        finally:
            self.finish(record)

    def append_joined(self, record: Record, data: bytes) -> tuple[int, int]:
        """Append ``data``, many records that begin with ``record``; return how many bytes are written, and their end.

        Nothing is written if more than appending is necessary first.
        """
        problems: list[Exception] = []
        with self.lock_file.hold(exclusive=False, timeout=self._lock_timeout) as problem:
            span = self._try_to_look(record, len(data), problems, alone=False) if problem is None else None
            if span is None:
                return 0, 0  # What went wrong will go wrong again, and be reported then.
            torn = self._write(record, data, span, problems)
        self.problems.report("append", record, problems)
        return (len(data), 0) if torn is None else (torn.end - torn.start, torn.end)

    def append_each(self, records: Sequence[tuple[Record, bytes]], handle_error: Callable[[Any], None]) -> None:
        """Append records one by one under one exclusive lock."""
        problems: list[Exception] = []
        with self.lock_file.hold(exclusive=True, timeout=self._lock_timeout) as problem:
            try:
                for record, data in records:
                    try:
                        self._append_alone(record, data, None, problem, problems)
                    except RecursionError:
                        raise
                    except Exception:
                        handle_error(record)
            finally:
                self._close_unless_kept_open()
        self.problems.report("append", records[0][0], problems)
        self.finish(records[0][0])

    def finish(self, record: Any) -> None:
        """Do what follows a rollover, if there was one and no lock is held."""
        if self._late_records.has_new_backup:
            self._late_records.has_new_backup = False
            self._has_rolled_over = True
        if self._has_rolled_over and not self.lock_file.held:
            self._has_rolled_over = False
            try:
                problems = self._hooks.tidy(record)
            except Exception as error:
                problems = [error]
            self.problems.report("tidy", record, problems)

    # Under the shared lock if nothing has to change first, otherwise under the exclusive one.

    def _append(self, record: Record, data: bytes, torn: TornRecord | None) -> None:
        problems: list[Exception] = []
        try:
            if torn is None and self.log_file.can_share():
                with self.lock_file.hold(exclusive=False, timeout=self._lock_timeout) as problem:
                    span = self._try_to_look(record, len(data), problems, alone=False) if problem is None else None
                    if span is not None:
                        torn = self._write(record, data, span, problems)
                        if torn is None:
                            return
            with self.lock_file.hold(exclusive=True, timeout=self._lock_timeout) as problem:
                try:
                    self._append_alone(record, data, torn, problem, problems)
                finally:
                    self._close_unless_kept_open()
        finally:
            self.problems.report("append", record, problems)

    def _close_unless_kept_open(self) -> None:
        if not self.log_file.keeps_open() and raw_file(self.log_file.stream) is not None:
            self.log_file.close()

    def _append_alone(
        self, record: Record, data: bytes, torn: TornRecord | None, problem: Exception | None, problems: list[Exception]
    ) -> None:
        """Append ``data`` after all that the file needs; with a ``problem``, the lock could not be taken."""
        log_file = self.log_file
        if torn is not None:
            log_file.close_torn_record(torn.end)
        if problem is None:
            span = self._try_to_look(record, len(data), problems, alone=True)
            if span is None and log_file.is_removed():
                error = problems[-1]  # Nothing will ever read what we would write.
                problems.clear()
                raise error
        else:
            problems.append(problem)
            log_file.bring_up_to_date(problems)
            span = None
        torn = self._write(record, data, span or EVER, problems)
        if problem is not None and log_file.is_removed():
            # Without the lock: the file was moved aside, compressed and deleted after we had looked.
            log_file.bring_up_to_date(problems)
            torn = self._write(record, data, EVER, problems)
        if torn is not None:
            log_file.close_torn_record(torn.end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), log_file.path)

    def _write(self, record: Record, data: bytes, span: Span, problems: list[Exception]) -> TornRecord | None:
        """Write one record; return None, or the part of it that fitted on a full disk."""
        log_file = self.log_file
        if log_file.stream is None:
            self.current_file(problems)  # Looking failed before the file was open.
        raw = raw_file(log_file.stream)
        if raw is None:
            log_file.write_to_stream(data)
            return None
        if 0 <= record.created < span.start:
            is_appended, torn = self._late_records.append(record.created, data, problems)
            if is_appended:
                return torn
        while True:
            try:
                stream = log_file.stream  # None if a signal handler closed the handler right here
                if stream is not None:
                    stream.flush()  # text that the program wrote comes first
                return log_file.write(raw, data)
            except ValueError:
                if not raw.closed:
                    raise
            # A signal handler closed the stream right here: gunicorn reopens its logs that way.
            self.current_file(problems)
            raw = raw_file(log_file.stream) or raw

    # Looking at the file.

    def current_file(self, problems: list[Exception]) -> os.stat_result | None:
        """Make sure that the open file is the current one; return its status, or None for a stream of the program."""
        open_files.used(self._reference)
        problems += self.rollover.follow()
        return self.log_file.bring_up_to_date(problems)

    def _try_to_look(self, record: Record, size: int, problems: list[Exception], *, alone: bool) -> Span | None:
        """Look; what fails is no reason to lose the record."""
        try:
            return self.look(record, size, problems, alone=alone)
        except Exception as error:
            problems.append(error)
            return None

    def look(self, record: Record, size: int, problems: list[Exception], *, alone: bool) -> Span | None:
        """Bring the knowledge of the file up to date, and return the records that the current file accepts.

        Changes nothing for others, and returns None where that would be necessary, unless called ``alone``: with
        the exclusive lock held.
        """
        now = time.time()
        moment = min(_created(record, now), now)  # a record from the future does not roll the file over
        found = self.current_file(problems)
        if found is None:
            return EVER if alone else None
        content = self.lock_file.read_state()
        state = State.from_bytes(content)
        if alone and not self.lock_file.is_writable():
            raise PermissionError(errno.EACCES, "cannot publish a rollover to other processes", self.lock_file.path)
        if state is None or not self.rollover.is_valid(state, found, now):
            if not alone:
                return None
            state, content = self._publish_anew(state, found, moment, now)
        span = self.rollover.span(state.start)
        if 0 <= record.created < span.start:
            path = self._late_records.path(record.created, size)
            if path is not None:
                return span if alone or self._late_records.can_share(path) else None
        due = self._rollover_is_requested or self._is_due(record, moment, span, found, size)
        if due and self.log_file.is_out_of_reach():
            due, span = False, Span(span.start, float("inf"))  # After a chroot, the open file continues.
        if due and not alone:
            return None
        if due:
            moved = self._roll_over_for(record, found, problems)
            previous, found = found, self.current_file(problems) or found
            # What failed may have failed after the file was moved aside: then this one is new nevertheless.
            if moved or not os.path.samestat(previous, found):
                state, content = self._publish_new(max(state.start, self.rollover.start_of(moment)), found)
                span, due = self.rollover.span(state.start), False
        if alone:
            content = self.grants.reserve(state, content, found, size)
        elif not self.grants.covers(content, size) and not self.grants.reserve_beside_others(content, found, size):
            return None
        self.grants.use(size)
        self._remember(content, Span(span.start, float("inf")) if due else span, moment, now)
        return span

    def _publish_anew(
        self, state: State | None, found: os.stat_result, moment: float, now: float
    ) -> tuple[State, bytes]:
        """Publish a state for a file whose state is missing or wrong."""
        rollover = self.rollover
        start = rollover.start_by_change(found, now) if found.st_size else rollover.start_of(moment)
        if found.st_size == 0 and state is not None and state.start <= now:
            start = max(start, state.start)  # a late record opens no earlier period again
        return publish(self.lock_file, rollover, start, found)

    def _publish_new(self, start: int, found: os.stat_result) -> tuple[State, bytes]:
        """Publish the state of a file that was just begun."""
        self._rollover_is_requested = False
        self.rollover.begun()
        return publish(self.lock_file, self.rollover, start, found)

    def _is_due(self, record: Record, moment: float, span: Span, found: os.stat_result, size: int) -> bool:
        """Return whether a new file begins with ``record``, of ``size`` bytes, which was created at ``moment``."""
        should_roll_over = self._hooks.should_roll_over()
        if should_roll_over is not None:
            return bool(should_roll_over(record))
        return moment >= span.end or self.grants.is_full(found, size)

    def _remember(self, content: bytes, span: Span, moment: float, now: float) -> None:
        log_file = self.log_file
        if not log_file.can_share() or self._hooks.should_roll_over() is not None:
            return
        stream = log_file.stream
        raw = raw_file(stream)
        if raw is None:
            return
        log_file.view = View(
            append=append_function(stream, raw),
            position=raw.tell,
            state=content,
            has_limit=self.grants.limit() > 0,
            opens=max(span.start, now - _LOOK_AGAIN),
            closes=min(span.end, now + _LOOK_AGAIN),
            since=max(span.start, moment - _LOOK_AGAIN),
            until=min(span.end, moment + _LOOK_AGAIN),
            expires=now + _LOOK_AGAIN,
            pid=log_file.pid,
        )

    # Rolling over.

    def _roll_over_for(self, record: Record, found: os.stat_result, problems: list[Exception]) -> bool:
        """Begin a new file, and return whether that worked; an empty file is as good as a new one."""
        do_rollover = self._hooks.do_rollover()
        try:
            if do_rollover is not None:
                do_rollover()
                if self.log_file.stream is not None:
                    self.log_file.stream.flush()  # such as a header, which counts for the size
            else:
                self._begin(start_of_current(self.lock_file, self.rollover, found), record.created, found)
        except Exception as error:
            problems.append(error)
            return False
        return True

    def _begin(self, start: int, moment: float, found: os.stat_result) -> None:
        if self.rollover.begin(start, moment, found):
            self._has_rolled_over = True

    def roll_over(self, record: Any, problems: list[Exception]) -> None:
        """Roll over now, unless the file is empty; ``record`` is for reports.

        Called by a signal handler in the middle of a record, it rolls over before the next one.

        Raises:
            TimeoutError: Another process holds the lock.
        """
        if self.lock_file.is_held_shared():
            self._rollover_is_requested = True
            self.log_file.view = NO_VIEW
            return
        with self.lock_file.hold(exclusive=True, timeout=self._lock_timeout) as problem:
            if problem is not None:
                raise problem
            found = None if self.is_special else self.current_file(problems)
            if found is not None and found.st_size and not self.log_file.is_out_of_reach():
                now = time.time()
                start = start_of_current(self.lock_file, self.rollover, found)
                self._begin(start, now, found)
                found = self.current_file(problems) or found
                state, _ = self._publish_new(max(start, self.rollover.start_of(now)), found)
                self.rollover.span(state.start)
        if self._has_rolled_over and not self.lock_file.held:
            self._has_rolled_over = False
            problems += self._hooks.tidy(record)

    def should_roll_over(self, record: Record | None, size: int) -> bool:
        """Return whether a record of ``size`` bytes would begin a new file."""
        with self.lock_file.hold(exclusive=True, timeout=self._lock_timeout):
            found = self.current_file([])
            if found is None or not found.st_size:
                return False
            now = time.time()
            moment = min(_created(record, now), now) if record else now
            start = start_of_current(self.lock_file, self.rollover, found)
            return moment >= self.rollover.span(start).end or self.grants.is_full(found, size)

    # Opening and closing.

    def open(self) -> None:
        """Open the log file, if it is not open."""
        with self.lock_file.mutex:
            self.open_first()

    def open_first(self) -> None:
        """Do the same for a new handler, which no other thread knows.

        `logging.config.dictConfig` creates handlers with the lock of `logging` held. The mutex may belong to a thread
        that is writing to the same file, and that waits for this lock.
        """
        if self.log_file.stream is None:
            open_files.used(self._reference)
            self.log_file.stream = self.log_file.open()

    def set_aside(self) -> bool:
        """Close the files until they are needed; return False if they are in use now, or cannot be opened again.

        Never waits: the other thread may be waiting for a writer of this one.
        """
        mutex: Any = self.lock_file.mutex
        is_ours = mutex._is_owned()  # This thread is about to write a record here, or has just written it.
        try:
            if self.lock_file.held or not (is_ours or mutex.acquire(blocking=False)):
                return False
            if not self._hooks.opens_file():
                self.log_file.set_aside()
            return self.lock_file.set_aside()
        finally:
            # Asked for, and not remembered: a signal handler may raise right after the lock was acquired.
            if not is_ours and mutex._is_owned():
                mutex.release()

    def close(self) -> None:
        """Close the log file's lock file, unless this thread is in the middle of a record."""
        if not self.lock_file.held:
            self.lock_file.close()
            open_files.closed(self._reference)


def _created(record: Record, now: float) -> float:
    """Return when ``record`` was created, or ``now`` for one without a time since 1970."""
    return record.created if record.created >= 0 else now

"""One log file, written by the handlers of many processes: the protocol, without the question when to roll over.

A record is formatted and encoded first. Then `SharedFileHandler.emit` takes the shared lock, sees in one read of
the lock file that nobody rolled over, and appends the record with one ``write``. Everything else happens in
`SharedFileHandler._append`: opening, noticing what others did, rolling over under the exclusive lock.
"""

import contextlib
import errno
import logging
import os
import time
from collections.abc import Iterator

from concurrent_log.files.asctime_cache import AsctimeCache
from concurrent_log.files.gzip_members import append_member
from concurrent_log.files.late_records import append_to_backup, is_appendable
from concurrent_log.files.lock_file import SHARED_AT_ONCE, UNLOCK, flock, pread
from concurrent_log.files.permissions import create, of_status
from concurrent_log.files.problem_reports import ProblemReports
from concurrent_log.files.shared_state import STATE_SIZE, State
from concurrent_log.files.size_grants import LimitedFileHandler
from concurrent_log.files.snapshot import ANY, NO_VIEW, Span, View
from concurrent_log.files.streams import raw_file, status_of
from concurrent_log.files.torn_records import FLAGS, PAGE, Piece

_LONGEST_STEP_BACK = 3600  # seconds: a file whose period begins further ahead came from a clock that was wrong
_LOOK_AGAIN = 1.0  # seconds within which a change from outside is noticed
_COARSE_CLOCK = 0.05  # seconds by which the kernel's file times may lag behind time.time()


class SharedFileHandler(LimitedFileHandler):
    """The part that all handlers of this package share; not of use on its own.

    A subclass says which records the current file takes (`_span`), where a new file begins (`_start`), how large
    a file may become (`_largest_size`), how a rollover moves the file aside (`_move_aside`) and where a record that
    is too late for the current file goes (`_late_path`).
    """

    _view = NO_VIEW

    def _attach(self) -> None:
        super()._attach()
        self._asctime = AsctimeCache()
        self._reports = ProblemReports()
        self._view = NO_VIEW
        self._forget_grants()

    # What a subclass decides.

    def _span(self, start: int) -> Span:
        """Return which records the file takes whose state says ``start``."""
        raise NotImplementedError

    def _start(self, moment: float) -> int:
        """Return the ``start`` of a new file whose first record was created at ``moment``."""
        raise NotImplementedError

    def _is_due(self, record: logging.LogRecord, moment: float, span: Span, found: os.stat_result, size: int) -> bool:
        """Return whether a new file begins with ``record``, of ``size`` bytes, which was created at ``moment``."""
        raise NotImplementedError

    def _roll_over_for(self, record: logging.LogRecord, found: os.stat_result, problems: list[Exception]) -> bool:
        """Begin a new file, and return whether that worked; an empty file is as good as a new one."""
        raise NotImplementedError

    def _late_path(self, moment: float, size: int) -> str | None:
        """Return the file for ``size`` bytes created at ``moment``, before the current file; None: the current one."""
        raise NotImplementedError

    def _tidy_up(self, record: logging.LogRecord) -> None:
        """Do what follows a rollover and needs no lock; report what fails for ``record``."""
        raise NotImplementedError

    # The straight path.

    def format(self, record: logging.LogRecord) -> str:
        """Format ``record`` with the handler's formatter; its time is rendered once a second."""
        return self._asctime.format(self.formatter, record)

    def handle(self, record: logging.LogRecord) -> bool:
        """Emit ``record`` if the filters let it pass; what the standard method does, for one call less."""
        passed = self.filter(record)
        if passed is not True and isinstance(passed, logging.LogRecord):
            record = passed  # Python 3.12: a filter may return another record
        if passed:
            with self._lock_file.mutex:
                self.emit(record)
        return passed

    def emit(self, record: logging.LogRecord) -> None:
        """Append ``record`` to the file of the period it was created in.

        Never raises, but for `RecursionError`: what goes wrong is reported through ``handleError``, and the
        record is written all the same wherever it can be. As in the standard library, ``handle`` is the method to
        call from several threads; it takes the handler's lock.
        """
        try:
            data = self._encoded(record)
            opens, closes, since, until, expires, stream, pid, state, has_limit, write, tell = self._view
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
                    flock(lock_file.fd, SHARED_AT_ONCE)
                    if pread(lock_file.fd, STATE_SIZE, 0) == state and (not has_limit or self._spend(len(data))):
                        written = write(data) or 0
                        end = tell()
                except (OSError, ValueError) as error:
                    # A rollover is under way, the disk is full, a descriptor was closed: look carefully. But what
                    # a signal handler raised here says nothing of the file, and the record may be written.
                    if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
                        raise
                finally:
                    # One more signal may interrupt this; the second try leaves no lock behind.
                    try:
                        lock_file.held = False
                        flock(lock_file.fd, UNLOCK)
                    except (OSError, ValueError):
                        pass  # The lock file was closed, and that released it.
                    except BaseException:
                        lock_file.let_go()
                        raise
                if written != len(data) or not (end - written) % PAGE:
                    self._emit_carefully(record, data, written, end)
            else:
                self._emit_carefully(record, data)
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    @contextlib.contextmanager
    def _reporting(self, record: logging.LogRecord) -> Iterator[None]:
        """Report what is raised in the body of a ``with`` statement through ``handleError``."""
        try:
            yield
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    # Everything else.

    def _encoded(self, record: logging.LogRecord) -> bytes:
        """Return the bytes that are to be appended for ``record``."""
        text = self.format(record) + self.terminator
        if self._line_end != "\n":
            text = text.replace("\n", self._line_end)
        try:
            return text.encode(self._codec, self._encoding_errors)
        except UnicodeEncodeError:
            return text.encode(self._codec, "backslashreplace")

    def _emit_carefully(self, record: logging.LogRecord, data: bytes, written: int = 0, end: int = 0) -> None:
        """Append ``data``, of which ``written`` bytes stand in the file already, up to its byte ``end``."""
        try:
            with self._lock_file.mutex:
                if self._is_special:
                    self._write_elsewhere(data)
                elif self._lock_file.held:
                    self._room -= len(data)
                    self._append_by_path(data)
                elif written == len(data):
                    with self._lock_file.hold(exclusive=False, timeout=self._lock_timeout):
                        self._close_torn_record(end - written, data)
                else:
                    torn = Piece(end - written, end) if written else None
                    problems: list[Exception] = []
                    try:
                        self._append(record, data, torn, problems)
                    finally:
                        self._report("append", record, problems)
        finally:
            self._finish(record)

    def _finish(self, record: logging.LogRecord) -> None:
        """Do what follows a rollover, if there was one."""
        if self._after_rollover and not self._lock_file.held:
            self._after_rollover = False
            self._tidy_up(record)

    def _append(self, record: logging.LogRecord, data: bytes, torn: "Piece | None", problems: list[Exception]) -> None:
        """Append ``data``: under the shared lock where nothing is to be changed first, else the exclusive one."""
        if torn is None and self._may_share():
            with self._lock_file.hold(exclusive=False, timeout=self._lock_timeout) as problem:
                span = self._try_to_look(record, data, problems, alone=False) if problem is None else None
                if span is not None:
                    torn = self._write(record, data, span, problems)
                    if torn is None:
                        return
        with self._lock_file.hold(exclusive=True, timeout=self._lock_timeout) as problem:
            try:
                self._append_alone(record, data, torn, problem, problems)
            finally:
                if not self._keeps_open() and raw_file(self.stream) is not None:
                    self._close_stream()

    def _append_alone(
        self,
        record: logging.LogRecord,
        data: bytes,
        torn: "Piece | None",
        problem: Exception | None,
        problems: list[Exception],
    ) -> None:
        """Append ``data`` after all that the file needs; with a ``problem``, the lock could not be had."""
        if problem is None:
            if torn is not None:
                self._cut(torn)
            span = self._try_to_look(record, data, problems, alone=True)
            if span is None and self._is_removed():
                error = problems[-1]  # Nobody will ever read what we would write.
                problems.clear()
                raise error
        else:
            problems.append(problem)
            self._current_file(problems)
            span = None
        torn = self._write(record, data, span or ANY, problems)
        if problem is not None and self._is_removed():
            # Without the lock: the file was moved aside, compressed and deleted after we had looked.
            self._current_file(problems)
            torn = self._write(record, data, ANY, problems)
        if torn is not None:
            if problem is None:
                self._cut(torn)
            else:
                self._close_torn_record(torn.end, b"")  # others may be appending behind it
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.baseFilename)

    def _try_to_look(
        self, record: logging.LogRecord, data: bytes, problems: list[Exception], *, alone: bool
    ) -> Span | None:
        """Look; what fails on the way is no reason to lose the record."""
        try:
            return self._look(record, data, problems, alone=alone)
        except Exception as error:
            problems.append(error)
            return None

    def _look(self, record: logging.LogRecord, data: bytes, problems: list[Exception], *, alone: bool) -> Span | None:
        """Bring what this handler knows up to date, and return which records the current file takes.

        Changes nothing for others, and returns None where that would be necessary, unless called ``alone``: with
        the exclusive lock held.
        """
        now = time.time()
        moment = min(creation_time(record, now), now)  # what comes from the future does not roll the file over
        found = self._current_file(problems)
        if found is None:
            return ANY if alone else None
        content = self._lock_file.read()
        state = State.from_bytes(content)
        if alone and not self._lock_file.is_writable():
            raise PermissionError(errno.EACCES, "cannot tell other processes of a rollover", self._lock_file.path)
        if state is None or not self._is_true(state, found, now):
            if not alone:
                return None
            start = self._start_by_change(found, now) if found.st_size else self._start(moment)
            if found.st_size == 0 and state is not None and state.start <= now:
                start = max(start, state.start)  # a late record opens no earlier period again
            state, content = self._publish(start, found)
        span = self._span(state.start)
        is_late = 0 <= record.created < span.start
        late_path = self._late_path(record.created, len(data)) if is_late else None
        if late_path is not None:
            return span if alone or is_appendable(late_path) else None
        due = self._rollover_is_wanted or self._is_due(record, moment, span, found, len(data))
        if due and alone:
            moved = self._roll_over_for(record, found, problems)
            previous, found = found, self._current_file(problems) or found
            # What failed may have failed after the file was moved aside: then this one is new all the same.
            if moved or not os.path.samestat(previous, found):
                state, content = self._publish(max(state.start, self._start(moment)), found)
                span, due = self._span(state.start), False
                self._rollover_is_wanted = False
        elif due:
            return None
        if alone:
            content = self._reserve(state, content, found, len(data))
        elif not self._has_room(content, len(data)) and not self._reserve_beside_others(content, found, len(data)):
            return None
        self._room -= len(data)
        self._remember(content, Span(span.start, float("inf")) if due else span, moment, now)
        return span

    def _state_start(self, found: os.stat_result) -> int:
        state = State.from_bytes(self._lock_file.read())
        now = time.time()
        if state is not None and self._is_true(state, found, now):
            return state.start
        return self._start_by_change(found, now)

    def _start_by_change(self, found: os.stat_result, now: float) -> int:
        """Return the start of the period in which the file was last written: what it says without a state."""
        return self._start(min(max(found.st_mtime, 0), now))

    def _is_true(self, state: State, found: os.stat_result, now: float) -> bool:
        """Return whether ``state`` can be true of the file ``found``; it is only a cache of the file's own story."""
        if state.inode != found.st_ino:
            return False
        if state.start > max(self._span(self._start(now)).end, now + _LONGEST_STEP_BACK):
            return False  # written while the clock was wrong
        is_older = found.st_mtime + _COARSE_CLOCK < state.start <= found.st_ctime
        return not (is_older and found.st_size)

    def _remember(self, content: bytes, span: Span, moment: float, now: float) -> None:
        if not self._may_share() or self._overrides("shouldRollover"):
            return
        raw = raw_file(self.stream)
        if raw is None:
            return
        self._view = View(
            stream=self.stream,
            write=raw.write,
            tell=raw.tell,
            state=content,
            has_limit=self._largest_size() > 0,
            opens=max(span.start, now - _LOOK_AGAIN),
            closes=min(span.end, now + _LOOK_AGAIN),
            since=max(span.start, moment - _LOOK_AGAIN),
            until=min(span.end, moment + _LOOK_AGAIN),
            expires=now + _LOOK_AGAIN,
            pid=self._pid,
        )

    # Writing.

    def _write(self, record: logging.LogRecord, data: bytes, span: Span, problems: list[Exception]) -> "Piece | None":
        """Write one record, and return None, or the piece of it that a full disk let through."""
        if self.stream is None:
            self._current_file(problems)  # Looking failed before the file was open.
        raw = raw_file(self.stream)
        if raw is None:
            self._write_elsewhere(data)
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
            # A signal handler closed the stream right here: gunicorn reopens its logs that way.
            self._current_file(problems)
            raw = raw_file(self.stream) or raw

    def _append_late(
        self, record: logging.LogRecord, data: bytes, problems: list[Exception]
    ) -> "tuple[bool, Piece | None]":
        """Append a record to the backup of its own period; return whether that was possible, and what `_write` does."""
        try:
            path = self._late_path(record.created, len(data))
            if path is None:
                return False, None
            if path.endswith(".gz"):
                append_member(path, data[len(self._byte_order_mark) :])
                return True, None
            is_new = not os.path.exists(path)
            if is_new:
                found = status_of(self.stream)
                create(path, self._ownership if found is None else of_status(found))
                self._after_rollover = True  # one backup more, so perhaps one too many
            fd = os.open(path, FLAGS)
        except Exception as error:
            problems.append(error)
            return False, None
        torn = append_to_backup(
            fd,
            path,
            data,
            mark=self._byte_order_mark,
            terminator=self._end_of_record(),
            is_new=is_new,
            others_append=self._lock_file.is_appending(),
        )
        return True, torn

    def _report(self, stage: str, record: logging.LogRecord, problems: list[Exception]) -> None:
        """Tell ``handleError`` of each problem once, until it is gone or another one comes."""
        self._reports.report(stage, record, problems, self.handleError)

    def close(self) -> None:
        """Close the file and the lock file. A record that comes later opens them again."""
        with self._lock_file.mutex:
            self._view = NO_VIEW
            super().close()


def creation_time(record: logging.LogRecord, now: float) -> float:
    """Return when ``record`` was created, or ``now`` for one that says no time since 1970."""
    return record.created if record.created >= 0 else now

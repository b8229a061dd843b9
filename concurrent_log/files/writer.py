"""One log file, written by the handlers of many processes: the protocol, without the question when to roll over.

A record is formatted and encoded first. Then `SharedFileHandler.emit` takes the shared lock, sees in one read of
the lock file that nobody rolled over, and appends the record with one ``write``. Everything else happens in
`SharedFileHandler._append`: opening, noticing what others did, rolling over under the exclusive lock.
"""

import contextlib
import errno
import functools
import logging
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from concurrent_log.files.asctime_cache import AsctimeCache
from concurrent_log.files.gzip_members import append_member
from concurrent_log.files.lock_file import SHARED_AT_ONCE, STATE_SIZE, UNLOCK, LockFile, State, flock, pread
from concurrent_log.files.open_file import CAN_RENAME_OPEN_FILES, Piece
from concurrent_log.files.options import FileArguments
from concurrent_log.files.permissions import create, create_lock_file, of_status
from concurrent_log.files.rename import move
from concurrent_log.files.size_grants import LimitedFileHandler
from concurrent_log.files.streams import check_writable, is_special, raw_file, status_of
from concurrent_log.files.torn_records import FLAGS, PAGE, close_torn_record

_LONGEST_STEP_BACK = 3600  # seconds: a file whose period begins further ahead came from a clock that was wrong
_LOOK_AGAIN = 1.0  # seconds within which a change from outside is noticed
_COARSE_CLOCK = 0.05  # seconds by which the kernel's file times may lag behind time.time()


class Span(NamedTuple):
    """Which records the current file takes: those created from ``start`` to before ``end``, in seconds."""

    start: float
    end: float


class _View(NamedTuple):
    """What a handler saw when it last looked: enough to append without looking again.

    It holds for records created from ``opens`` to before ``closes`` in the process ``pid``, while the handler's
    stream is ``stream`` and the lock file says ``state``. For older records, which come out of a queue, it holds
    from ``since`` to before ``until``, and until the clock says ``expires``.
    """

    opens: float
    closes: float
    since: float
    until: float
    expires: float
    stream: object
    pid: int
    state: bytes
    has_limit: bool
    write: Callable[[bytes], int | None]
    tell: Callable[[], int]


_NO_VIEW = _View(float("inf"), 0.0, float("inf"), 0.0, 0.0, object(), -1, b"", False, lambda data: 0, lambda: 0)


class SharedFileHandler(LimitedFileHandler):
    """The part that all handlers of this package share; not of use on its own.

    A subclass says which records the current file takes (`_span`), where a new file begins (`_start`), how large
    a file may become (`_largest_size`), how a rollover moves the file aside (`_move_aside`) and where a record that
    is too late for the current file goes (`_late_path`).
    """

    _view = _NO_VIEW

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
        self._asctime = AsctimeCache()
        self._reported: dict[str, set[tuple[object, ...]]] = {}
        self._view = _NO_VIEW
        self._forget_grants()
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

    # What a subclass decides.

    def _span(self, start: int) -> Span:
        """Return which records the file takes whose state says ``start``."""
        raise NotImplementedError

    def _start(self, moment: float) -> int:
        """Return the ``start`` of a new file whose first record was created at ``moment``."""
        raise NotImplementedError

    def _move_aside(self, start: int) -> str | None:
        """Move the log file to the backup of the records since ``start``; the exclusive lock is held.

        Returns the path of the backup, or None where the file cannot be moved back from there.
        """
        raise NotImplementedError

    def _late_path(self, moment: float, size: int) -> str | None:
        """Return the file for ``size`` bytes created at ``moment``, before the current file; None: the current one."""
        raise NotImplementedError

    def _tidy(self, report: Callable[[list[Exception]], None]) -> list[Exception]:
        """Do what follows a rollover and needs no lock, and return what failed.

        What takes longer may be done in a thread, which calls ``report`` in the end.
        """
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
                    self._append_nested(data)
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
        torn = self._write(record, data, span or _ANY, problems)
        if problem is not None and self._is_removed():
            # Without the lock: the file was moved aside, compressed and deleted after we had looked.
            self._current_file(problems)
            torn = self._write(record, data, _ANY, problems)
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
        moment = min(_created(record, now), now)  # what comes from the future does not roll the file over
        found = self._current_file(problems)
        if found is None:
            return _ANY if alone else None
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
            return span if alone or _is_appendable(late_path) else None
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

    def _roll_over_for(self, record: logging.LogRecord, found: os.stat_result, problems: list[Exception]) -> bool:
        """Begin a new file, and return whether that worked; an empty file is as good as a new one."""
        try:
            if self._overrides("doRollover"):
                self.doRollover()
                if self.stream is not None:
                    self.stream.flush()  # such as a header that an overriding method writes
            elif found.st_size:
                self._roll_over(found)
        except Exception as error:
            problems.append(error)
            return False
        return True

    def _roll_over(self, found: os.stat_result) -> None:
        """Move the log file aside and open a new one with its mode and owner; the exclusive lock is held."""
        previous, self.stream = self.stream, None
        self._view = _NO_VIEW
        backup = None
        try:
            if not CAN_RENAME_OPEN_FILES and previous is not None:
                previous.close()
            backup = self._move_aside(self._state_start(found))
            self._create_like(found)
            self.stream = self._open()
        except BaseException:
            if backup is not None and not os.path.lexists(self.baseFilename):
                with contextlib.suppress(OSError):
                    move(backup, self.baseFilename)  # such as on a disk that has no room for one more file
            # Whatever failed, records go on into the file we have, if it still has a name.
            status = status_of(previous)
            self.stream = previous if status is not None and status.st_nlink else None
            raise
        if previous is not None:
            previous.close()
        self._after_rollover = True

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

    def _is_due(self, record: logging.LogRecord, moment: float, span: Span, found: os.stat_result, size: int) -> bool:
        """Return whether a new file begins with ``record``, of ``size`` bytes, which was created at ``moment``."""
        if self._overrides("shouldRollover"):
            return bool(self.shouldRollover(record))
        return moment >= span.end or self._is_full(found, size)

    def _remember(self, content: bytes, span: Span, moment: float, now: float) -> None:
        if not self._may_share() or self._overrides("shouldRollover"):
            return
        raw = raw_file(self.stream)
        if raw is None:
            return
        self._view = _View(
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
        try:
            return True, self._write_late(fd, path, data, others_append=self._lock_file.is_appending())
        except OSError:
            # Only with the exclusive lock: else others may be about to append.
            if is_new and not self._lock_file.is_appending() and not os.fstat(fd).st_size:
                os.remove(path)
            raise
        finally:
            os.close(fd)

    def _append_nested(self, data: bytes) -> None:
        """Append a record that was logged from inside this handler: by a namer, a signal handler, a warning."""
        self._room -= len(data)
        fd = os.open(self.baseFilename, FLAGS | os.O_CREAT, 0o666)
        try:
            data = self._marked(data, fd)
            written = os.write(fd, data)
            if written < len(data):
                # Perhaps only the shared lock is held: others may append, so nothing can be cut off again.
                end, inode = os.lseek(fd, 0, os.SEEK_CUR), os.fstat(fd).st_ino
                close_torn_record(self.baseFilename, inode, end, self._end_of_record())
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.baseFilename)
        finally:
            os.close(fd)

    # What went wrong.

    def _report(self, stage: str, record: logging.LogRecord, problems: list[Exception]) -> None:
        """Tell ``handleError`` of each problem once, until it is gone or another one comes."""
        known = self._reported.get(stage, set())
        causes = {_cause(problem): problem for problem in problems}
        self._reported[stage] = set(causes)
        try:
            for cause in causes.keys() - known:
                try:
                    raise causes[cause]
                except Exception:
                    self.handleError(record)
        finally:
            # Else each would refer to itself, by its traceback, and live on until a garbage collection; and so would
            # an exception that is on its way out through here, with the lock that it interrupted.
            for problem in problems:
                problem.with_traceback(None).__context__ = None
            causes.clear()
            problems.clear()

    def _tidy_up(self, record: logging.LogRecord) -> None:
        try:
            problems = self._tidy(functools.partial(self._report, "compress", record))
        except Exception as error:
            problems = [error]
        self._report("tidy", record, problems)

    def _overrides(self, name: str) -> bool:
        """Return whether a subclass, or an attribute of this handler, replaces the method ``name``."""
        module = str(getattr(getattr(self, name), "__module__", ""))
        return module != "logging.handlers" and not module.startswith("concurrent_log.")

    # The standard interface.

    def shouldRollover(self, record: logging.LogRecord | None) -> bool:
        """Return whether ``record`` would begin a new file.

        Override it to roll over for reasons of your own; every record then takes the exclusive lock.
        """
        if self._is_special:
            return False
        with self._lock_file.hold(exclusive=True, timeout=self._lock_timeout):
            found = self._current_file([])
            if found is None or not found.st_size:
                return False
            now = time.time()
            moment = min(_created(record, now), now) if record else now
            if moment >= self._span(self._state_start(found)).end:
                return True
            return self._is_full(found, len(self._encoded(record) if record else self._end_of_record()))

    def doRollover(self) -> None:
        """Roll over now: move the log file to the backup of its period and begin a new one.

        The other processes go on in the new file. A file without records stays as it is. Called by a signal handler
        while a record is being written, it rolls over before the next record. Raises what the
        rollover raises, and `TimeoutError` where another process keeps the lock longer than ``lock_timeout``.
        """
        problems: list[Exception] = []
        if self._lock_file.is_appending():
            self._rollover_is_wanted = True  # by a signal handler, in the middle of a record
            self._view = _NO_VIEW
            return
        with self._lock_file.hold(exclusive=True, timeout=self._lock_timeout) as problem:
            if problem is not None:
                raise problem
            found = None if self._is_special else self._current_file(problems)
            if found is not None and found.st_size:
                start = self._state_start(found)
                self._roll_over(found)
                found = self._current_file(problems) or found
                state, _ = self._publish(max(start, self._start(time.time())), found)
                self._span(state.start)
        if self._after_rollover and not self._lock_file.held:
            self._after_rollover = False
            asked = logging.makeLogRecord({"msg": "doRollover of %s", "args": (self.baseFilename,)})
            problems += self._tidy(functools.partial(self._report, "compress", asked))
        if problems:
            raise problems[0]

    def close(self) -> None:
        """Close the file and the lock file. A record that comes later opens them again."""
        with self._lock_file.mutex:
            self._view = _NO_VIEW
            super().close()
            if not self._lock_file.held:
                self._lock_file.close()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in _OF_ONE_PROCESS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        logging.Handler.__init__(self)
        vars(self).update(state, stream=None)
        self._attach()


_OF_ONE_PROCESS = frozenset(
    (
        "lock",
        "stream",
        "_lock_file",
        "_compressor",
        "_pid",
        "_asctime",
        "_reported",
        "_view",
        "_room",
        "_grant",
        "_asked",
        "_after_rollover",
        "_is_inherited",
        "_rollover_is_wanted",
    )
)


_ANY = Span(float("-inf"), float("inf"))


def _is_appendable(backup: str) -> bool:
    """Return whether several processes may append to a backup at once: it exists, and is not compressed."""
    return not backup.endswith(".gz") and os.path.exists(backup)


def _created(record: logging.LogRecord, now: float) -> float:
    """Return when ``record`` was created, or ``now`` for one that says no time since 1970."""
    return record.created if record.created >= 0 else now


def _cause(problem: Exception) -> tuple[object, ...]:
    return type(problem), getattr(problem, "errno", None)

"""Compression of backups: after a rollover, one process compresses them in a daemon thread, without the lock.

A backup is compressed into a temporary file. Only the last step takes the exclusive lock: it adds late records, renames
the temporary file and removes the plain backup. A process that is killed leaves a plain backup, which the next rollover
finds. A process that is killed during the last step leaves the backup both plain and compressed; the next rollover
fixes this, too.

Before a fork the thread ends, and another thread continues after it, from the position that was reached: a child that
is forked beside a thread may deadlock, and Python 3.12 and later warn of such a fork.
"""

import contextlib
import functools
import gzip
import os
import shutil
import time
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from concurrent_log.files.backups.timed_names import is_compressed
from concurrent_log.files.lock_file import LockFile
from concurrent_log.files.open_files import with_room
from concurrent_log.files.own_file import LongOpenFile, LostFile
from concurrent_log.files.permissions import create, ownership_of
from concurrent_log.files.rename import move
from concurrent_log.files.shared_state import State
from concurrent_log.internal.greenlets import native_sleep
from concurrent_log.internal.lifecycle import register
from concurrent_log.internal.threads import WorkerThread

_CHUNK = 1 << 20
_LEVEL = 6  # the default of gzip(1); 9 takes three times as long and saves one per cent
_LOCK_TIMEOUT = 60.0  # seconds to wait for the lock of the last step; no other thread waits for this one
_FOLLOW = os.utime not in os.supports_follow_symlinks
_NAP = 0.02  # seconds between two checks for a fork
_NOTICE_SECONDS = 1.1  # until each writer has noticed that the lock file was removed

Report = Callable[[list[Exception]], None]


class Compressor:
    """Compresses the backups of one log file.

    Args:
        lock_path: Path of the log file's lock file.
        create: Function that creates a lock file.
    """

    def __init__(self, lock_path: str, create: Callable[[str], None]) -> None:
        # Not the lock file that the handlers share: a daemon thread may end while it holds the mutex.
        self._lock_file = LockFile(lock_path)
        self._name = f"{os.path.basename(lock_path).removesuffix('.lock')}.gz"
        self._compression_lock = LockFile(os.path.join(os.path.dirname(lock_path), f"{self._name}.lock"))
        self._lock_file.create = self._compression_lock.create = create
        # Each of the following is changed in one atomic step, since a signal handler may fork at any time.
        self._threads: set[WorkerThread] = set()
        self._paused: list[_Job] = []
        self._progress: _Progress | None = None
        self._is_parking = False
        self._is_registered = False

    def start(self, backups: Callable[[], list[str]], report: Report) -> None:
        """Compress all plain backups among the paths that ``backups`` returns, in a daemon thread.

        At its end the thread calls ``report`` with the errors.
        """
        if not self._is_registered:
            self._is_registered = True
            register(self)
        self._paused.append(_Job(backups, report, {}))
        self._start_paused()

    def _start_paused(self) -> None:
        """Start a thread for each paused job; while this process forks, `resume` does that."""
        for thread in tuple(self._threads):
            if thread.native_id is not None and not thread.is_alive():
                self._threads.discard(thread)
        while self._paused and not self._is_parking:
            try:
                job = self._paused.pop()
            except IndexError:  # Another thread has taken the last one.
                return
            thread = WorkerThread(functools.partial(self._work, job), "concurrent-log-gzip")
            self._threads.add(thread)
            try:
                thread.start()
            except RuntimeError:
                # No thread can start while the interpreter exits, or in an isolated sub-interpreter: the next rollover
                # finds the remaining backups.
                self._threads.discard(thread)

    def _work(self, job: "_Job") -> None:
        is_done = False
        try:
            is_done = self._compress_all(job.backups, job.problems)
        except _Paused:
            self._paused.append(job)
            self._start_paused()  # The fork may be over.
            return
        except Exception as error:  # for example from a namer, or for a lock file that this user may not open
            job.problems[""] = error
        if is_done or job.problems:
            job.report(list(job.problems.values()))

    # Forks: the handler's worker threads are called through `concurrent_log.internal.lifecycle`.

    def prepare_fork(self) -> None:
        """Let the threads end soon, and no other one start."""
        self._is_parking = True

    def park(self, timeout: float) -> None:
        """Wait for the end of the threads before a fork, for at most ``timeout`` seconds."""
        give_up_at = time.monotonic() + timeout
        for thread in tuple(self._threads):
            thread.join(max(0, give_up_at - time.monotonic()), may_switch=False)

    def resume(self) -> None:
        """Continue in the parent after a fork."""
        self._is_parking = False
        self._start_paused()

    def restart_after_fork(self) -> None:
        """Leave everything to the parent, in the child after a fork."""
        self._threads, self._paused, self._progress = set(), [], None
        self._is_parking = False

    def flush(self) -> bool:
        """Do nothing: no record is queued here."""
        return True

    def close(self) -> None:
        """Do nothing at the exit: the next rollover compresses the remaining backups."""

    def _compress_all(self, backups: Callable[[], list[str]], problems: dict[str, Exception]) -> bool:
        """Compress all plain backups, and return False if another process does it; add errors to ``problems``."""
        # Check again after each round: a process that rolled over in the meantime left its backup to this one.
        while pending := self._pending_backups(backups, problems):
            with self._hold_compression_lock() as is_ours:
                if not is_ours:
                    return False
                not_before = time.monotonic() + _NOTICE_SECONDS
                for path in pending:
                    try:
                        self._compress(path, backups, not_before)
                    except _Paused:
                        raise
                    except (FileNotFoundError, LostFile):
                        pass  # It was deleted, got another number, or the program closed it: look again.
                    except Exception as error:
                        problems[path] = error
        return True

    def _pending_backups(self, backups: Callable[[], list[str]], problems: dict[str, Exception]) -> list[str]:
        """Return the plain backups that have not failed, oldest first."""
        paths = (path for path in backups() if not is_compressed(path) and path not in problems)
        return [path for path in paths if os.path.lexists(path) and not os.path.isdir(path)]

    @contextlib.contextmanager
    def _hold_compression_lock(self) -> Iterator[bool]:
        """Exclude other threads and processes from compressing; yield False if one of them is compressing.

        Raises:
            Exception: The lock file cannot be used.
        """
        if not self._compression_lock.mutex.acquire(blocking=False):
            yield False
            return
        try:
            with self._compression_lock.hold(exclusive=True, timeout=0) as problem:
                if problem is not None and not isinstance(problem, TimeoutError):
                    raise problem
                yield problem is None
        finally:
            self._compression_lock.close()
            self._lock_file.close()
            self._compression_lock.mutex.release()

    def _compress(self, path: str, backups: Callable[[], list[str]], not_before: float) -> None:
        """Replace the backup ``path`` with a compressed one, at ``not_before`` at the earliest."""
        temporary = self._temporary(os.path.dirname(path))
        discarded = f"{temporary}.old"
        progress, self._progress = self._progress, None
        if progress is not None and progress.is_of(path, temporary):
            not_before = progress.not_before
        else:
            progress = None
            _remove(temporary, discarded)  # A killed process may have left them.
        try:
            with with_room(lambda: LongOpenFile(path, "rb")) as plain:
                copy = None
                if progress is not None:
                    plain.seek(progress.position)
                else:
                    copy = _find_compressed_copy(path, plain)
                is_whole = copy is not None or self._write_compressed(plain, temporary, is_new=progress is None)
                if not is_whole or not self._wait_until(not_before):
                    if copy is None:
                        reached = _stamp(plain.status()), _stamp(os.stat(temporary))
                        self._progress = _Progress(plain.tell(), not_before, *reached)
                    raise _Paused
                with self._lock_file.hold(exclusive=True, timeout=_LOCK_TIMEOUT) as problem:
                    if problem is not None:
                        raise problem
                    if not self._compression_lock.is_open():
                        raise LostFile("the program closed the lock file: another process may compress, too")
                    path = _current_path(plain, path, backups)
                    self._replace(plain, path, temporary, copy)
                    os.rename(path, discarded)
        finally:
            if self._progress is None:
                _remove(temporary, discarded)  # without the lock, because removing a large file takes long

    def _wait_until(self, moment: float) -> bool:
        """Wait until ``moment``, and return True; return False before a fork."""
        while not self._is_parking:
            seconds = moment - time.monotonic()
            if seconds <= 0:
                return True
            native_sleep(min(seconds, _NAP))
        return False

    def _temporary(self, folder: str) -> str:
        """Return the path of the temporary file for backups in ``folder``."""
        own = os.path.realpath(os.path.dirname(self._lock_file.path))
        if os.path.realpath(folder) == own:
            return os.path.join(folder, self._name)
        # A namer chose this folder, perhaps also for another log file of the same name.
        distinct = zlib.crc32(os.fsencode(own))
        return os.path.join(folder, f"{self._name.removesuffix('.gz')}.{distinct:08x}.gz")

    def _write_compressed(self, plain: LongOpenFile, temporary: str, *, is_new: bool) -> bool:
        """Compress the rest of ``plain`` into the file ``temporary``, which gets its mode, owner and times.

        Returns False if it stopped before a fork, after a complete gzip member.
        """
        found = plain.status()
        if is_new:
            with_room(lambda: create(temporary, ownership_of(found)))
        with with_room(lambda: LongOpenFile(temporary, "r+b")) as file:
            if is_new and file.status().st_size:
                raise FileExistsError(f"{temporary} is not a temporary file of this handler; remove it")
            file.seek(0, os.SEEK_END)
            pausable = _Pausable(plain, self)
            _append_as_member(pausable, file, found.st_mtime)
            file.flush()
            if not pausable.is_cut:
                file.sync()  # A power failure must not lose records that were already on the disk.
            return not pausable.is_cut

    def _replace(self, plain: LongOpenFile, path: str, temporary: str, copy: os.stat_result | None) -> None:
        """Add late records and rename ``temporary`` to the backup; the exclusive lock is held."""
        found = plain.status()
        if copy is not None:
            if plain.tell() < found.st_size or not os.path.samestat(os.stat(f"{path}.gz"), copy):
                raise FileNotFoundError(f"{path} has changed; it is checked again")
            self._invalidate_snapshots()
            return
        if plain.tell() < found.st_size:
            with with_room(lambda: LongOpenFile(temporary, "r+b")) as file:
                file.seek(0, os.SEEK_END)
                _append_as_member(plain, file, found.st_mtime)
        self._invalidate_snapshots()
        os.utime(temporary, ns=(found.st_atime_ns, found.st_mtime_ns), follow_symlinks=_FOLLOW)
        move(temporary, f"{path}.gz")

    def _invalidate_snapshots(self) -> None:
        """Change the state, so that no writer relies on a check that found the plain backup."""
        state = State.from_bytes(self._lock_file.read_state())
        if state is not None:
            self._lock_file.write_state(state._replace(generation=(state.generation + 1) % 2**64), 0)


class _Job(NamedTuple):
    backups: Callable[[], list[str]]
    report: Report
    problems: dict[str, Exception]


class _Progress(NamedTuple):
    """A compression that a fork interrupted: what was compressed up to where, and until when to wait."""

    position: int
    not_before: float
    plain: tuple[int, ...]
    temporary: tuple[int, ...]

    def is_of(self, path: str, temporary: str) -> bool:
        """Return whether both files are unchanged; another process may have worked on them meanwhile."""
        try:
            return self.plain == _stamp(os.stat(path)) and self.temporary == _stamp(os.stat(temporary))
        except FileNotFoundError:
            return False


class _Paused(Exception):  # noqa: N818 - not an error
    """This process is about to fork: the thread ends, and another one continues after the fork."""


class _Pausable:
    """A file that seems to end where its compressor is parking, but after one read, so that each thread progresses."""

    def __init__(self, file: LongOpenFile, compressor: Compressor) -> None:
        self._file, self._compressor = file, compressor
        self._has_read = self.is_cut = False

    def read(self, size: int = -1) -> bytes:
        if self._has_read and self._compressor._is_parking:
            self.is_cut = True
        if self.is_cut:
            return b""
        self._has_read = True
        return self._file.read(size)


def _stamp(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _remove(*paths: str) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)


def _append_as_member(plain: "LongOpenFile | _Pausable", file: LongOpenFile, moment: float) -> None:
    """Append the rest of ``plain`` to ``file``, as one member."""
    with gzip.GzipFile("", "wb", _LEVEL, file, moment) as packed:
        shutil.copyfileobj(plain, packed, _CHUNK)


def _current_path(plain: LongOpenFile, path: str, backups: Callable[[], list[str]]) -> str:
    """Return the current path of the open backup: a rollover by size gives it another number."""
    found = plain.status()
    for candidate in _candidate_paths(path, backups):
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(candidate), found):
                return candidate
    raise FileNotFoundError(path)


def _candidate_paths(path: str, backups: Callable[[], list[str]]) -> Iterator[str]:
    yield path
    yield from backups()


def _find_compressed_copy(path: str, plain: LongOpenFile) -> os.stat_result | None:
    """Return the status of a compressed backup with the same content as ``plain``, which is read; None without one.

    Raises:
        FileExistsError: There is a compressed backup of this name with different content.
        FileNotFoundError: The backup got another number in the meantime.
    """
    if not os.path.lexists(f"{path}.gz"):
        return None
    with with_room(lambda: LongOpenFile(f"{path}.gz", "rb")) as file, gzip.open(file) as packed:
        while chunk := plain.read(_CHUNK):
            if packed.read(len(chunk)) != chunk:
                if not os.path.samestat(os.stat(path), plain.status()):
                    raise FileNotFoundError(path)
                raise FileExistsError(f"{path}.gz exists and is not a copy of {path}; remove or rename one of them")
        return file.status()

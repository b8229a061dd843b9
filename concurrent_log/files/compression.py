"""Compressing backups: after the rollover, without the lock, by one process, in a thread that keeps nobody waiting.

A backup is compressed into a temporary file. Only the last step takes the exclusive lock: it adds what came late,
gives the temporary file its name and takes the plain one away. Who is killed leaves a plain backup, which the next
rollover finds. Killed within the last step, he leaves it both plain and compressed; that, too, is put in order then.

Before a fork the thread ends, and another thread continues after it, from the position that was reached: a child that
is forked beside a thread may deadlock, and Python 3.12 and later warn of that.
"""

import contextlib
import gzip
import os
import shutil
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from concurrent_log.files.backups.timed import is_compressed
from concurrent_log.files.lock_file import LockFile, State
from concurrent_log.files.permissions import create, of_status
from concurrent_log.files.rename import move
from concurrent_log.internal.lifecycle import join, register

_CHUNK = 1 << 20
_LEVEL = 6  # that of gzip(1); 9 takes three times as long for one per cent less
_PATIENCE = 60.0  # seconds to wait for the lock of the last step, while nobody waits for us
_NAP = 0.02  # seconds between two looks for a fork
_SETTLE = 1.1  # seconds after which nobody writes any more who has not noticed that the lock file was removed

Report = Callable[[list[Exception]], None]


class Compressor:
    """Compresses the backups of one log file.

    Args:
        lock_path: The lock file of the log file.
        create: Creates a lock file.
    """

    def __init__(self, lock_path: str, create: Callable[[str], None]) -> None:
        # Not the lock file that the handlers have in common: a daemon thread may end in the middle, with the mutex.
        self._lock_file = LockFile(lock_path)
        self._name = f"{os.path.basename(lock_path).removesuffix('.lock')}.gz"
        self._turn = LockFile(os.path.join(os.path.dirname(lock_path), f"{self._name}.lock"))
        self._lock_file.create = self._turn.create = create
        # Each of the following is changed in one atomic step, since a signal handler may fork at any time.
        self._threads: set[threading.Thread] = set()
        self._paused: list[_Job] = []
        self._progress: _Progress | None = None
        self._is_parking = False
        self._is_registered = False

    def start(self, backups: Callable[[], list[str]], report: Report) -> None:
        """Compress all plain ones of the paths that ``backups`` returns, in a daemon thread.

        In the end the thread calls ``report`` with all that went wrong.
        """
        if not self._is_registered:
            self._is_registered = True
            register(self)
        self._paused.append(_Job(backups, report, {}))
        self._start_paused()

    def _start_paused(self) -> None:
        """Start a thread for each paused job; while this process forks, `resume` does that."""
        for thread in tuple(self._threads):
            if thread.ident is not None and not thread.is_alive():
                self._threads.discard(thread)
        while self._paused and not self._is_parking:
            try:
                job = self._paused.pop()
            except IndexError:  # Another thread has taken the last one.
                return
            thread = threading.Thread(target=self._work, args=(job,), name="concurrent-log-gzip", daemon=True)
            self._threads.add(thread)
            try:
                thread.start()
            except RuntimeError:
                # No thread can be started while the interpreter exits: the next rollover finds what is left.
                self._threads.discard(thread)

    def _work(self, job: "_Job") -> None:
        is_done = False
        try:
            is_done = self._compress_all(job.backups, job.problems)
        except _Paused:
            self._paused.append(job)
            self._start_paused()  # The fork may be over.
            return
        except Exception as error:  # such as a namer that fails, or a lock file that is not ours to use
            job.problems[""] = error
        if is_done or job.problems:
            job.report(list(job.problems.values()))

    # Forks: the handler's worker threads are called through `concurrent_log.internal.lifecycle`.

    def park(self, timeout: float) -> None:
        """End the threads before a fork, within ``timeout`` seconds."""
        self._is_parking = True
        give_up_at = time.monotonic() + timeout
        for thread in tuple(self._threads):
            join(thread, max(0, give_up_at - time.monotonic()))

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
        """Do nothing at the exit: the next rollover compresses what is left."""

    def _compress_all(self, backups: Callable[[], list[str]], problems: dict[str, Exception]) -> bool:
        """Compress what waits, and return whether that was left to nobody else; note in ``problems`` what failed."""
        # Once more after each turn: who rolled over meanwhile saw that somebody is at work, and left it at that.
        while waiting := self._waiting(backups, problems):
            with self._take_turn() as is_ours:
                if not is_ours:
                    return False
                settled = time.monotonic() + _SETTLE
                for path in waiting:
                    try:
                        self._compress(path, backups, settled)
                    except _Paused:
                        raise
                    except FileNotFoundError:
                        pass  # outlived retention meanwhile, or was given another number: look again
                    except Exception as error:
                        problems[path] = error
        return True

    def _waiting(self, backups: Callable[[], list[str]], problems: dict[str, Exception]) -> list[str]:
        """Return the backups that are to be compressed, oldest first, without those for which that failed."""
        paths = (path for path in backups() if not is_compressed(path) and path not in problems)
        return [path for path in paths if os.path.isfile(path)]

    @contextlib.contextmanager
    def _take_turn(self) -> Iterator[bool]:
        """Keep other threads and processes from compressing; yield False where one of them is at work.

        Raises:
            Exception: The lock file cannot be used.
        """
        if not self._turn.mutex.acquire(blocking=False):
            yield False
            return
        try:
            with self._turn.hold(exclusive=True, timeout=0) as problem:
                if problem is not None and not isinstance(problem, TimeoutError):
                    raise problem
                yield problem is None
        finally:
            self._turn.close()
            self._lock_file.close()
            self._turn.mutex.release()

    def _compress(self, path: str, backups: Callable[[], list[str]], settled: float) -> None:
        """Compress the backup ``path``, and let that take its place, not before the moment ``settled``."""
        temporary = self._temporary(os.path.dirname(path))
        discarded = f"{temporary}.old"
        progress, self._progress = self._progress, None
        if progress is not None and progress.is_of(path, temporary):
            settled = progress.settled
        else:
            progress = None
            _remove(temporary, discarded)  # left by a process that was killed
        try:
            with open(path, "rb") as plain:
                twin = None
                if progress is not None:
                    plain.seek(progress.position)
                else:
                    twin = _packed_already(path, plain)
                is_whole = twin is not None or self._pack(plain, temporary, is_new=progress is None)
                if not is_whole or not self._wait_until(settled):
                    if twin is None:
                        reached = _stamp(os.fstat(plain.fileno())), _stamp(os.stat(temporary))
                        self._progress = _Progress(plain.tell(), settled, *reached)
                    raise _Paused
                with self._lock_file.hold(exclusive=True, timeout=_PATIENCE) as problem:
                    if problem is not None:
                        raise problem
                    path = _path_now(plain, path, backups)
                    self._finish(plain, path, temporary, twin)
                    os.rename(path, discarded)
        finally:
            if self._progress is None:
                _remove(temporary, discarded)  # without the lock, since it takes its time for a large file

    def _wait_until(self, moment: float) -> bool:
        """Wait until ``moment``, and return True; return False before a fork."""
        while not self._is_parking:
            seconds = moment - time.monotonic()
            if seconds <= 0:
                return True
            time.sleep(min(seconds, _NAP))
        return False

    def _temporary(self, folder: str) -> str:
        """Return the path of the temporary file for backups in ``folder``."""
        own = os.path.realpath(os.path.dirname(self._lock_file.path))
        if os.path.realpath(folder) == own:
            return os.path.join(folder, self._name)
        # A namer put them there, and perhaps those of another log file of this name, too.
        distinct = zlib.crc32(os.fsencode(own))
        return os.path.join(folder, f"{self._name.removesuffix('.gz')}.{distinct:08x}.gz")

    def _pack(self, plain: BinaryIO, temporary: str, *, is_new: bool) -> bool:
        """Compress the rest of ``plain`` into the file ``temporary``, which gets its mode, owner and times.

        Returns False where it stopped before a fork, with a gzip member that is whole.
        """
        found = os.fstat(plain.fileno())
        if is_new:
            create(temporary, of_status(found))
        with open(temporary, "r+b", opener=_opened_itself) as file:
            if is_new and os.fstat(file.fileno()).st_size:
                raise FileExistsError(f"{temporary} is somebody else's; remove it")
            file.seek(0, os.SEEK_END)
            pausable = _Pausable(plain, self)
            _add(pausable, file, found.st_mtime)
            file.flush()
            if not pausable.is_cut:
                os.fsync(file.fileno())  # What has been on the disk for long must not be lost now by a power failure.
            return not pausable.is_cut

    def _finish(self, plain: BinaryIO, path: str, temporary: str, twin: os.stat_result | None) -> None:
        """Add what came late, and let ``temporary`` be the backup; the exclusive lock is held."""
        found = os.fstat(plain.fileno())
        if twin is not None:
            if plain.tell() < found.st_size or not os.path.samestat(os.stat(f"{path}.gz"), twin):
                raise FileNotFoundError(f"{path} is not what it was; it is looked at once more")
            self._tell_others()
            return
        if plain.tell() < found.st_size:
            with open(temporary, "r+b", opener=_opened_itself) as file:
                file.seek(0, os.SEEK_END)
                _add(plain, file, found.st_mtime)
        self._tell_others()
        os.utime(temporary, ns=(found.st_atime_ns, found.st_mtime_ns))
        move(temporary, f"{path}.gz")

    def _tell_others(self) -> None:
        """Change the state, so that nobody relies on the plain backup that he saw."""
        state = State.from_bytes(self._lock_file.read())
        if state is not None:
            self._lock_file.write(state._replace(generation=(state.generation + 1) % 2**64), 0)


class _Job(NamedTuple):
    backups: Callable[[], list[str]]
    report: Report
    problems: dict[str, Exception]


class _Progress(NamedTuple):
    """A compression that a fork interrupted: what was compressed up to where, and until when to wait."""

    position: int
    settled: float
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

    def __init__(self, file: BinaryIO, compressor: Compressor) -> None:
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


def _opened_itself(path: str, flags: int) -> int:
    """Open ``path``, but no file that somebody's link there leads to."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))


def _remove(*paths: str) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)


def _add(plain: "BinaryIO | _Pausable", file: BinaryIO, moment: float) -> None:
    """Append the rest of ``plain`` to ``file``, as one member."""
    with gzip.GzipFile("", "wb", _LEVEL, file, moment) as packed:
        shutil.copyfileobj(plain, packed, _CHUNK)


def _path_now(plain: BinaryIO, path: str, backups: Callable[[], list[str]]) -> str:
    """Return where the open backup stands by now: a rollover by size gives it another number."""
    found = os.fstat(plain.fileno())
    for candidate in _lazily(path, backups):
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(candidate), found):
                return candidate
    raise FileNotFoundError(path)


def _lazily(path: str, backups: Callable[[], list[str]]) -> Iterator[str]:
    yield path
    yield from backups()


def _packed_already(path: str, plain: BinaryIO) -> os.stat_result | None:
    """Return the status of a compressed backup that holds all of ``plain``, which is read up to there, or None.

    Raises:
        FileExistsError: There is a compressed backup of this name, with something else in it.
        FileNotFoundError: The backup was given another number meanwhile.
    """
    if not os.path.lexists(f"{path}.gz"):
        return None
    if not os.path.exists(f"{path}.gz"):
        raise FileExistsError(f"{path}.gz is a link that leads nowhere; remove it")
    with open(f"{path}.gz", "rb") as file, gzip.open(file) as packed:
        while chunk := plain.read(_CHUNK):
            if packed.read(len(chunk)) != chunk:
                if not os.path.samestat(os.stat(path), os.fstat(plain.fileno())):
                    raise FileNotFoundError(path)
                raise FileExistsError(f"{path}.gz exists, and is not {path}; remove or rename one of them")
        return os.fstat(file.fileno())

"""Compressing backups: after the rollover, without the lock, by one process, in a thread that keeps nobody waiting.

A backup is compressed into a temporary file. Only the last step takes the exclusive lock: it adds what came late,
gives the temporary file its name and takes the plain one away. Who is killed leaves a plain backup, which the next
rollover finds. Killed within the last step, he leaves it both plain and compressed; that, too, is put in order then.
"""

import contextlib
import gzip
import os
import shutil
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from concurrent_log.files.backups.timed import is_compressed
from concurrent_log.files.lock_file import LockFile
from concurrent_log.files.permissions import create, of_status
from concurrent_log.files.rename import move
from concurrent_log.files.shared_state import State

_CHUNK = 1 << 20
_LEVEL = 6  # that of gzip(1); 9 takes three times as long for one per cent less
_PATIENCE = 60.0  # seconds to wait for the lock of the last step, while nobody waits for us
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

    def start(self, backups: Callable[[], list[str]], report: Report) -> None:
        """Compress all plain ones of the paths that ``backups`` returns, in a daemon thread.

        In the end the thread calls ``report`` with all that went wrong.
        """
        thread = threading.Thread(target=self._work, args=(backups, report), name="concurrent-log-gzip", daemon=True)
        # No thread can be started while the interpreter exits: the next rollover finds what is left.
        with contextlib.suppress(RuntimeError):
            thread.start()

    def _work(self, backups: Callable[[], list[str]], report: Report) -> None:
        problems: dict[str, Exception] = {}
        is_done = False
        try:
            is_done = self._compress_all(backups, problems)
        except Exception as error:  # such as a namer that fails, or a lock file that is not ours to use
            problems[""] = error
        if is_done or problems:
            report(list(problems.values()))

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
        _remove(temporary, discarded)  # left by a process that was killed
        try:
            with open(path, "rb") as plain:
                twin = _packed_already(path, plain)
                if twin is None:
                    self._pack(plain, temporary)
                time.sleep(max(0, settled - time.monotonic()))
                with self._lock_file.hold(exclusive=True, timeout=_PATIENCE) as problem:
                    if problem is not None:
                        raise problem
                    path = _path_now(plain, path, backups)
                    self._finish(plain, path, temporary, twin)
                    os.rename(path, discarded)
        finally:
            _remove(temporary, discarded)  # without the lock, since it takes its time for a large file

    def _temporary(self, folder: str) -> str:
        """Return the path of the temporary file for backups in ``folder``."""
        own = os.path.realpath(os.path.dirname(self._lock_file.path))
        if os.path.realpath(folder) == own:
            return os.path.join(folder, self._name)
        # A namer put them there, and perhaps those of another log file of this name, too.
        distinct = zlib.crc32(os.fsencode(own))
        return os.path.join(folder, f"{self._name.removesuffix('.gz')}.{distinct:08x}.gz")

    def _pack(self, plain: BinaryIO, temporary: str) -> None:
        """Compress ``plain`` into the file ``temporary``, with its mode, owner and times."""
        found = os.fstat(plain.fileno())
        create(temporary, of_status(found))
        with open(temporary, "r+b", opener=_opened_itself) as file:
            if os.fstat(file.fileno()).st_size:
                raise FileExistsError(f"{temporary} is somebody else's; remove it")
            _add(plain, file, found.st_mtime)
            file.flush()
            os.fsync(file.fileno())  # What has been on the disk for long must not be lost now by a power failure.

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


def _opened_itself(path: str, flags: int) -> int:
    """Open ``path``, but no file that somebody's link there leads to."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))


def _remove(*paths: str) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)


def _add(plain: BinaryIO, file: BinaryIO, moment: float) -> None:
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

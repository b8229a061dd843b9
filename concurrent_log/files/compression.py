"""Compression of backups: after a rollover, one process compresses them in a daemon thread, without the lock.

A backup is compressed into a temporary file. Only the last step takes the exclusive lock: it adds late records, renames
the temporary file and removes the plain backup. A process that is killed leaves a plain backup, which the next rollover
finds. A process that is killed during the last step leaves the backup both plain and compressed; the next rollover
fixes this, too.
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
from concurrent_log.files.permissions import create, ownership_of
from concurrent_log.files.rename import move
from concurrent_log.files.shared_state import State

_CHUNK = 1 << 20
_LEVEL = 6  # the default of gzip(1); 9 takes three times as long and saves one per cent
_LOCK_TIMEOUT = 60.0  # seconds to wait for the lock of the last step; no other thread waits for this one
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

    def start(self, backups: Callable[[], list[str]], report: Report) -> None:
        """Compress all plain backups among the paths that ``backups`` returns, in a daemon thread.

        At its end the thread calls ``report`` with the errors.
        """
        thread = threading.Thread(target=self._work, args=(backups, report), name="concurrent-log-gzip", daemon=True)
        # No thread can be started while the interpreter exits: the next rollover finds the remaining backups.
        with contextlib.suppress(RuntimeError):
            thread.start()

    def _work(self, backups: Callable[[], list[str]], report: Report) -> None:
        problems: dict[str, Exception] = {}
        is_done = False
        try:
            is_done = self._compress_all(backups, problems)
        except Exception as error:  # for example from a namer, or for a lock file that this user may not open
            problems[""] = error
        if is_done or problems:
            report(list(problems.values()))

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
                    except FileNotFoundError:
                        pass  # It was deleted or got another number in the meantime.
                    except Exception as error:
                        problems[path] = error
        return True

    def _pending_backups(self, backups: Callable[[], list[str]], problems: dict[str, Exception]) -> list[str]:
        """Return the plain backups that have not failed, oldest first."""
        paths = (path for path in backups() if not is_compressed(path) and path not in problems)
        return [path for path in paths if os.path.isfile(path)]

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
        _remove(temporary, discarded)  # A killed process may have left them.
        try:
            with open(path, "rb") as plain:
                copy = _find_compressed_copy(path, plain)
                if copy is None:
                    self._write_compressed(plain, temporary)
                time.sleep(max(0, not_before - time.monotonic()))
                with self._lock_file.hold(exclusive=True, timeout=_LOCK_TIMEOUT) as problem:
                    if problem is not None:
                        raise problem
                    path = _current_path(plain, path, backups)
                    self._replace(plain, path, temporary, copy)
                    os.rename(path, discarded)
        finally:
            _remove(temporary, discarded)  # without the lock, because removing a large file takes long

    def _temporary(self, folder: str) -> str:
        """Return the path of the temporary file for backups in ``folder``."""
        own = os.path.realpath(os.path.dirname(self._lock_file.path))
        if os.path.realpath(folder) == own:
            return os.path.join(folder, self._name)
        # A namer chose this folder, perhaps also for another log file of the same name.
        distinct = zlib.crc32(os.fsencode(own))
        return os.path.join(folder, f"{self._name.removesuffix('.gz')}.{distinct:08x}.gz")

    def _write_compressed(self, plain: BinaryIO, temporary: str) -> None:
        """Compress ``plain`` into the file ``temporary``, with its mode, owner and times."""
        found = os.fstat(plain.fileno())
        create(temporary, ownership_of(found))
        with open(temporary, "r+b", opener=_open_no_follow) as file:
            if os.fstat(file.fileno()).st_size:
                raise FileExistsError(f"{temporary} is not a temporary file of this handler; remove it")
            _append_as_member(plain, file, found.st_mtime)
            file.flush()
            os.fsync(file.fileno())  # A power failure must not lose records that were already on the disk.

    def _replace(self, plain: BinaryIO, path: str, temporary: str, copy: os.stat_result | None) -> None:
        """Add late records and rename ``temporary`` to the backup; the exclusive lock is held."""
        found = os.fstat(plain.fileno())
        if copy is not None:
            if plain.tell() < found.st_size or not os.path.samestat(os.stat(f"{path}.gz"), copy):
                raise FileNotFoundError(f"{path} has changed; it is checked again")
            self._invalidate_snapshots()
            return
        if plain.tell() < found.st_size:
            with open(temporary, "r+b", opener=_open_no_follow) as file:
                file.seek(0, os.SEEK_END)
                _append_as_member(plain, file, found.st_mtime)
        self._invalidate_snapshots()
        os.utime(temporary, ns=(found.st_atime_ns, found.st_mtime_ns))
        move(temporary, f"{path}.gz")

    def _invalidate_snapshots(self) -> None:
        """Change the state, so that no writer relies on a check that found the plain backup."""
        state = State.from_bytes(self._lock_file.read_state())
        if state is not None:
            self._lock_file.write_state(state._replace(generation=(state.generation + 1) % 2**64), 0)


def _open_no_follow(path: str, flags: int) -> int:
    """Open ``path``, but not the target of a link."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))


def _remove(*paths: str) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)


def _append_as_member(plain: BinaryIO, file: BinaryIO, moment: float) -> None:
    """Append the rest of ``plain`` to ``file``, as one member."""
    with gzip.GzipFile("", "wb", _LEVEL, file, moment) as packed:
        shutil.copyfileobj(plain, packed, _CHUNK)


def _current_path(plain: BinaryIO, path: str, backups: Callable[[], list[str]]) -> str:
    """Return the current path of the open backup: a rollover by size gives it another number."""
    found = os.fstat(plain.fileno())
    for candidate in _candidate_paths(path, backups):
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(candidate), found):
                return candidate
    raise FileNotFoundError(path)


def _candidate_paths(path: str, backups: Callable[[], list[str]]) -> Iterator[str]:
    yield path
    yield from backups()


def _find_compressed_copy(path: str, plain: BinaryIO) -> os.stat_result | None:
    """Return the status of a compressed backup with the same content as ``plain``, which is read; None without one.

    Raises:
        FileExistsError: There is a compressed backup of this name with different content.
        FileNotFoundError: The backup got another number in the meantime.
    """
    if not os.path.lexists(f"{path}.gz"):
        return None
    if not os.path.exists(f"{path}.gz"):
        raise FileExistsError(f"{path}.gz is a link to a missing file; remove it")
    with open(f"{path}.gz", "rb") as file, gzip.open(file) as packed:
        while chunk := plain.read(_CHUNK):
            if packed.read(len(chunk)) != chunk:
                if not os.path.samestat(os.stat(path), os.fstat(plain.fileno())):
                    raise FileNotFoundError(path)
                raise FileExistsError(f"{path}.gz exists and is not a copy of {path}; remove or rename one of them")
        return os.fstat(file.fileno())

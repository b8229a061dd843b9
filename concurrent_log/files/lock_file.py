"""The lock file beside a log file: it serializes the writers and contains their shared state.

A `LockFile` is opened once per process and shared by all handlers of one log file in that process. Any number of
processes can hold the *shared* lock, to append. One process at a time can hold the *exclusive* lock, to roll the file
over. The lock file starts with a `State`: with one read, a writer notices that another process has rolled over. The
`Grants` of a file with a size limit follow.

The lock file is never removed: a lock on a removed file would exclude no other process.
"""

import errno
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Generator

import portalocker

from concurrent_log.files.file_systems import has_moved, root
from concurrent_log.files.open_files import may_reopen, with_room
from concurrent_log.files.own_file import identity_of
from concurrent_log.files.permissions import Ownership, create, create_folders
from concurrent_log.files.regular_files import open_regular
from concurrent_log.files.shared_state import GRANTS_SIZE, STATE_SIZE, Grants, State
from concurrent_log.internal.shared_lock import sleep_holding

if sys.platform == "win32":
    _SHARED = portalocker.LockFlags.SHARED | portalocker.LockFlags.NON_BLOCKING
    _EXCLUSIVE = portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING

    def _open(path: str) -> int:
        return os.open(path, os.O_RDWR | os.O_BINARY | os.O_NOINHERIT)

    def _read(fd: int, size: int, offset: int = 0) -> bytes:
        os.lseek(fd, offset, os.SEEK_SET)
        content = os.read(fd, size)
        os.lseek(fd, 0, os.SEEK_SET)  # portalocker locks and unlocks at the current position.
        return content

    def _write(fd: int, content: bytes, offset: int = 0) -> None:
        os.lseek(fd, offset, os.SEEK_SET)
        os.write(fd, content)
        os.lseek(fd, 0, os.SEEK_SET)

    def _mark(fd: int) -> int:
        return 0  # portalocker locks at the position.

    def _may_write(fd: int) -> bool:
        return True

    class _Descriptor:
        """A descriptor in the form that every portalocker since 2.7 accepts."""

        def __init__(self, fd: int) -> None:
            self._fd = fd

        def fileno(self) -> int:
            return self._fd

    def _lock(fd: int, exclusive: bool) -> None:
        try:
            portalocker.lock(_Descriptor(fd), _EXCLUSIVE if exclusive else _SHARED)
        except portalocker.exceptions.LockException as error:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error

    def _unlock(fd: int) -> None:
        try:
            portalocker.unlock(_Descriptor(fd))
        except (ValueError, portalocker.exceptions.LockException) as error:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK)) from error

    # On Windows every record takes the exclusive lock: these are never called.
    LOCK_SHARED = LOCK_EXCLUSIVE = UNLOCK = 0

    def flock(fd: int, operation: int) -> None:
        """Raise: the function does not exist on Windows."""
        raise NotImplementedError

    def pread(fd: int, size: int, offset: int) -> bytes:
        """Raise: the function does not exist on Windows."""
        raise NotImplementedError

else:
    import fcntl

    # The primitive of `portalocker.LOCKER`: the wrapper takes eight times as long, which matters for each record.
    flock, pread = fcntl.flock, os.pread
    LOCK_SHARED = fcntl.LOCK_SH | fcntl.LOCK_NB
    LOCK_EXCLUSIVE = fcntl.LOCK_EX | fcntl.LOCK_NB
    UNLOCK = fcntl.LOCK_UN

    def _open(path: str) -> int:
        try:
            return open_regular(path, os.O_RDWR)
        except PermissionError:
            # A worker that dropped its privileges may still read the lock file, which is enough for flock.
            return open_regular(path, os.O_RDONLY)

    def _read(fd: int, size: int, offset: int = 0) -> bytes:
        return os.pread(fd, size, offset)

    def _write(fd: int, content: bytes, offset: int = 0) -> None:
        os.pwrite(fd, content, offset)

    def _mark(fd: int) -> int:
        # A number that no other descriptor has by chance. Larger positions are an error on FAT.
        return os.lseek(fd, 1 << 30 | int.from_bytes(os.urandom(4), "little") >> 2, os.SEEK_SET)

    def _may_write(fd: int) -> bool:
        return bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_RDWR)

    def _lock(fd: int, exclusive: bool) -> None:
        flock(fd, LOCK_EXCLUSIVE if exclusive else LOCK_SHARED)

    def _unlock(fd: int) -> None:
        flock(fd, UNLOCK)


_FIRST_PAUSE, _LONGEST_PAUSE = 0.000_05, 0.001  # seconds between two attempts to acquire a lock


class LockFile:
    """The lock file of one log file in this process. Get it with `LockFile.at`.

    Safe to use from any thread, and in the child after a fork. Locks are re-entrant: if the calling thread already
    holds the lock, `hold` neither waits nor releases it.

    Attributes:
        create: Function that creates the file, and its folder, at a path where there is none.
        mutex: Serializes the threads of this process; the handlers of one log file use it as their lock.
        fd: The descriptor; -1 while the file is not open.
        held: Whether this process holds the lock.
        mark: The position of the descriptor, which nothing moves: at another one, the number is another file by now,
            and locking that would release a lock of the program. Always 0 on Windows.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.create: Callable[[str], None] = _create
        self.mutex = threading.RLock()
        self.fd = -1
        self.held = False
        self.mark = 0
        self._exclusive = False
        self._has_timed_out = False
        self._is_read_only = False
        self._identity: tuple[int, int] | None = None
        self._root = root()
        self._pid = 0
        _all.add(self)

    @classmethod
    def at(cls, path: str) -> "LockFile":
        """Return this process's one lock file at ``path``, which need not exist yet."""
        # One object for all links to the folder. It is opened by the given path, so that a link may be changed.
        resolved = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)), root()
        with _registry_lock:
            lock_file = _registry.get(resolved)
            if lock_file is None:
                lock_file = _registry[resolved] = cls(path)
            return lock_file

    def hold(self, *, exclusive: bool, timeout: float) -> "HeldLock":
        """Hold the lock for the body of a ``with`` statement, and yield None or the error.

        A lock that cannot be acquired raises nothing: the error is a `TimeoutError` after ``timeout`` seconds, or the
        `OSError` of the lock file. After a timeout no thread waits until the lock was acquired once: otherwise many
        threads would wait one after the other.
        """
        return HeldLock(self._hold_steps(exclusive, timeout))

    def _hold_steps(self, exclusive: bool, timeout: float) -> Generator[Exception | None, None, None]:
        with self.mutex:
            if self.held:
                yield None if self._exclusive or not exclusive else TimeoutError(f"{self.path} is in use here")
                return
            try:
                self.held = True
                self._exclusive = exclusive
                yield self._acquire(exclusive, timeout)
            finally:
                # Another signal may interrupt this; the second attempt releases the lock.
                try:
                    self.release()
                except BaseException:
                    self.release()
                    raise

    def read_state(self) -> bytes:
        """Return the bytes of the state, fewer if the file is shorter; call it while holding the lock."""
        return _read(self._open_fd(), STATE_SIZE)

    def write_state(self, state: State, size: int) -> bytes:
        """Write ``state`` for all writers and return its bytes; call it while holding the exclusive lock.

        All previous grants are revoked. The next grants start at ``size``, the size of the log file.
        """
        content, grants = state.to_bytes(), self.read_grants()
        _write(self._open_fd(), content + Grants(size, grants.requests if grants else 0).to_bytes())
        return content

    def publish(self, start: int, status: os.stat_result) -> tuple[State, bytes]:
        """Write a new state of the log file with this ``status``, and return it with its bytes."""
        before = State.from_bytes(self.read_state())
        generation = before.generation + 1 if before else time.time_ns()
        state = State(generation % 2**64, start, status.st_ino)
        return state, self.write_state(state, status.st_size)

    def read_grants(self) -> Grants | None:
        """Return the grants of the log file; None if there are none."""
        return Grants.from_bytes(_read(self._open_fd(), GRANTS_SIZE, STATE_SIZE))

    def write_grants(self, size: int, requests: int) -> None:
        """Write the grants after a request: bytes are granted up to ``size``, after this number of ``requests``.

        Call it while holding the exclusive lock, or the shared lock and the one that serializes requests.
        """
        _write(self._open_fd(), Grants(size, requests % 2**32).to_bytes(), STATE_SIZE)

    def is_writable(self) -> bool:
        """Return whether this process may write the file; to lock it, read permission is enough.

        If it may not, the file is re-opened for the next lock: the permission may have been granted by then.
        """
        self._is_read_only = not _may_write(self._open_fd())
        return not self._is_read_only

    def is_held_shared(self) -> bool:
        """Return whether this process holds the shared lock."""
        return self.held and not self._exclusive

    def is_in_place(self) -> bool:
        """Return whether the open lock file is still the one at its path."""
        try:
            found = os.stat(self.path)
        except OSError:
            return has_moved(self._root)  # After a chroot, the open lock file is the only one.
        return (found.st_dev, found.st_ino) == self._identity or has_moved(self._root)

    def is_open(self) -> bool:
        """Return whether the descriptor is still the file that was opened."""
        return self.fd >= 0 and identity_of(self.fd) == self._identity

    def set_aside(self) -> bool:
        """Close the descriptor until it is needed, and return True; do not if this process may not open it again."""
        if self.fd >= 0 and not has_moved(self._root) and may_reopen(self.path, os.R_OK | os.W_OK):
            self.close()
        return self.fd < 0

    def close(self) -> None:
        """Close the descriptor, without unlocking what a parent process holds; the next use opens it again."""
        with self.mutex:
            fd, self.fd = self.fd, -1
            # A program that closed all descriptors, such as a daemon, may use this number for another file.
            if fd >= 0 and identity_of(fd) == self._identity:
                os.close(fd)

    def __del__(self) -> None:
        # Nothing refers to this any longer, so that the lock is not in use.
        fd, self.fd = self.fd, -1
        if fd >= 0 and self._pid == os.getpid() and identity_of(fd) == self._identity:
            os.close(fd)

    def _acquire(self, exclusive: bool, timeout: float) -> Exception | None:
        patience = 0 if self._has_timed_out else timeout
        give_up_at = time.monotonic() + patience
        pause, slept = _FIRST_PAUSE, 0.0
        if self.fd >= 0 and identity_of(self.fd) != self._identity:
            self.close()  # Otherwise the lock and the state would go to another file of the program.
        while True:
            try:
                _lock(self._open_fd(), exclusive)
                # Another process may have removed and re-created the lock file while we waited.
                if self.is_in_place():
                    self._has_timed_out = False
                    return None
                self.close()
            except BlockingIOError:
                pass
            except OSError as error:
                return error
            # A test may freeze the clock; sleeping takes time nevertheless.
            if time.monotonic() >= give_up_at or slept >= patience:
                self._has_timed_out = True
                return TimeoutError(f"{self.path} has been locked by another process for {timeout} seconds")
            sleep_holding(self.mutex, pause)
            slept += pause
            pause = min(2 * pause, _LONGEST_PAUSE)

    def release(self) -> None:
        """Release the lock, shared or exclusive."""
        self.held = self._exclusive = False
        if self.fd >= 0 and identity_of(self.fd) != self._identity:
            self.close()  # The number is another file of the program by now; when ours was closed, it was unlocked.
        if self.fd >= 0:
            try:
                _unlock(self.fd)
            except (OSError, ValueError):  # A signal handler closed it right here.
                self.close()
            if self._is_read_only:
                self._is_read_only = False
                self.close()

    def _open_fd(self) -> int:
        if self._pid != os.getpid():
            # A fork inside C code runs no hook. The inherited descriptor shares its lock with the parent.
            self.close()
            self._pid = os.getpid()
        if self.fd < 0:
            fd = with_room(self._open_or_create)
            # In this order: after an interrupt in between, `close` must not mistake the descriptor for another file's.
            self._identity = identity_of(fd)
            self.mark = _mark(fd)
            self.fd = fd
        return self.fd

    def _open_or_create(self) -> int:
        try:
            return _open(self.path)
        except FileNotFoundError:
            if has_moved(self._root):
                raise  # After a chroot, the path leads to a place where no other process looks.
            self.create(self.path)
            return _open(self.path)


class HeldLock:
    """The context manager that `LockFile.hold` returns: from the first step of a generator to its end.

    If a signal handler raises right after the first step, the generator ends at once. With
    `contextlib.contextmanager` it would end only when the exception and its frames are freed, perhaps by another
    thread.
    """

    def __init__(self, steps: Generator[Exception | None, None, None]) -> None:
        self._steps = steps

    def __enter__(self) -> Exception | None:
        try:
            return next(self._steps)
        except BaseException:
            self._steps.close()
            raise

    def __exit__(self, *error: object) -> None:
        self._steps.close()


def _create(path: str) -> None:
    create_folders(os.path.dirname(path), Ownership())
    create(path, Ownership(), 0o660)


_all: "weakref.WeakSet[LockFile]" = weakref.WeakSet()
_registry: "weakref.WeakValueDictionary[tuple[str, tuple[int, int] | None], LockFile]" = weakref.WeakValueDictionary()
_registry_lock = threading.Lock()


def _release_in_child() -> None:
    """Close the lock files that the parent holds: after a fork, parent and child share the descriptor and its lock."""
    global _registry_lock
    _registry_lock = threading.Lock()
    for lock_file in list(_all):
        lock_file.mutex._at_fork_reinit()  # type: ignore[attr-defined]  # logging does the same to every handler
        lock_file.held = False
        lock_file.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_release_in_child)

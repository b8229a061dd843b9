"""The lock file beside a log file: who may write, and the few bytes that all writers share.

A `LockFile` is opened once per process and shared by all handlers of one log file in that process. A *shared*
lock lets any number of processes append; an *exclusive* lock is held alone, to roll the file over. The first
bytes of the lock file hold a `State`, by which a writer sees in one read that another process rolled over. After
them stands up to which size the log file has been granted to writers, where it has a largest size.

The lock file is never removed: a process that still held a removed one would exclude nobody.
"""

import functools
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Generator

import portalocker
from portalocker.exceptions import LockException

from concurrent_log.files.permissions import Ownership, create
from concurrent_log.files.shared_state import GRANTS_SIZE, STATE_SIZE, Grants, State

if sys.platform == "win32":

    def _open(path: str) -> int:
        return os.open(path, os.O_RDWR | os.O_BINARY | os.O_NOINHERIT)

    def _read(fd: int, size: int, offset: int = 0) -> bytes:
        os.lseek(fd, offset, os.SEEK_SET)
        content = os.read(fd, size)
        os.lseek(fd, 0, os.SEEK_SET)  # where portalocker locks and unlocks
        return content

    def _write(fd: int, content: bytes, offset: int = 0) -> None:
        os.lseek(fd, offset, os.SEEK_SET)
        os.write(fd, content)
        os.lseek(fd, 0, os.SEEK_SET)

    def _may_write(fd: int) -> bool:
        return True

    def _is_busy(error: LockException) -> bool:
        return True

    # Every record takes the exclusive lock there: nobody calls these.
    SHARED_AT_ONCE = EXCLUSIVE_AT_ONCE = UNLOCK = 0

    def flock(fd: int, operation: int) -> None:
        """Stand for what does not exist here."""
        raise NotImplementedError

    def pread(fd: int, size: int, offset: int) -> bytes:
        """Stand for what does not exist here."""
        raise NotImplementedError

else:
    import fcntl

    # portalocker's own primitive, for where its wrapper, which costs eight times as much, would be felt.
    flock, pread = fcntl.flock, os.pread
    SHARED_AT_ONCE = fcntl.LOCK_SH | fcntl.LOCK_NB
    EXCLUSIVE_AT_ONCE = fcntl.LOCK_EX | fcntl.LOCK_NB
    UNLOCK = fcntl.LOCK_UN

    def _open(path: str) -> int:
        # Through no link that somebody put there: the state would overwrite what it leads to. A pipe keeps nobody
        # waiting.
        flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            return os.open(path, os.O_RDWR | flags)
        except PermissionError:
            # A worker that gave up its privileges may still read the lock file, and flock needs no more.
            return os.open(path, os.O_RDONLY | flags)

    def _read(fd: int, size: int, offset: int = 0) -> bytes:
        return os.pread(fd, size, offset)

    def _write(fd: int, content: bytes, offset: int = 0) -> None:
        os.pwrite(fd, content, offset)

    def _may_write(fd: int) -> bool:
        return bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_RDWR)

    def _is_busy(error: LockException) -> bool:
        return isinstance(error.__context__, BlockingIOError)


_SHARED = portalocker.LockFlags.SHARED | portalocker.LockFlags.NON_BLOCKING
_EXCLUSIVE = portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING

_FIRST_PAUSE, _LONGEST_PAUSE = 0.000_05, 0.001  # seconds between two tries for a lock somebody else holds


class LockFile:
    """One lock file, as this process holds it. Get it with `LockFile.at`.

    Safe to use from any thread, and in the child after a fork. Locks are re-entrant: where the calling thread
    holds the lock already, `hold` neither waits nor releases anything.

    Attributes:
        create: Creates the file at a path where there is none.
        mutex: Keeps the threads of this process apart; the handlers of one log file use it as their lock.
        fd: The descriptor, or -1 while the file is not open.
        held: Whether this process is inside a locked section.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.create: Callable[[str], None] = functools.partial(create, wanted=Ownership(), mode=0o660)
        self.mutex = threading.RLock()
        self.fd = -1
        self.held = False
        self._exclusive = False
        self._stuck = False
        self._is_read_only = False
        self._identity: tuple[int, int] | None = None
        self._pid = 0
        _all.add(self)

    @classmethod
    def at(cls, path: str) -> "LockFile":
        """Return this process's one lock file at ``path``, which need not exist yet."""
        # One for all links to the folder; but opened by the given path, so that a link may be exchanged.
        resolved = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        with _registry_lock:
            lock_file = _registry.get(resolved)
            if lock_file is None:
                lock_file = _registry[resolved] = cls(path)
            return lock_file

    def hold(self, *, exclusive: bool, timeout: float) -> "Section":
        """Hold the lock for the body of a ``with`` statement, and yield what went wrong.

        Never raises for a lock that cannot be had: it yields None where the lock is held, else a
        `TimeoutError` after ``timeout`` seconds, or the `OSError` that the lock file caused. After a timeout
        nobody waits again until the lock could be taken once, so that many threads do not wait in turn.
        """
        return Section(self._held(exclusive, timeout))

    def _held(self, exclusive: bool, timeout: float) -> Generator[Exception | None, None, None]:
        with self.mutex:
            if self.held:
                yield None if self._exclusive or not exclusive else TimeoutError(f"{self.path} is in use here")
                return
            try:
                self.held = True
                self._exclusive = exclusive
                yield self._acquire(exclusive, timeout)
            finally:
                # One more signal may interrupt this; the second try leaves no lock behind.
                try:
                    self.let_go()
                except BaseException:
                    self.let_go()
                    raise

    def read(self) -> bytes:
        """Return the bytes of the state, fewer where there are none; call it while holding the lock."""
        return _read(self._opened(), STATE_SIZE)

    def write(self, state: State, size: int) -> bytes:
        """Publish ``state`` to all writers and return its bytes; call it while holding the exclusive lock.

        What writers were granted of the file up to now is void; of what they are granted next, ``size`` bytes are
        in the file already.
        """
        content, grants = state.to_bytes(), self.grants()
        _write(self._opened(), content + Grants(size, grants.asked if grants else 0).to_bytes())
        return content

    def grants(self) -> Grants | None:
        """Return what writers were granted of the log file; None where nothing says so."""
        return Grants.from_bytes(_read(self._opened(), GRANTS_SIZE, STATE_SIZE))

    def grant(self, granted: int, asked: int) -> None:
        """Grant the log file up to a size to who was the ``asked``-th to ask.

        Call it where nobody else asks: while holding the exclusive lock, or the shared one and what keeps apart
        those who do.
        """
        _write(self._opened(), Grants(granted, asked % 2**32).to_bytes(), STATE_SIZE)

    def is_writable(self) -> bool:
        """Return whether `write` can be expected to work; whoever may only read the file can still lock it.

        Where it cannot, the file is opened anew for the next lock: this process may be given the right to write.
        """
        self._is_read_only = not _may_write(self._opened())
        return not self._is_read_only

    def is_appending(self) -> bool:
        """Return whether this process is inside a section that holds the lock with others."""
        return self.held and not self._exclusive

    def is_in_place(self) -> bool:
        """Return whether the open lock file is still the one at its path."""
        try:
            found = os.stat(self.path)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def close(self) -> None:
        """Close the descriptor, without unlocking what a parent process holds; the next use opens it again."""
        with self.mutex:
            fd, self.fd = self.fd, -1
            # A program that closed all descriptors (a daemon does) may have opened another file by this number.
            if fd >= 0 and _identity(fd) == self._identity:
                os.close(fd)

    def _acquire(self, exclusive: bool, timeout: float) -> Exception | None:
        flags = _EXCLUSIVE if exclusive else _SHARED
        give_up_at = time.monotonic() + (0 if self._stuck else timeout)
        pause = _FIRST_PAUSE
        if self.fd >= 0 and _identity(self.fd) != self._identity:
            self.close()  # Else the lock, and the state, would go to a file of the program's own.
        while True:
            try:
                portalocker.lock(_Descriptor(self._opened()), flags)
                # The lock file may have been removed, and made anew by another process, while we waited.
                if self.is_in_place():
                    self._stuck = False
                    return None
                self.close()
            except OSError as error:
                return error
            except LockException as error:
                if not _is_busy(error):
                    return error
            if time.monotonic() >= give_up_at:
                self._stuck = True
                return TimeoutError(f"{self.path} has been locked by another process for {timeout} seconds")
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def let_go(self) -> None:
        """Unlock, whatever is held, by whichever call."""
        self.held = self._exclusive = False
        if self.fd >= 0:
            try:
                portalocker.unlock(_Descriptor(self.fd))
            except (OSError, ValueError, LockException):
                self.close()
            if self._is_read_only:
                self._is_read_only = False
                self.close()

    def _opened(self) -> int:
        if self._pid != os.getpid():
            # A fork inside C code runs no hook. The inherited descriptor shares its lock with the parent.
            self.close()
            self._pid = os.getpid()
        if self.fd < 0:
            try:
                fd = _open(self.path)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(self.path), exist_ok=True)
                self.create(self.path)
                fd = _open(self.path)
            # In this order: an interrupt in between must not leave a descriptor that `close` takes for another's.
            self._identity = _identity(fd)
            self.fd = fd
        return self.fd


class Section:
    """A ``with`` statement from the first step of a generator to its end.

    Other than with `contextlib.contextmanager`, the generator ends at once where a signal handler raises right after
    that step, and not when somebody, perhaps another thread, clears away the exception and what it refers to.
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


class _Descriptor:
    """A descriptor in the form that every portalocker since 2.7 takes."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd


def _identity(fd: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(fd)
    except OSError:
        return None
    return found.st_dev, found.st_ino


_all: "weakref.WeakSet[LockFile]" = weakref.WeakSet()
_registry: "weakref.WeakValueDictionary[str, LockFile]" = weakref.WeakValueDictionary()
_registry_lock = threading.Lock()


def _let_go_in_child() -> None:
    """Give up what the parent holds: a flock belongs to the descriptor that both share after a fork."""
    global _registry_lock
    _registry_lock = threading.Lock()
    for lock_file in list(_all):
        lock_file.mutex._at_fork_reinit()  # type: ignore[attr-defined]  # logging does the same to every handler
        lock_file.held = False
        lock_file.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_child)

"""The SQLite file: opens it with its schema, notices when it was replaced, and keeps some space in reserve."""

import contextlib
import os
import pathlib
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator

from concurrent_log.collector.store.interface import DiskFull, StoreUnavailable, StoreUnusable
from concurrent_log.collector.store.migrations import migrations
from concurrent_log.collector.store.sqlite.disk_reserve import DiskReserve
from concurrent_log.collector.store.sqlite.value_tests import add_functions

BUSY_TIMEOUT = 10.0  # seconds to wait for another process that writes
_VACUUM_PAGES = 256  # that are given back to the disk in one step
_MIN_FREE = 2 << 20  # bytes of the disk, so that a batch fits
_BUSY_STEP = 0.1  # seconds between two looks whether the server is stopping meanwhile

_Identity = tuple[int, int] | None


class DatabaseFile:
    """The file at ``path``, open for writing in one thread.

    Args:
        path: The path; the file and its folder are created if they do not exist, for this user only.
        is_stopping: Returns whether to wait no longer for other processes.

    Attributes:
        connection: The connection; only `open` and `transaction` change it.
        generation: Changes when another file was opened at the path.
    """

    connection: sqlite3.Connection

    def __init__(self, path: pathlib.Path, is_stopping: Callable[[], bool]) -> None:
        self.path = path
        self.generation = 0
        self._is_stopping = is_stopping
        self._identities: tuple[_Identity, ...] = ()
        self._reserve = DiskReserve(path.with_name(path.name + "-reserve"))

    def open(self) -> None:
        """Open the file, and create or migrate the schema; use the reserve if the disk is full.

        Raises:
            StoreUnavailable: The disk is full, or another process holds the file.
            StoreUnusable: The file is no database that this server can use.
        """
        try:
            self._open()
        except DiskFull:
            if not self._reserve.release():
                raise
            self._open()
        self._identities = self._look()
        self._reserve.fill()

    def _open(self) -> None:
        with _store_errors(self.path):
            _create_for_this_user(self.path.absolute())
            connection = sqlite3.connect(self.path, timeout=_BUSY_STEP, isolation_level=None)
            self.connection = connection
            try:
                self._when_free(lambda: _configure(connection))
                with self._begun():
                    _migrate(connection)
            except BaseException:
                connection.close()
                raise

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Provide the connection in a transaction, which is committed at the end.

        Raises:
            DiskFull: There is no room.
            StoreUnavailable: Another process holds the file; or the file was replaced, so that the transaction is lost.
        """
        with _unavailable():
            if self._look() != self._identities:
                self._reopen()
            with self._begun():
                yield self.connection
            if self._look() != self._identities:
                raise StoreUnavailable("the database file was removed or replaced by another program")

    def use_reserve(self) -> bool:
        """Free the space in reserve, for what makes room; return whether there was some."""
        if not self._reserve.release():
            return False
        self._empty_log()
        return True

    def restore_reserve(self) -> None:
        """Give the space of removed records back to the disk, and reserve some of it again."""
        if self._has_room():
            return
        self._empty_log()
        with contextlib.suppress(sqlite3.Error):
            free, before = self._free_pages(), -1
            # In small portions, because moving pages to the beginning of the file needs space in the log.
            while not self._has_room() and free and free != before:
                # Not execute(), which gives back a single page.
                self.connection.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
                self._empty_log()
                free, before = self._free_pages(), free

    def _free_pages(self) -> int:
        return int(self.connection.execute("PRAGMA freelist_count").fetchone()[0])

    def _has_room(self) -> bool:
        """Return whether the reserve is filled, if possible by now, and a batch would fit."""
        if not self._reserve.is_filled:
            self._reserve.fill()
        return self._reserve.is_filled and self.has_free_space()

    def has_free_space(self) -> bool:
        """Return whether the disk has space for a batch, besides the reserve."""
        return shutil.disk_usage(self.path.absolute().parent).free >= _MIN_FREE

    def _empty_log(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _reopen(self) -> None:
        """Open the file that is at the path now."""
        if self._look()[0] == self._identities[0]:
            self._empty_log()  # Only the log was removed: what it has goes to the file first.
        self.connection.close()
        try:
            self.open()
        except StoreUnusable as error:
            raise StoreUnavailable(str(error)) from error
        self.generation += 1

    def _look(self) -> tuple[_Identity, ...]:
        """Return which files are at the paths of the database and of its log."""
        return tuple(_identity(f"{self.path}{suffix}") for suffix in ("", "-wal"))

    @contextlib.contextmanager
    def _begun(self) -> Iterator[None]:
        self._when_free(lambda: self.connection.execute("BEGIN IMMEDIATE"))
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            # After some errors, such as a full disk, SQLite has rolled back already.
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def _when_free(self, execute: Callable[[], object]) -> None:
        """Execute something as soon as no other process holds the file, but do not keep a server from stopping."""
        deadline = time.monotonic() + BUSY_TIMEOUT
        while True:
            try:
                execute()
                return
            except sqlite3.OperationalError as error:
                if not is_locked(error) or self._is_stopping() or time.monotonic() > deadline:
                    raise


def is_locked(error: Exception) -> bool:
    """Return whether another process holds the file."""
    return "locked" in str(error)


def _is_full(error: Exception) -> bool:
    return "is full" in str(error)


@contextlib.contextmanager
def _unavailable() -> Iterator[None]:
    """Raise `DiskFull` or `StoreUnavailable` instead of exceptions of sqlite3 that may pass by themselves."""
    try:
        yield
    except sqlite3.Error as error:
        if _is_full(error):
            raise DiskFull("the disk of the database is full") from error
        if is_locked(error):
            raise StoreUnavailable(f"another process holds the database: {error}") from error
        raise


@contextlib.contextmanager
def _store_errors(path: pathlib.Path) -> Iterator[None]:
    """Raise exceptions of a store instead of those of sqlite3 and of the system."""
    try:
        with _unavailable():
            yield
    except OSError as error:
        if error.errno == 28:  # ENOSPC
            raise DiskFull("the disk of the database is full") from error
        raise StoreUnusable(f"{path} cannot be opened as an SQLite database: {error}") from error
    except sqlite3.Error as error:
        raise StoreUnusable(f"{path} cannot be opened as an SQLite database: {error}") from error


def _identity(path: str) -> _Identity:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _create_for_this_user(path: pathlib.Path) -> None:
    """Create the file and its folders, where they are missing, without access for others, whatever the umask."""
    for folder in reversed(path.parents):
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
            folder.chmod(0o700)
    with contextlib.suppress(FileExistsError):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.close(fd)
        path.chmod(0o600)  # SQLite gives its log the same mode.


def _configure(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA auto_vacuum = incremental")  # The space that retention frees is used again.
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("PRAGMA synchronous = full")  # A committed batch survives a power failure.
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute("PRAGMA cache_size = -65536")
    add_functions(connection)  # for deletions


def _migrate(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
    version = connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()[0]
    steps = migrations("sqlite")
    if version > steps[-1][0]:
        raise StoreUnusable(f"the database has schema {version}, this server knows {steps[-1][0]}: update it")
    for number, sql in steps:
        if number > version:
            for statement in sql.split(";\n"):
                connection.execute(statement)
            connection.execute("INSERT INTO schema_version VALUES (?)", (number,))

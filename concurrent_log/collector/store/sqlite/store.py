"""Writes records to an SQLite file: one thread writes, and commits all pending batches together."""

import asyncio
import contextlib
import pathlib
import queue
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import Any

from concurrent_log.collector.store.interface import (
    STORED_IN_PARTS,
    AddResult,
    IncomingBatch,
    StoreUnavailable,
    StoreUnusable,
)
from concurrent_log.collector.store.migrations import migrations

_BUSY_TIMEOUT = 10.0  # seconds to wait for another process that writes
_MAX_COMMITTED_TOGETHER = 20_000  # records
_MAX_REMOVED_TOGETHER = 5_000  # records that are removed between two batches
_MIN_BATCH_MEMORY = 14 * 86_400_000_000  # microseconds for which the ids of batches are stored, at least
_LAST_SEEN_PRECISION = 5_000_000  # microseconds

_NEW_BATCH = "INSERT OR IGNORE INTO batches (batch_id, received_at, records) VALUES (?, ?, ?)"
_RECORDS_OF_BATCH = "SELECT records FROM batches WHERE batch_id = ?"
_NEW_LOSS = """
    INSERT INTO drops (received_at, client_id, service, host, reason, records, since) VALUES (?, ?, ?, ?, ?, ?, ?)"""
_UPSERT_CLIENT = f"""
    INSERT INTO clients (id, name, service, environment, host, first_seen, last_seen) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET last_seen = excluded.last_seen, name = excluded.name, service = excluded.service,
        environment = excluded.environment, host = excluded.host
    WHERE clients.last_seen < excluded.last_seen - {_LAST_SEEN_PRECISION}"""
_REMOVE_RECORDS = f"""
    DELETE FROM logs WHERE id IN (
        SELECT id FROM logs WHERE created_at < :before
        OR (created_at > :soon AND received_at < :before) LIMIT {_MAX_REMOVED_TOGETHER})"""

_Task = Callable[[sqlite3.Connection], int]


@dataclass(frozen=True)
class _Pending:
    """Work for the thread. A task has a transaction of its own; batches share one."""

    task: IncomingBatch | _Task
    done: "Future[Any]"


class SqliteStore:
    """Stores records in the file ``path``, which is created, with its folder, if it does not exist."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self._pending: queue.SimpleQueue[_Pending | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    async def open(self) -> None:
        """Open the file, and create or migrate the schema."""
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(opened,), name="concurrent_log store")
        self._thread.start()
        await asyncio.wrap_future(opened)

    async def close(self) -> None:
        """Commit pending batches, and close the file."""
        self._is_closed = True
        self._pending.put(None)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    async def is_ready(self) -> bool:
        """Return whether the file can be read, and the writing thread is alive."""
        if self._thread is None or not self._thread.is_alive():
            return False
        try:
            return await asyncio.to_thread(self._is_readable)
        except sqlite3.Error:
            return False

    def _is_readable(self) -> bool:
        with contextlib.closing(self.connect_read_only()) as connection:
            return bool(connection.execute("SELECT count(*) FROM schema_version").fetchone())

    def connect_read_only(self) -> sqlite3.Connection:
        """Return a new read-only connection; any thread may use it, but only one at a time."""
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_TIMEOUT, check_same_thread=False
        )
        connection.execute("PRAGMA query_only = on")
        return connection

    async def add(self, batch: IncomingBatch) -> AddResult:
        """Store ``batch``, and return after the commit."""
        if self._is_closed:
            raise StoreUnavailable("the database is closed")
        done: Future[AddResult] = Future()
        self._pending.put(_Pending(batch, done))
        # Shielded: a batch that is being written is written, even if its request is cancelled.
        return await asyncio.shield(asyncio.wrap_future(done))

    async def prepare(self) -> None:
        """Do nothing: SQLite needs no preparation for the next days."""

    async def remove_before(self, day: date) -> int:
        """Remove records from before ``day`` (UTC), in steps; between them, batches are stored."""
        before = int(datetime(day.year, day.month, day.day, tzinfo=timezone.utc).timestamp()) * 1_000_000
        total = 0
        while removed := await self._submit(lambda connection: _remove_records(connection, before)):
            total += removed
        await self._submit(lambda connection: _remove_other_entries(connection, before))
        return total

    async def select(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a small query."""
        try:
            return await asyncio.to_thread(self._select, _numbered(sql), arguments)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the database cannot be read: {error}") from None

    def _select(self, sql: str, arguments: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with contextlib.closing(self.connect_read_only()) as connection:
            return connection.execute(sql, arguments).fetchall()

    async def execute(self, sql: str, *arguments: Any) -> int:
        """Run a statement in a transaction of its own; return the number of affected rows."""
        return await self._submit(lambda connection: connection.execute(_numbered(sql), arguments).rowcount)

    async def _submit(self, task: _Task) -> int:
        """Let the thread run ``task``."""
        if self._is_closed:
            raise StoreUnavailable("the database is closed")
        done: Future[int] = Future()
        self._pending.put(_Pending(task, done))
        return await asyncio.shield(asyncio.wrap_future(done))

    def _run(self, opened: "Future[None]") -> None:
        try:
            connection = _open_database(self.path)
        except Exception as error:
            opened.set_exception(error)
            return
        opened.set_result(None)
        with contextlib.closing(connection):
            while self._write_next(connection):
                pass

    def _write_next(self, connection: sqlite3.Connection) -> bool:
        """Write the next pending batches or task; return False if the store was closed."""
        batches: list[_Pending] = []
        item, records = self._pending.get(), 0
        while item is not None and isinstance(item.task, IncomingBatch):
            batches.append(item)
            records += len(item.task.rows)
            if records >= _MAX_COMMITTED_TOGETHER or self._pending.empty():
                _add_together(connection, batches)
                return True
            item = self._pending.get()
        _add_together(connection, batches)
        if item is not None:
            _run_alone(connection, item)
        return item is not None


def _numbered(sql: str) -> str:
    """Return ``sql`` with SQLite's placeholders, and without PostgreSQL's types."""
    return re.sub(r"\$(\d+)(::\w+)?", r"?\1", sql)


def _add_together(connection: sqlite3.Connection, batches: list[_Pending]) -> None:
    """Commit the batches together; after an error, each by itself, so that one bad batch does not affect the others."""
    if not batches:
        return
    try:
        with _transaction(connection):
            results = [_perform(connection, each.task) for each in batches]
    except Exception:
        for each in batches:
            _run_alone(connection, each)
        return
    for each, result in zip(batches, results, strict=True):
        each.done.set_result(result)


def _run_alone(connection: sqlite3.Connection, item: _Pending) -> None:
    try:
        with _transaction(connection):
            result = _perform(connection, item.task)
    except sqlite3.Error as error:
        item.done.set_exception(StoreUnavailable(f"the database cannot write: {error}"))
    except Exception as error:
        item.done.set_exception(error)
    else:
        item.done.set_result(result)


def _perform(connection: sqlite3.Connection, task: IncomingBatch | _Task) -> AddResult | int:
    return _add(connection, task) if isinstance(task, IncomingBatch) else task(connection)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # After some errors, such as a full disk, SQLite has rolled back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _add(connection: sqlite3.Connection, batch: IncomingBatch) -> AddResult:
    now = time.time_ns() // 1000
    for larger in batch.part_of:
        if not _insert_batch(connection, larger, now, STORED_IN_PARTS) and not _is_in_parts(connection, larger):
            return AddResult(0, duplicate=True)
    if batch.batch_id is not None and not _insert_batch(connection, batch.batch_id, now, len(batch.rows)):
        in_parts = _is_in_parts(connection, batch.batch_id)
        return AddResult(0, duplicate=not in_parts, in_parts=in_parts)
    new_record = f"INSERT INTO logs (received_at, {', '.join(batch.columns)}) VALUES (?{', ?' * len(batch.columns)})"
    connection.executemany(new_record, [(now, *row) for row in batch.rows])
    client = batch.client
    sender = (client.id, client.service, client.host) if client else (None, None, None)
    connection.executemany(_NEW_LOSS, [(now, *sender, loss.reason, loss.records, loss.since) for loss in batch.losses])
    if client:
        values = (client.id, client.name, client.service, client.environment, client.host, now, now)
        connection.execute(_UPSERT_CLIENT, values)
    return AddResult(len(batch.rows))


def _insert_batch(connection: sqlite3.Connection, batch_id: str, now: int, records: int) -> bool:
    """Insert a batch; return False if its id is stored already."""
    return connection.execute(_NEW_BATCH, (batch_id, now, records)).rowcount > 0


def _is_in_parts(connection: sqlite3.Connection, batch_id: str) -> bool:
    return bool(connection.execute(_RECORDS_OF_BATCH, (batch_id,)).fetchone() == (STORED_IN_PARTS,))


def _remove_records(connection: sqlite3.Connection, before: int) -> int:
    soon = time.time_ns() // 1000 + 2 * 86_400_000_000
    return connection.execute(_REMOVE_RECORDS, {"before": before, "soon": soon}).rowcount


def _remove_other_entries(connection: sqlite3.Connection, before: int) -> int:
    batches_before = min(before, time.time_ns() // 1000 - _MIN_BATCH_MEMORY)
    connection.execute("DELETE FROM batches WHERE received_at < ?", (batches_before,))
    connection.execute("DELETE FROM drops WHERE received_at < ?", (before,))
    connection.execute("DELETE FROM clients WHERE last_seen < ?", (before,))
    return 0


def _open_database(path: pathlib.Path) -> sqlite3.Connection:
    """Return a connection for writing; create or migrate the schema."""
    try:
        path.absolute().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT, isolation_level=None)
        try:
            connection.execute("PRAGMA auto_vacuum = incremental")  # The space that retention frees is used again.
            connection.execute("PRAGMA journal_mode = wal")
            connection.execute("PRAGMA synchronous = full")  # A committed batch survives a power failure.
            connection.execute("PRAGMA journal_size_limit = 67108864")
            connection.execute("PRAGMA cache_size = -65536")
            with _transaction(connection):
                _migrate(connection)
        except BaseException:
            connection.close()
            raise
    except (OSError, sqlite3.Error) as error:
        if "locked" in str(error):
            raise StoreUnavailable(f"another process holds the database: {error}") from error
        raise StoreUnusable(f"{path} cannot be opened as an SQLite database: {error}") from error
    return connection


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

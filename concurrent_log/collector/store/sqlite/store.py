"""Writes records to an SQLite file: one thread writes, and commits all pending batches together."""

import asyncio
import contextlib
import pathlib
import queue
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import Any

from concurrent_log.collector.store.interface import (
    STORED_IN_PARTS,
    TRIAL_ID,
    AddResult,
    DiskFull,
    IncomingBatch,
    StoreUnavailable,
    result_of_stored,
)
from concurrent_log.collector.store.sqlite.database_file import BUSY_TIMEOUT, DatabaseFile

_MAX_COMMITTED_TOGETHER = 20_000  # records
_IDS_TOGETHER = 20_000  # records that a deletion looks at between two batches
_MAX_REMOVED_TOGETHER = 2_000  # records that are removed between two batches
_MIN_BATCH_MEMORY = 14 * 86_400_000_000  # microseconds for which the ids of batches are stored, at least
_LAST_SEEN_PRECISION = 5_000_000  # microseconds

_NEW_BATCH = "INSERT OR IGNORE INTO batches (batch_id, received_at, records, digest) VALUES (?, ?, ?, ?)"
_STORED_BATCH = "SELECT records, digest FROM batches WHERE batch_id = ?"
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

_REMOVE_OLDEST = f"""
    DELETE FROM logs WHERE id IN (SELECT id FROM logs ORDER BY created_at, id LIMIT {_MAX_REMOVED_TOGETHER})"""
_USED_SIZE = """
    SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size"""

_Task = Callable[[sqlite3.Connection], int]


@dataclass(frozen=True)
class _Pending:
    """Work for the thread. A task has a transaction of its own; batches share one."""

    task: IncomingBatch | _Task
    done: "Future[Any]"
    makes_room: bool = False


class SqliteStore:
    """Stores records in the file ``path``, which is created, with its folder, if it does not exist."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self._pending: queue.SimpleQueue[_Pending | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._file = DatabaseFile(path, lambda: self._is_closed)

    @property
    def generation(self) -> int:
        """A number that changes when another file was opened at the path."""
        return self._file.generation

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
            f"{self.path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT, check_same_thread=False
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
        while removed := await self._submit(lambda connection: _remove_records(connection, before), makes_room=True):
            total += removed
        await self._submit(lambda connection: _remove_other_entries(connection, before), makes_room=True)
        return total

    async def remove_to_size(self, size: int) -> int:
        """Remove the oldest records until the others need at most ``size`` bytes, in steps as `remove_before`."""
        total = 0
        while removed := await self._submit(lambda connection: _remove_oldest(connection, size), makes_room=True):
            total += removed
        return total

    async def newest_arrival(self) -> int | None:
        """Return when the last record was received."""
        found = await self.select("SELECT received_at FROM logs ORDER BY id DESC LIMIT 1")
        return int(found[0][0]) if found else None

    async def check_writable(self) -> None:
        """Write and remove an entry; raise `StoreUnavailable` if that is not possible, or if a batch would not fit."""
        if not self._file.has_free_space():
            raise DiskFull("the disk of the database is full")
        await self._submit(_try_to_write)

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
        makes_room = sql.lstrip().upper().startswith("DELETE")
        statement = _numbered(sql)
        return await self._submit(
            lambda connection: connection.execute(statement, arguments).rowcount, makes_room=makes_room
        )

    async def delete(self, condition: str, arguments: Sequence[Any]) -> int:
        """Delete the records that meet a condition, in steps; between them, batches are stored."""
        first, last = (await self.select("SELECT min(id), max(id) FROM logs"))[0]
        total = 0
        for begin in range(first or 0, (last or -1) + 1, _IDS_TOGETHER):
            ids = f"id >= {begin} AND id < {begin + _IDS_TOGETHER} AND id <= {last}"
            task = _deletion(f"DELETE FROM logs WHERE {ids} AND {_numbered(condition)}", arguments)
            total += await self._submit(task, makes_room=True)
        return total

    async def _submit(self, task: _Task, *, makes_room: bool = False) -> int:
        """Let the thread run ``task``; one that makes room may use the space in reserve."""
        if self._is_closed:
            raise StoreUnavailable("the database is closed")
        done: Future[int] = Future()
        self._pending.put(_Pending(task, done, makes_room))
        return await asyncio.shield(asyncio.wrap_future(done))

    def _run(self, opened: "Future[None]") -> None:
        try:
            self._file.open()
        except Exception as error:
            opened.set_exception(error)
            return
        opened.set_result(None)
        try:
            while self._write_next():
                pass
        finally:
            self._file.close()

    def _write_next(self) -> bool:
        """Write the next pending batches or task; return False if the store was closed."""
        batches: list[_Pending] = []
        item, records = self._pending.get(), 0
        while item is not None and isinstance(item.task, IncomingBatch):
            batches.append(item)
            records += len(item.task.rows)
            if records >= _MAX_COMMITTED_TOGETHER or self._pending.empty():
                _add_together(self._file, batches)
                return True
            item = self._pending.get()
        _add_together(self._file, batches)
        if item is not None:
            _run_alone(self._file, item)
        return item is not None


def _deletion(sql: str, arguments: Sequence[Any]) -> _Task:
    """Return a task that deletes records, and overwrites their place in the file."""

    def delete(connection: sqlite3.Connection) -> int:
        connection.execute("PRAGMA secure_delete = on")
        try:
            return connection.execute(sql, arguments).rowcount
        finally:
            connection.execute("PRAGMA secure_delete = off")

    return delete


def _numbered(sql: str) -> str:
    """Return ``sql`` with SQLite's placeholders, and without PostgreSQL's types."""
    return re.sub(r"\$(\d+)(::\w+)?", r"?\1", sql)


def _add_together(file: DatabaseFile, batches: list[_Pending]) -> None:
    """Commit the batches together; after an error, each by itself, so that one bad batch does not affect the others."""
    if not batches:
        return
    try:
        with file.transaction() as connection:
            results = [_perform(connection, each.task) for each in batches]
    except DiskFull:  # A smaller batch may fit.
        for each in batches:
            _run_alone(file, each)
    except StoreUnavailable as error:
        for each in batches:
            each.done.set_exception(error)
    except Exception:
        for each in batches:
            _run_alone(file, each)
    else:
        for each, result in zip(batches, results, strict=True):
            each.done.set_result(result)


def _run_alone(file: DatabaseFile, item: _Pending) -> None:
    try:
        result = _run_with_reserve(file, item)
    except sqlite3.Error as error:
        item.done.set_exception(StoreUnavailable(f"the database cannot write: {error}"))
    except Exception as error:
        item.done.set_exception(error)
    else:
        item.done.set_result(result)


def _run_with_reserve(file: DatabaseFile, item: _Pending) -> AddResult | int:
    """Perform a task; one that makes room may use the space in reserve, and restores it afterwards."""
    try:
        with file.transaction() as connection:
            result = _perform(connection, item.task)
    except DiskFull:
        if not item.makes_room or not file.use_reserve():
            raise
        with file.transaction() as connection:
            result = _perform(connection, item.task)
    if item.makes_room:
        file.restore_reserve()
    return result


def _perform(connection: sqlite3.Connection, task: IncomingBatch | _Task) -> AddResult | int:
    return _add(connection, task) if isinstance(task, IncomingBatch) else task(connection)


def _add(connection: sqlite3.Connection, batch: IncomingBatch) -> AddResult:
    now = time.time_ns() // 1000
    for larger in batch.part_of:
        if _insert_batch(connection, larger, now, STORED_IN_PARTS):
            continue
        if _stored_batch(connection, larger)[0] != STORED_IN_PARTS:
            return AddResult(0, duplicate=True)
    if batch.batch_id is not None and not _insert_batch(connection, batch.batch_id, now, len(batch.rows), batch.digest):
        return result_of_stored(batch, *_stored_batch(connection, batch.batch_id))
    new_record = f"INSERT INTO logs (received_at, {', '.join(batch.columns)}) VALUES (?{', ?' * len(batch.columns)})"
    connection.executemany(new_record, [(now, *row) for row in batch.rows])
    client = batch.client
    sender = (client.id, client.service, client.host) if client else (None, None, None)
    connection.executemany(_NEW_LOSS, [(now, *sender, loss.reason, loss.records, loss.since) for loss in batch.losses])
    if client:
        values = (client.id, client.name, client.service, client.environment, client.host, now, now)
        connection.execute(_UPSERT_CLIENT, values)
    return AddResult(len(batch.rows))


def _insert_batch(
    connection: sqlite3.Connection, batch_id: str, now: int, records: int, digest: bytes | None = None
) -> bool:
    """Insert a batch; return False if its id is stored already."""
    return connection.execute(_NEW_BATCH, (batch_id, now, records, digest)).rowcount > 0


def _stored_batch(connection: sqlite3.Connection, batch_id: str) -> tuple[int, bytes | None]:
    """Return the number of records of a stored batch, and their digest."""
    records, digest = connection.execute(_STORED_BATCH, (batch_id,)).fetchone()
    return records, digest


def _remove_records(connection: sqlite3.Connection, before: int) -> int:
    soon = time.time_ns() // 1000 + 2 * 86_400_000_000
    return connection.execute(_REMOVE_RECORDS, {"before": before, "soon": soon}).rowcount


def _remove_oldest(connection: sqlite3.Connection, size: int) -> int:
    if connection.execute(_USED_SIZE).fetchone()[0] <= size:
        return 0
    return connection.execute(_REMOVE_OLDEST).rowcount


def _try_to_write(connection: sqlite3.Connection) -> int:
    new_batch = "INSERT OR IGNORE INTO batches (batch_id, received_at, records) VALUES (?, ?, 0)"
    connection.execute(new_batch, (TRIAL_ID, time.time_ns() // 1000))
    return connection.execute("DELETE FROM batches WHERE batch_id = ?", (TRIAL_ID,)).rowcount


def _remove_other_entries(connection: sqlite3.Connection, before: int) -> int:
    batches_before = min(before, time.time_ns() // 1000 - _MIN_BATCH_MEMORY)
    connection.execute("DELETE FROM batches WHERE received_at < ?", (batches_before,))
    connection.execute("DELETE FROM drops WHERE received_at < ?", (before,))
    connection.execute("DELETE FROM clients WHERE last_seen < ?", (before,))
    return 0

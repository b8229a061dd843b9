"""Keeps records in an SQLite file: one thread writes, and commits what waits together."""

import asyncio
import contextlib
import pathlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import Any

from concurrent_log.collector.store import IN_PARTS, Added, Batch, StoreAway, StoreUnusable, migrations

_BUSY = 10.0  # seconds to wait for another process that writes
_TOGETHER = 20_000  # records that are committed together at most, if so many wait
_REMOVED_TOGETHER = 5_000  # records that are removed between two batches
_REMEMBER = 14 * 86_400_000_000  # microseconds for which batches are known at least
_SEEN = 5_000_000  # microseconds to within which it is known when a client was last seen

_NEW_BATCH = "INSERT OR IGNORE INTO batches (batch_id, received_at, records) VALUES (?, ?, ?)"
_RECORDS_OF_BATCH = "SELECT records FROM batches WHERE batch_id = ?"
_NEW_DROP = """
    INSERT INTO drops (received_at, client_id, service, host, reason, records, since) VALUES (?, ?, ?, ?, ?, ?, ?)"""
_SEEN_CLIENT = f"""
    INSERT INTO clients (id, name, service, environment, host, first_seen, last_seen) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET last_seen = excluded.last_seen, name = excluded.name, service = excluded.service,
        environment = excluded.environment, host = excluded.host
    WHERE clients.last_seen < excluded.last_seen - {_SEEN}"""
_REMOVED = f"""
    DELETE FROM logs WHERE id IN (
        SELECT id FROM logs WHERE created_at < :before
        OR (created_at > :soon AND received_at < :before) LIMIT {_REMOVED_TOGETHER})"""

_Task = Callable[[sqlite3.Connection], int]


@dataclass(frozen=True)
class _Waiting:
    """What the thread is to do in a transaction of its own; batches are done together."""

    task: Batch | _Task
    done: "Future[Any]"


class SqliteStore:
    """Keeps records in the file ``path``, which is made, with its folder, where it is missing."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    async def open(self) -> None:
        """Open the file, and create or migrate the schema."""
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(opened,), name="concurrent_log store")
        self._thread.start()
        await asyncio.wrap_future(opened)

    async def close(self) -> None:
        """Commit what waits, and close the file."""
        self._is_closed = True
        self._waiting.put(None)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    async def is_ready(self) -> bool:
        """Return whether the file can be read, and the thread that writes it is there."""
        if self._thread is None or not self._thread.is_alive():
            return False
        try:
            return await asyncio.to_thread(self._is_readable)
        except sqlite3.Error:
            return False

    def _is_readable(self) -> bool:
        with contextlib.closing(self.reader()) as connection:
            return bool(connection.execute("SELECT count(*) FROM schema_version").fetchone())

    def reader(self) -> sqlite3.Connection:
        """Return a new connection that only reads, for any thread, but one at a time."""
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY, check_same_thread=False
        )
        connection.execute("PRAGMA query_only = on")
        return connection

    async def add(self, batch: Batch) -> Added:
        """Store ``batch``, and return after the commit."""
        if self._is_closed:
            raise StoreAway("the database is closed")
        done: Future[Added] = Future()
        self._waiting.put(_Waiting(batch, done))
        # Shielded: what is being written is written, whoever has gone away meanwhile.
        return await asyncio.shield(asyncio.wrap_future(done))

    async def prepare(self) -> None:
        """Do nothing: a file needs nothing for the days to come."""

    async def remove_before(self, day: date) -> int:
        """Remove what is from before ``day``, in UTC, in steps between which batches are stored."""
        before = int(datetime(day.year, day.month, day.day, tzinfo=timezone.utc).timestamp()) * 1_000_000
        total = 0
        while removed := await self._do(lambda connection: _remove(connection, before)):
            total += removed
        await self._do(lambda connection: _forget(connection, before))
        return total

    async def _do(self, task: _Task) -> int:
        """Let the thread do ``task``."""
        if self._is_closed:
            raise StoreAway("the database is closed")
        done: Future[int] = Future()
        self._waiting.put(_Waiting(task, done))
        return await asyncio.shield(asyncio.wrap_future(done))

    def _run(self, opened: "Future[None]") -> None:
        try:
            connection = _opened(self.path)
        except Exception as error:
            opened.set_exception(error)
            return
        opened.set_result(None)
        with contextlib.closing(connection):
            while self._write_next(connection):
                pass

    def _write_next(self, connection: sqlite3.Connection) -> bool:
        """Write what waits next, and return whether there is to be more."""
        batches: list[_Waiting] = []
        item, records = self._waiting.get(), 0
        while item is not None and isinstance(item.task, Batch):
            batches.append(item)
            records += len(item.task.rows)
            if records >= _TOGETHER or self._waiting.empty():
                _add_together(connection, batches)
                return True
            item = self._waiting.get()
        _add_together(connection, batches)
        if item is not None:
            _do_alone(connection, item)
        return item is not None


def _add_together(connection: sqlite3.Connection, batches: list[_Waiting]) -> None:
    """Commit the batches together; if that fails, each by itself, so that none suffers for another."""
    if not batches:
        return
    try:
        with _transaction(connection):
            results = [_perform(connection, each.task) for each in batches]
    except Exception:
        for each in batches:
            _do_alone(connection, each)
        return
    for each, result in zip(batches, results, strict=True):
        each.done.set_result(result)


def _do_alone(connection: sqlite3.Connection, item: _Waiting) -> None:
    try:
        with _transaction(connection):
            result = _perform(connection, item.task)
    except sqlite3.Error as error:
        item.done.set_exception(StoreAway(f"the database cannot write: {error}"))
    except Exception as error:
        item.done.set_exception(error)
    else:
        item.done.set_result(result)


def _perform(connection: sqlite3.Connection, task: Batch | _Task) -> Added | int:
    return _add(connection, task) if isinstance(task, Batch) else task(connection)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself after some errors, such as a full disk.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _add(connection: sqlite3.Connection, batch: Batch) -> Added:
    now = time.time_ns() // 1000
    for larger in batch.part_of:
        if not _is_new(connection, larger, now, IN_PARTS) and not _is_in_parts(connection, larger):
            return Added(0, duplicate=True)
    if batch.batch_id is not None and not _is_new(connection, batch.batch_id, now, len(batch.rows)):
        in_parts = _is_in_parts(connection, batch.batch_id)
        return Added(0, duplicate=not in_parts, in_parts=in_parts)
    new_record = f"INSERT INTO logs (received_at, {', '.join(batch.columns)}) VALUES (?{', ?' * len(batch.columns)})"
    connection.executemany(new_record, [(now, *row) for row in batch.rows])
    client = batch.client
    by = (client.id, client.service, client.host) if client else (None, None, None)
    connection.executemany(_NEW_DROP, [(now, *by, drop.reason, drop.records, drop.since) for drop in batch.drops])
    if client:
        who = (client.id, client.name, client.service, client.environment, client.host, now, now)
        connection.execute(_SEEN_CLIENT, who)
    return Added(len(batch.rows))


def _is_new(connection: sqlite3.Connection, batch_id: str, now: int, records: int) -> bool:
    return connection.execute(_NEW_BATCH, (batch_id, now, records)).rowcount > 0


def _is_in_parts(connection: sqlite3.Connection, batch_id: str) -> bool:
    return bool(connection.execute(_RECORDS_OF_BATCH, (batch_id,)).fetchone() == (IN_PARTS,))


def _remove(connection: sqlite3.Connection, before: int) -> int:
    soon = time.time_ns() // 1000 + 2 * 86_400_000_000
    return connection.execute(_REMOVED, {"before": before, "soon": soon}).rowcount


def _forget(connection: sqlite3.Connection, before: int) -> int:
    remembered = min(before, time.time_ns() // 1000 - _REMEMBER)
    connection.execute("DELETE FROM batches WHERE received_at < ?", (remembered,))
    connection.execute("DELETE FROM drops WHERE received_at < ?", (before,))
    connection.execute("DELETE FROM clients WHERE last_seen < ?", (before,))
    return 0


def _opened(path: pathlib.Path) -> sqlite3.Connection:
    """Return a connection that writes, with the schema as we know it."""
    try:
        path.absolute().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=_BUSY, isolation_level=None)
        try:
            connection.execute("PRAGMA auto_vacuum = incremental")  # what retention frees is used again
            connection.execute("PRAGMA journal_mode = wal")
            connection.execute("PRAGMA synchronous = full")  # what was committed survives the end of the power
            connection.execute("PRAGMA journal_size_limit = 67108864")
            connection.execute("PRAGMA cache_size = -65536")
            with _transaction(connection):
                _migrate(connection)
        except BaseException:
            connection.close()
            raise
    except (OSError, sqlite3.Error) as error:
        if "locked" in str(error):
            raise StoreAway(f"another process holds the database: {error}") from error
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

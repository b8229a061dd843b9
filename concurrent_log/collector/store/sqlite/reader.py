"""Reads records from SQLite, in a few threads with a connection each."""

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from concurrent_log.collector.store.interface import QueryTimeout, StoreUnavailable, TooManyQueries
from concurrent_log.collector.store.reader import (
    MAX_RESULT_BYTES,
    QUERY_TIMEOUT,
    NewRecords,
    RecordReader,
    ResultRow,
    StoreSize,
    record_object,
    result_size,
    row_order,
    row_size,
)
from concurrent_log.collector.store.sql import statements
from concurrent_log.collector.store.sql.dialect import Statement
from concurrent_log.collector.store.sql.filters import Filters
from concurrent_log.collector.store.sqlite.dialect import SqliteDialect
from concurrent_log.collector.store.sqlite.store import SqliteStore
from concurrent_log.collector.store.sqlite.value_tests import add_functions

_CONNECTIONS = 4
_MAX_QUERIES = 64  # running or queued
_STEPS = 50_000  # instructions of SQLite's virtual machine between two checks of the deadline
_SIZE = """
    SELECT (page_count - freelist_count) * page_size,
        coalesce((SELECT max(id) FROM logs) - (SELECT min(id) FROM logs) + 1, 0)
    FROM pragma_page_count, pragma_freelist_count, pragma_page_size"""

_T = TypeVar("_T")


class SqliteReader(RecordReader):
    """Reads the records of a `SqliteStore`."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.dialect = SqliteDialect()
        self._threads = ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="concurrent_log reader")
        self._idle: list[tuple[int, sqlite3.Connection]] = []  # with the generation of the file
        self._queries = 0
        self._is_closed = False

    async def prepare(self) -> None:
        """Do nothing: queries depend on no property of the file."""

    async def close(self) -> None:
        """Interrupt pending queries, and close all connections."""
        self._is_closed = True
        await asyncio.to_thread(self._threads.shutdown)
        for _, connection in self._idle:
            connection.close()

    async def rows(self, statement: Statement, timeout: float = QUERY_TIMEOUT) -> list[ResultRow]:
        """Return the rows of a statement, up to `MAX_RESULT_BYTES`."""
        return await self._run(timeout, lambda connection: _fetch(connection, statement))

    async def _run(self, timeout: float, task: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run ``task`` in a thread; the timeout includes the time in the queue."""
        if self._is_closed:
            raise StoreUnavailable("the database is closed")
        if self._queries >= _MAX_QUERIES:
            raise TooManyQueries("too many queries at the same time: try again later")
        self._queries += 1
        try:
            loop, deadline, running = asyncio.get_running_loop(), time.monotonic() + timeout, _RunningQuery()
            timer = loop.call_later(timeout, running.interrupt)
            try:
                return await loop.run_in_executor(self._threads, self._run_in_thread, deadline, running, task)
            finally:
                timer.cancel()
        finally:
            self._queries -= 1

    def _run_in_thread(self, deadline: float, running: "_RunningQuery", task: Callable[[sqlite3.Connection], _T]) -> _T:
        with _translated_errors(), self._connection() as connection, running.using(connection):
            connection.set_progress_handler(lambda: self._is_closed or time.monotonic() > deadline, _STEPS)
            connection.execute("BEGIN")
            try:
                return task(connection)
            finally:
                connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Provide a connection; it is used again unless there was an error."""
        generation = self._store.generation
        connection = self._take_idle(generation) or self._connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._idle.append((generation, connection))

    def _take_idle(self, generation: int) -> sqlite3.Connection | None:
        """Return an idle connection; close those to a file that was replaced."""
        while self._idle:
            of, connection = self._idle.pop()
            if of == generation:
                return connection
            connection.close()
        return None

    def _connect(self) -> sqlite3.Connection:
        connection = self._store.connect_read_only()
        connection.isolation_level = None
        add_functions(connection)
        return connection

    async def position(self) -> int:
        """Return the last id: ids are in the order of commits, because only one process writes at a time."""
        return await self._run(QUERY_TIMEOUT, _last_id)

    async def new_records(self, filters: Filters, position: int, limit: int) -> NewRecords:
        """Return the latest ``limit`` records that were committed after a position."""
        return await self._run(QUERY_TIMEOUT, lambda connection: self._select_new(connection, filters, position, limit))

    def _select_new(self, connection: sqlite3.Connection, filters: Filters, position: int, limit: int) -> NewRecords:
        next_position = _last_id(connection)
        found = _fetch(connection, self._new_statement(filters, position, limit))
        count = len(found)
        if count == limit or result_size(found) > MAX_RESULT_BYTES:
            count = _fetch(connection, self._new_statement(filters, position, None))[0][0]
        records = [record_object(row) for row in sorted(found, key=row_order)]
        return NewRecords(records, count - len(found), next_position)

    def _new_statement(self, filters: Filters, position: int, limit: int | None) -> Statement:
        statement = Statement(self.dialect)
        is_new = f"logs.id > {statement.argument(position)}"
        return statements.complete_new_records(statement, filters, [is_new], limit)

    async def size(self) -> StoreSize:
        """Return the size of the file; the number of records is the distance from the first id to the last."""
        found = await self._run(QUERY_TIMEOUT, lambda connection: connection.execute(_SIZE).fetchone())
        return StoreSize(found[0], found[1], [])


class _RunningQuery:
    """Interrupts a query at its deadline, also while SQLite looks at one long text and checks no deadline."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    @contextlib.contextmanager
    def using(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Note which connection the query uses."""
        self._connection = connection
        try:
            yield
        finally:
            with self._lock:
                self._connection = None

    def interrupt(self) -> None:
        """Interrupt the query; any thread may call this."""
        with self._lock:
            if self._connection is not None:
                self._connection.interrupt()


def _fetch(connection: sqlite3.Connection, statement: Statement) -> list[ResultRow]:
    found: list[ResultRow] = []
    size = 0
    for row in connection.execute(statement.sql, statement.arguments):
        found.append(row)
        size += row_size(row)
        if size > MAX_RESULT_BYTES:
            break
    return found


def _last_id(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'logs'").fetchone()
    return int(row[0]) if row else 0


@contextlib.contextmanager
def _translated_errors() -> Iterator[None]:
    """Turn exceptions of sqlite3 into those of `RecordReader`."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            raise QueryTimeout("it takes too long: narrow the time range, with since and until") from None
        raise StoreUnavailable(f"the database cannot be read: {error}") from None
    except sqlite3.DatabaseError as error:
        raise StoreUnavailable(f"the database cannot be read: {error}") from None

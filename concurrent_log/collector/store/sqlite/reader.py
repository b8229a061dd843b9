"""Reads what is kept in SQLite."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from concurrent_log.collector.store import StoreAway
from concurrent_log.collector.store.reader import (
    PAGE_BYTES,
    SECONDS,
    Arrived,
    Reader,
    Row,
    Sizes,
    TooMany,
    TooSlow,
    in_order,
    record,
    row_size,
)
from concurrent_log.collector.store.sql import statements as query
from concurrent_log.collector.store.sql.dialects import SqliteDialect, folded_contains
from concurrent_log.collector.store.sql.statements import Filters, Statement
from concurrent_log.collector.store.sqlite.store import SqliteStore

_CONNECTIONS = 4
_WAITING = 64  # queries that may wait for a connection
_STEPS = 50_000  # of SQLite's machine, after which it asks whether to go on
_SIZES = """
    SELECT (page_count - freelist_count) * page_size,
        coalesce((SELECT max(id) FROM logs) - (SELECT min(id) FROM logs) + 1, 0)
    FROM pragma_page_count, pragma_freelist_count, pragma_page_size"""

_T = TypeVar("_T")


class SqliteReader(Reader):
    """Reads what a `SqliteStore` keeps, in threads with a connection each."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.dialect = SqliteDialect()
        self._threads = ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="concurrent_log reader")
        self._free: list[sqlite3.Connection] = []
        self._waiting = 0
        self._is_closed = False

    async def ready(self) -> None:
        """Do nothing: all that has to be known is here."""

    async def close(self) -> None:
        """Interrupt what is being read, and close all connections."""
        self._is_closed = True
        await asyncio.to_thread(self._threads.shutdown)
        for connection in self._free:
            connection.close()

    async def rows(self, statement: Statement, seconds: float = SECONDS) -> list[Row]:
        """Return the rows that a statement finds, until they are more than `PAGE_BYTES`."""
        return await self._do(seconds, lambda connection: _rows(connection, statement))

    async def _do(self, seconds: float, task: Callable[[sqlite3.Connection], _T]) -> _T:
        """Let a thread do ``task``, within ``seconds`` from now on."""
        if self._is_closed:
            raise StoreAway("the database is closed")
        if self._waiting >= _WAITING:
            raise TooMany("too many queries at the same time: try again later")
        self._waiting += 1
        try:
            loop, deadline = asyncio.get_running_loop(), time.monotonic() + seconds
            return await loop.run_in_executor(self._threads, self._do_here, deadline, task)
        finally:
            self._waiting -= 1

    def _do_here(self, deadline: float, task: Callable[[sqlite3.Connection], _T]) -> _T:
        with _saying_what_is_wrong(), self._connection() as connection:
            connection.set_progress_handler(lambda: self._is_closed or time.monotonic() > deadline, _STEPS)
            connection.execute("BEGIN")
            try:
                return task(connection)
            finally:
                connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Provide a connection; it is kept for the next one, unless something went wrong."""
        connection = self._free.pop() if self._free else self._connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._free.append(connection)

    def _connect(self) -> sqlite3.Connection:
        connection = self._store.reader()
        connection.isolation_level = None
        connection.create_function("folded_contains", 2, folded_contains, deterministic=True)
        return connection

    async def position(self) -> int:
        """Return the last id: they come in the order of the commits, since only one process writes at a time."""
        return await self._do(SECONDS, _last_id)

    async def arrived(self, filters: Filters, position: int, limit: int) -> Arrived:
        """Return the latest ``limit`` records that have been committed since."""
        return await self._do(SECONDS, lambda connection: self._arrived(connection, filters, position, limit))

    def _arrived(self, connection: sqlite3.Connection, filters: Filters, position: int, limit: int) -> Arrived:
        following = _last_id(connection)
        found = _rows(connection, self._arrivals(filters, position, limit))
        count = len(found)
        if count == limit or sum(map(row_size, found)) > PAGE_BYTES:
            count = _rows(connection, self._arrivals(filters, position, None))[0][0]
        return Arrived([record(row) for row in sorted(found, key=in_order)], count - len(found), following)

    def _arrivals(self, filters: Filters, position: int, limit: int | None) -> Statement:
        statement = Statement(self.dialect)
        return query.arrived(statement, filters, [f"logs.id > {statement.argument(position)}"], limit)

    async def sizes(self) -> Sizes:
        """Return how much there is; the number of records is the one of the ids between the first and the last."""
        found = await self._do(SECONDS, lambda connection: connection.execute(_SIZES).fetchone())
        return Sizes(found[0], found[1], [])


def _rows(connection: sqlite3.Connection, statement: Statement) -> list[Row]:
    found: list[Row] = []
    size = 0
    for row in connection.execute(statement.sql, statement.arguments):
        found.append(row)
        size += row_size(row)
        if size > PAGE_BYTES:
            break
    return found


def _last_id(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'logs'").fetchone()
    return int(row[0]) if row else 0


@contextlib.contextmanager
def _saying_what_is_wrong() -> Iterator[None]:
    """Turn what the database raises into what a `Reader` raises."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            raise TooSlow("it takes too long: narrow the time range, with since and until") from None
        raise StoreAway(f"the database cannot be read: {error}") from None
    except sqlite3.DatabaseError as error:
        raise StoreAway(f"the database cannot be read: {error}") from None

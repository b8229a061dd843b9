"""Chooses the implementation of the store: PostgreSQL or SQLite.

PostgreSQL's modules are imported only when they are needed, because they need asyncpg.
"""

import pathlib
import re

from concurrent_log.collector.store.interface import Store
from concurrent_log.collector.store.reader import RecordReader
from concurrent_log.collector.store.sqlite.reader import SqliteReader
from concurrent_log.collector.store.sqlite.store import SqliteStore


def create_store(database: str) -> Store:
    """Return a closed store for a ``postgresql://`` address or the path of an SQLite file."""
    if database.startswith(("postgresql://", "postgres://")):
        from concurrent_log.collector.store.postgres.store import PostgresStore

        return PostgresStore(database)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", database):
        # The text may have a password.
        raise ValueError("the database must be the path of a file or a postgresql:// address, not another kind of URL")
    return SqliteStore(pathlib.Path(database))


def create_reader(store: Store) -> RecordReader:
    """Return a reader for the records of ``store``."""
    if isinstance(store, SqliteStore):
        return SqliteReader(store)
    from concurrent_log.collector.store.postgres.reader import PostgresReader
    from concurrent_log.collector.store.postgres.store import PostgresStore

    assert isinstance(store, PostgresStore)
    return PostgresReader(store)

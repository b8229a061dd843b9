"""Where records are kept: one small interface, behind it PostgreSQL or SQLite.

All times are microseconds since 1970, as integers, in what is written and in what is read.
"""

import pathlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

# In place of how many records a batch has, where it is stored in parts.
IN_PARTS = -1

LEVELS = {"TRACE": 5, "DEBUG": 10, "INFO": 20, "WARN": 30, "ERROR": 40, "FATAL": 50}

COLUMNS = (
    "created_at",
    "level",
    "level_number",
    "service",
    "environment",
    "service_version",
    "log_type",
    "host",
    "process_id",
    "process_name",
    "thread_name",
    "logger",
    "function_name",
    "file_path",
    "line_number",
    "trace_id",
    "span_id",
    "user_id",
    "session_id",
    "error_type",
    "stack_trace",
    "path",
    "method",
    "action_type",
    "duration_ms",
    "sequence",
    "message",
    "attributes",
)
INTEGERS = frozenset({"created_at", "level_number", "process_id", "line_number", "sequence"})
FLOATS = frozenset({"duration_ms"})
TEXTS = tuple(name for name in COLUMNS if name not in INTEGERS | FLOATS | {"attributes"})

# One value for each column of its batch: text, integers, a float; None where empty. The first one, `created_at`, is in
# microseconds since 1970, and `attributes` is a JSON object as text, or None.
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Client:
    """Who sent a batch, for the health of the pipeline."""

    id: str
    name: str | None = None
    service: str | None = None
    environment: str | None = None
    host: str | None = None


@dataclass(frozen=True)
class Drop:
    """What a client lost for one reason; ``since`` is in microseconds since 1970."""

    reason: str
    records: int
    since: int


@dataclass(frozen=True)
class Batch:
    """What is stored together, or not at all.

    Attributes:
        part_of: The ids of what it was divided from, the whole first: where one of these is stored, so is the part, and
            where the part is stored, none of these is any more.
        columns: What the values of each row are: `COLUMNS`, or those of them that are not empty everywhere.
    """

    rows: Sequence[Row]
    batch_id: str | None = None
    client: Client | None = None
    drops: Sequence[Drop] = ()
    part_of: Sequence[str] = ()
    columns: Sequence[str] = COLUMNS


@dataclass(frozen=True)
class Added:
    """What became of a batch; ``rejected`` has the index and the reason of each row that the database refused.

    Where it is ``in_parts``, nothing is stored now, since parts of it are: it has to come in these parts.
    """

    stored: int
    duplicate: bool = False
    rejected: Sequence[tuple[int, str]] = field(default=())
    in_parts: bool = False


class StoreAway(Exception):  # noqa: N818 - a state, which passes
    """The database does not answer, or cannot write now: the same may be tried again later."""


class StoreUnusable(Exception):  # noqa: N818 - what is wrong with it is the message
    """The database cannot be used as it is: somebody has to do what the message says."""


class Store(Protocol):
    """Keeps records."""

    async def open(self) -> None:
        """Connect, and create or migrate the schema; raise `StoreAway` or `StoreUnusable`."""

    async def close(self) -> None:
        """Finish what was begun, and disconnect."""

    async def add(self, batch: Batch) -> Added:
        """Store ``batch``, and return after the commit; raise `StoreAway` where nothing is known to be stored."""

    async def prepare(self) -> None:
        """Make what the days to come need, so that no batch has to wait for it."""

    async def remove_before(self, day: date) -> int:
        """Remove what is from before ``day``, in UTC, and what is kept about such batches; return how many records."""

    async def is_ready(self) -> bool:
        """Return whether the database answers."""


def migrations(database: str) -> list[tuple[int, str]]:
    """Return the numbered steps of the schema for ``database``, such as ``sqlite``: each a number and its SQL."""
    files = (pathlib.Path(__file__).parent / database).glob("schema_*.sql")
    return sorted((int(file.stem.rpartition("_")[2]), file.read_text(encoding="utf-8")) for file in files)


def store_of(database: str) -> Store:
    """Return the store, not yet open, of a ``postgresql://`` address or of the path of an SQLite file."""
    if database.startswith(("postgresql://", "postgres://")):
        from concurrent_log.collector.store.postgres.store import PostgresStore

        return PostgresStore(database)
    from concurrent_log.collector.store.sqlite.store import SqliteStore

    return SqliteStore(pathlib.Path(database))

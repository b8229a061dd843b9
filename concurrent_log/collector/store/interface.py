"""The interface of a store: what the server passes to it, what it returns, and what it raises."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

from concurrent_log.collector.store.columns import COLUMNS, RecordRow

# `batches.records` of a batch that was stored in parts, instead of the number of its records.
STORED_IN_PARTS = -1

# The id of a batch that is stored for a moment, to see whether that is possible; it is too long for any client.
TRIAL_ID = "trial" * 50

# The reasons with which clients report records that are stored, but not as they were sent at first.
CHANGES = frozenset({"sent in a divided batch", "sent with shorter texts"})


@dataclass(frozen=True)
class Client:
    """The sender of a batch."""

    id: str
    name: str | None = None
    service: str | None = None
    environment: str | None = None
    host: str | None = None


@dataclass(frozen=True)
class LossReport:
    """The number of records that a client lost for one reason, or changed for one of `CHANGES`.

    ``since`` is in microseconds since 1970.
    """

    reason: str
    records: int
    since: int


@dataclass(frozen=True)
class IncomingBatch:
    """Records that are stored in one transaction.

    Attributes:
        batch_id: A batch with the same id is stored once.
        part_of: The ids of the batches that this one was split from, the whole batch first. If one of them is stored,
            this part is a duplicate. After this part is stored, none of them can be stored.
        columns: The columns of ``rows``: `COLUMNS`, or those of them in which at least one row has a value.
        digest: The digest of the records as they were sent. Another one under a stored id is a conflict. None is never
            a conflict.
    """

    rows: Sequence[RecordRow]
    batch_id: str | None = None
    client: Client | None = None
    losses: Sequence[LossReport] = ()
    part_of: Sequence[str] = ()
    columns: Sequence[str] = COLUMNS
    digest: bytes | None = None


@dataclass(frozen=True)
class AddResult:
    """The result of adding a batch.

    Attributes:
        stored: The number of records that this call stored.
        duplicate: Whether the batch, or one that it is a part of, was stored before.
        rejected: The index of each row that the database rejected, and the reason.
        in_parts: Whether parts of the batch are stored already. Then nothing was stored, and the client must send the
            same parts again.
        conflict: Whether other records are stored under the id of the batch. Then nothing was stored.
    """

    stored: int
    duplicate: bool = False
    rejected: Sequence[tuple[int, str]] = field(default=())
    in_parts: bool = False
    conflict: bool = False


def result_of_stored(batch: IncomingBatch, records: int, digest: bytes | None) -> AddResult:
    """Return the result for a batch whose id is stored, with this number of records and this digest."""
    if records == STORED_IN_PARTS:
        return AddResult(0, in_parts=True)
    conflict = batch.digest is not None and digest is not None and batch.digest != digest
    return AddResult(0, duplicate=not conflict, conflict=conflict)


class StoreUnavailable(Exception):  # noqa: N818 - a temporary state, not a defect
    """The database does not respond, or cannot write at the moment; the caller may try again.

    Attributes:
        reason: What the database itself says, without its address. It is for the server's own log only.
    """

    reason: str = ""


class DiskFull(StoreUnavailable):
    """There is no room for the database to grow."""


class RemovalDelayed(StoreUnavailable):
    """Old records cannot be removed yet; ``removed`` is the number of those that are removed already."""

    def __init__(self, message: str, removed: int) -> None:
        super().__init__(message)
        self.removed = removed


class StoreUnusable(Exception):  # noqa: N818 - the message says what is wrong
    """The database cannot be used until an operator does what the message says; ``reason`` as above."""

    reason: str = ""


def full_reason(error: Exception) -> str:
    """Return the message of an error of a store, with what the database says, for the server's own log."""
    reason = getattr(error, "reason", "")
    message = str(error) or type(error).__name__
    return f"{message}: {reason}" if reason else message


class QueryTimeout(Exception):  # noqa: N818 - the request takes too long, nothing is broken
    """The query takes too long."""


class TooManyQueries(Exception):  # noqa: N818 - a temporary state, not a defect
    """Too many queries run at the same time."""


class Store(Protocol):
    """Stores batches of records, and removes old ones."""

    async def open(self) -> None:
        """Connect, and create or migrate the schema; raise `StoreUnavailable` or `StoreUnusable`."""

    async def close(self) -> None:
        """Finish pending work, and disconnect."""

    async def add(self, batch: IncomingBatch) -> AddResult:
        """Store ``batch``, and return after the commit.

        Raises:
            StoreUnavailable: The batch may or may not be stored. It is safe to add it again under the same id.
        """

    async def prepare(self) -> None:
        """Create ahead of time what the next days need, so that no batch has to wait for it."""

    async def remove_before(self, day: date) -> int:
        """Remove records from before ``day`` (UTC), and old entries about batches; return the number of records.

        Raises:
            RemovalDelayed: Others hold some of these records.
        """

    async def remove_to_size(self, size: int) -> int:
        """Remove the oldest records until the others need at most ``size`` bytes; like `remove_before`."""

    async def newest_arrival(self) -> int | None:
        """Return when the last record was received, in microseconds since 1970; None if there is none."""

    async def check_writable(self) -> None:
        """Raise `StoreUnavailable` or `StoreUnusable` if nothing can be written."""

    async def is_ready(self) -> bool:
        """Return whether the database responds."""

    async def select(self, sql: str, *arguments: Any) -> Sequence[Sequence[Any]]:
        """Return the rows of a small query; arguments are ``$1``, ``$2`` …, times are in microseconds since 1970.

        Raises:
            StoreUnavailable: The database does not respond.
        """

    async def execute(self, sql: str, *arguments: Any) -> int:
        """Run a statement like `select`, in a transaction of its own; return the number of affected rows."""

    async def delete(self, condition: str, arguments: Sequence[Any]) -> int:
        """Delete the records that meet a condition, in the SQL of the store or of `select`; return their number."""

"""Answers to what people ask, the same ones from both databases."""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec

from concurrent_log.collector.store import Store
from concurrent_log.collector.store.sql import statements as query
from concurrent_log.collector.store.sql.statements import Dialect, Filters, Place, Statement
from concurrent_log.collector.store.sqlite.store import SqliteStore

SECONDS = 10.0  # for one query
PAGE_BYTES = 8_000_000  # of records in one answer, after which it ends early
_LEAST = 0.1  # seconds for the last query of several
_BRIEFLY = 2.0  # seconds for counting everything, before only the newest are counted
_NEWEST = 100_000  # records that are counted instead
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_CREATED_AT, _ID, _RECEIVED_AT = (query.SELECTED.index(name) for name in ("created_at", "id", "received_at"))
_LONG = tuple(query.SELECTED.index(name) for name in ("message", "stack_trace", "attributes"))
_HOUR, _WEEK = 3_600_000_000, 604_800_000_000  # microseconds
_SAME_PROCESS = ("service", "host", "process_id")
_NO_ATTRIBUTES = msgspec.Raw(b"{}")

Row = Sequence[Any]


class TooSlow(Exception):  # noqa: N818 - a state of the question, not of the program
    """The question takes too long to answer."""


class TooMany(Exception):  # noqa: N818 - a state, which passes
    """Too many ask at the same time."""


@dataclass(frozen=True)
class Page:
    """Records in order, as JSON objects, and the place after which there are more, if there are."""

    records: list[dict[str, Any]]
    next: Place | None


@dataclass(frozen=True)
class Histogram:
    """How many records of each level there are in each step; times and the step are in microseconds."""

    since: int
    until: int
    step: int
    counts: list[tuple[int, dict[str, int]]]


@dataclass(frozen=True)
class Counted:
    """Values and how often they are there; ``is_sample`` if only the newest records were counted."""

    values: list[tuple[Any, int]]
    is_sample: bool


@dataclass(frozen=True)
class Arrived:
    """What has arrived since a position: records in order, how many were left out, and the next position."""

    records: list[dict[str, Any]]
    skipped: int
    position: Any


@dataclass(frozen=True)
class Partition:
    """A part of the table; the number of records is an estimate."""

    name: str
    bytes: int
    records: int


@dataclass(frozen=True)
class Sizes:
    """How much there is; the number of records is an estimate."""

    bytes: int
    records: int
    partitions: list[Partition]


class Reader(ABC):
    """Reads what a store keeps, without ever making it wait.

    Its methods raise `TooSlow` where the answer takes longer than `SECONDS`, `TooMany` where too many ask, and
    `StoreAway` where the database does not answer.
    """

    dialect: Dialect

    @abstractmethod
    async def ready(self) -> None:
        """Learn what has to be known of the database before anything is asked; the store is open."""

    @abstractmethod
    async def close(self) -> None:
        """Finish what was begun."""

    @abstractmethod
    async def rows(self, statement: Statement, seconds: float = SECONDS) -> list[Row]:
        """Return the rows that a statement finds, until they are more than `PAGE_BYTES`."""

    @abstractmethod
    async def position(self) -> Any:
        """Return where the records end that have arrived by now."""

    @abstractmethod
    async def arrived(self, filters: Filters, position: Any, limit: int) -> Arrived:
        """Return the latest ``limit`` records that have arrived since a position, each committed one once."""

    @abstractmethod
    async def sizes(self) -> Sizes:
        """Return how much there is, without counting it."""

    async def find(
        self, filters: Filters, *, limit: int, newest_first: bool = True, after: Place | None = None
    ) -> Page:
        """Return a page of records by time; it may be shorter than ``limit`` where records are large."""
        found = await self._first(filters, limit=limit, newest_first=newest_first, after=after)
        is_more = len(found) == limit or size(found) > PAGE_BYTES
        return Page([record(row) for row in found], place(found[-1]) if is_more else None)

    async def newest(self, filters: Filters, *, limit: int, after: Place | None, deadline: float) -> list[Row]:
        """Return `query.GROUPED` of the newest records that come after a place, until `time.monotonic()` says so."""
        columns = query.GROUPED
        return await self._first(
            filters, limit=limit, newest_first=True, after=after, columns=columns, deadline=deadline
        )

    async def _first(
        self,
        filters: Filters,
        *,
        limit: int,
        newest_first: bool,
        after: Place | None,
        columns: Sequence[str] = query.SELECTED,
        deadline: float | None = None,
    ) -> list[Row]:
        """Return the first rows after a place: those of the day in which they begin, if there are enough."""
        day = query.nearest_day(filters, newest_first, after, time.time_ns() // 1000)
        nearer = [day] if day is not None and self.dialect.has_partitions else []
        found: list[Row] = []
        for each in (*nearer, filters):
            statement = query.page(
                self.dialect, each, limit=limit, newest_first=newest_first, after=after, columns=columns
            )
            left = SECONDS if deadline is None else max(_LEAST, deadline - time.monotonic())
            found = await self.rows(statement, left)
            if len(found) == limit or size(found) > PAGE_BYTES:
                break
        return found

    async def end(self, now: int) -> int:
        """Return the time until which there are records, which is not before ``now``."""
        return max(now, await self._end_of_time(newest=True, otherwise=now) + 1)

    async def one(self, where: Place) -> dict[str, Any] | None:
        """Return the record at a place."""
        found = await self.rows(query.one(self.dialect, where))
        return record(found[0]) if found else None

    async def context(self, where: Place, *, before: int, after: int) -> list[dict[str, Any]] | None:
        """Return the record at a place among those of the same process, oldest first; None where there is none."""
        found = await self.rows(query.one(self.dialect, where))
        if not found:
            return None
        same = {name: found[0][query.SELECTED.index(name)] for name in _SAME_PROCESS}
        earlier = await self._next_to(where, same, before, newest_first=True)
        later = await self._next_to(where, same, after, newest_first=False)
        return [record(row) for row in [*reversed(earlier), found[0], *later]]

    async def _next_to(self, where: Place, same: dict[str, Any], limit: int, *, newest_first: bool) -> list[Row]:
        """Return the records next to a place, looking further only while there are too few nearby."""
        found: list[Row] = []
        for within in (_HOUR, _WEEK):
            if len(found) < limit:
                nearby = query.neighbours(
                    self.dialect, same, where, limit=limit, newest_first=newest_first, within=within
                )
                found = await self.rows(nearby)
        return found

    async def histogram(self, filters: Filters, buckets: int, now: int) -> Histogram:
        """Return how many records there are over time, in at most ``buckets`` steps.

        Where the filters do not say from when or until when, it is from the oldest or until the newest record.
        """
        since, until = filters.since, filters.until
        if since is None:
            since = await self._end_of_time(newest=False, otherwise=now)
        if until is None:
            until = await self.end(now)
        step, start, number = query.choose_step(since, until, buckets)
        counts: list[tuple[int, dict[str, int]]] = [(start + index * step, {}) for index in range(number)]
        if since < until:
            chosen = query.in_range(filters, since, until)
            for bucket, level, count in await self.rows(query.histogram(self.dialect, chosen, start, step)):
                counts[bucket][1][level] = count
        return Histogram(start, start + number * step, step, counts)

    async def _end_of_time(self, *, newest: bool, otherwise: int) -> int:
        found = await self.rows(query.end_of_time(self.dialect, newest=newest))
        return int(found[0][0]) if found else otherwise

    async def values(self, filters: Filters, name: str, limit: int) -> Counted:
        """Return the most frequent values of a column; of the newest records only, if all would take too long."""
        try:
            everything = query.values(self.dialect, filters, name, limit=limit)
            return Counted([(row[0], row[1]) for row in await self.rows(everything, _BRIEFLY)], False)
        except TooSlow:
            sample = query.values(self.dialect, filters, name, limit=limit, newest=_NEWEST)
            return Counted([(row[0], row[1]) for row in await self.rows(sample)], True)


def reader_of(store: Store) -> Reader:
    """Return what reads from a store."""
    # Imported here, since each needs packages, or a database, that the other one does not.
    if isinstance(store, SqliteStore):
        from concurrent_log.collector.store.sqlite.reader import SqliteReader

        return SqliteReader(store)
    from concurrent_log.collector.store.postgres.reader import PostgresReader
    from concurrent_log.collector.store.postgres.store import PostgresStore

    assert isinstance(store, PostgresStore)
    return PostgresReader(store)


def place(row: Row) -> Place:
    """Return where the record stands."""
    return Place(row[_CREATED_AT], row[_ID])


def in_order(row: Row) -> tuple[int, int]:
    """Return what rows are ordered by."""
    return row[_CREATED_AT], row[_ID]


def record(row: Row) -> dict[str, Any]:
    """Return the JSON object that a record comes back as; its attributes are JSON already."""
    found = {name: value for name, value in zip(query.SELECTED, row, strict=True) if value is not None and value != ""}
    attributes = found.pop("attributes", None)
    found["id"] = str(place(row))
    found["created_at"] = iso(row[_CREATED_AT])
    found["received_at"] = iso(row[_RECEIVED_AT])
    found["attributes"] = msgspec.Raw(attributes.encode()) if attributes else _NO_ATTRIBUTES
    return found


def iso(microseconds: int) -> str:
    """Return a time in ISO 8601 with microseconds and Z; what is beyond the years of a date, at their end."""
    try:
        moment = _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        moment = datetime.max if microseconds > 0 else datetime.min
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def size(rows: Sequence[Row]) -> int:
    """Return about how many bytes the rows are."""
    return sum(row_size(row) for row in rows)


def row_size(row: Row) -> int:
    """Return about how many bytes a row is."""
    return 500 + sum(len(row[index]) for index in _LONG if index < len(row) and row[index])

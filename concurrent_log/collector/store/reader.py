"""Queries for records; both databases return the same results."""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec

from concurrent_log.collector.store.interface import QueryTimeout
from concurrent_log.collector.store.sql import statements
from concurrent_log.collector.store.sql.dialect import Dialect, Statement
from concurrent_log.collector.store.sql.filters import Filters, RecordKey
from concurrent_log.collector.store.sql.histogram_steps import choose_step
from concurrent_log.collector.store.sql.statements import GROUPING_COLUMNS, RECORD_COLUMNS

QUERY_TIMEOUT = 10.0  # seconds
MAX_RESULT_BYTES = 8_000_000  # of records in one result; a larger one ends early
_MIN_TIMEOUT = 0.1  # seconds for the last of several queries
_COUNT_TIMEOUT = 2.0  # seconds for counting all records, before only the newest are counted
_SAMPLE_SIZE = 100_000  # records that are counted then
_ROW_OVERHEAD = 500  # bytes
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_CREATED_AT, _ID, _SEQUENCE = (RECORD_COLUMNS.index(name) for name in ("created_at", "id", "sequence"))
_RECEIVED_AT = RECORD_COLUMNS.index("received_at")
_SERVICE = RECORD_COLUMNS.index("service")
_LONG_COLUMNS = tuple(RECORD_COLUMNS.index(name) for name in ("message", "stack_trace", "attributes"))
_EARLIEST = 347_155_200_000_000  # 1981
_HOUR, _WEEK = 3_600_000_000, 604_800_000_000  # microseconds
_PROCESS_COLUMNS = ("service", "host", "process_id")
_NO_ATTRIBUTES = msgspec.Raw(b"{}")

ResultRow = Sequence[Any]


@dataclass(frozen=True)
class RecordPage:
    """Records in order, as JSON objects; ``next`` is the key after which there are more, or None."""

    records: list[dict[str, Any]]
    next: RecordKey | None


@dataclass(frozen=True)
class LevelHistogram:
    """The number of records of each level in each step; times and the step are in microseconds."""

    since: int
    until: int
    step: int
    counts: list[tuple[int, dict[str, int]]]


@dataclass(frozen=True)
class ValueCounts:
    """Values, and the number of records that have each; ``is_sample`` if only the newest records were counted."""

    values: list[tuple[Any, int]]
    is_sample: bool


@dataclass(frozen=True)
class NewRecords:
    """Records that arrived after a position, in order; the number of those left out; and the next position."""

    records: list[dict[str, Any]]
    skipped: int
    position: Any


@dataclass(frozen=True)
class PartitionSize:
    """The size of a part of the table; the number of records is an estimate."""

    name: str
    bytes: int
    records: int


@dataclass(frozen=True)
class StoreSize:
    """The size of the store; the number of records is an estimate."""

    bytes: int
    records: int
    partitions: list[PartitionSize]


class RecordReader(ABC):
    """Reads the records of a store, and never blocks its writes.

    The methods raise `QueryTimeout` if a query takes longer than `QUERY_TIMEOUT`, `TooManyQueries` if too many run at
    the same time, and `StoreUnavailable` if the database does not respond.
    """

    dialect: Dialect

    @abstractmethod
    async def prepare(self) -> None:
        """Read the properties of the database that queries depend on; the store must be open."""

    @abstractmethod
    async def close(self) -> None:
        """Finish or interrupt pending queries."""

    @abstractmethod
    async def rows(self, statement: Statement, timeout: float = QUERY_TIMEOUT) -> list[ResultRow]:
        """Return the rows of a statement, up to `MAX_RESULT_BYTES`."""

    @abstractmethod
    async def position(self) -> Any:
        """Return the position after all records that have arrived so far."""

    @abstractmethod
    async def new_records(self, filters: Filters, position: Any, limit: int) -> NewRecords:
        """Return the latest ``limit`` records that arrived after a position, each committed record once."""

    @abstractmethod
    async def size(self) -> StoreSize:
        """Return the size of the store, without counting records."""

    async def find(
        self, filters: Filters, *, limit: int, newest_first: bool = True, after: RecordKey | None = None
    ) -> RecordPage:
        """Return a page of records by time; it is shorter than ``limit`` if records are large."""
        found = await self._first(filters, limit=limit, newest_first=newest_first, after=after)
        is_more = len(found) == limit or result_size(found) > MAX_RESULT_BYTES
        return RecordPage([record_object(row) for row in found], record_key(found[-1]) if is_more else None)

    async def newest(
        self, filters: Filters, *, limit: int, after: RecordKey | None, deadline: float
    ) -> list[ResultRow]:
        """Return the `GROUPING_COLUMNS` of the newest records after a key; ``deadline`` is by `time.monotonic()`."""
        return await self._first(
            filters, limit=limit, newest_first=True, after=after, columns=GROUPING_COLUMNS, deadline=deadline
        )

    async def _first(
        self,
        filters: Filters,
        *,
        limit: int,
        newest_first: bool,
        after: RecordKey | None,
        columns: Sequence[str] = RECORD_COLUMNS,
        deadline: float | None = None,
    ) -> list[ResultRow]:
        """Return the first rows after a key, from the first day alone if it has enough of them."""
        day = statements.narrow_to_first_day(filters, newest_first, after, time.time_ns() // 1000)
        narrow = [day] if day is not None and self.dialect.has_partitions else []
        found: list[ResultRow] = []
        for each in (*narrow, filters):
            statement = statements.select_page(
                self.dialect, each, limit=limit, newest_first=newest_first, after=after, columns=columns
            )
            timeout = QUERY_TIMEOUT if deadline is None else max(_MIN_TIMEOUT, deadline - time.monotonic())
            found = await self.rows(statement, timeout)
            if len(found) == limit or result_size(found) > MAX_RESULT_BYTES:
                break
        return found

    async def end_time(self, now: int, services: Sequence[str] = ()) -> int:
        """Return a time after all records, of all services or some, at least ``now``."""
        return max(now, await self._boundary_time(newest=True, default=now, services=services) + 1)

    async def get(self, key: RecordKey, services: Sequence[str] = ()) -> dict[str, Any] | None:
        """Return the record with a key, or None; with ``services``, only a record of one of them."""
        found = await self._record(key, services)
        return record_object(found[0]) if found else None

    async def _record(self, key: RecordKey, services: Sequence[str]) -> list[ResultRow]:
        found = await self.rows(statements.select_record(self.dialect, key))
        return [row for row in found if not services or row[_SERVICE] in services]

    async def context(
        self, key: RecordKey, *, before: int, after: int, services: Sequence[str] = ()
    ) -> list[dict[str, Any]] | None:
        """Return a record and its neighbours from the same process, oldest first; None if `get` returns None."""
        found = await self._record(key, services)
        if not found:
            return None
        key = record_key(found[0])
        same = {name: found[0][RECORD_COLUMNS.index(name)] for name in _PROCESS_COLUMNS}
        earlier = await self._neighbours(key, same, before, newest_first=True)
        later = await self._neighbours(key, same, after, newest_first=False)
        return [record_object(row) for row in [*reversed(earlier), found[0], *later]]

    async def _neighbours(
        self, key: RecordKey, same: dict[str, Any], limit: int, *, newest_first: bool
    ) -> list[ResultRow]:
        """Return the records next to a key; search a longer time only if a short one has too few."""
        found: list[ResultRow] = []
        for within in (_HOUR, _WEEK):
            if len(found) < limit:
                statement = statements.select_neighbours(
                    self.dialect, same, key, limit=limit, newest_first=newest_first, within=within
                )
                found = await self.rows(statement)
        return found

    async def histogram(self, filters: Filters, buckets: int, now: int, services: Sequence[str] = ()) -> LevelHistogram:
        """Return the number of records over time, in at most ``buckets`` steps.

        Without ``since`` or ``until`` in the filters, it begins at the oldest record or ends at the newest, of all
        services or of ``services``. Records whose clock was wrong do not count for that: those of the future, and those
        from before 1981.
        """
        since, until = filters.since, filters.until
        if since is None:
            within = (_EARLIEST, now)
            since = await self._boundary_time(newest=False, default=now, within=within, services=services)
        if until is None:
            within = (now, now + _HOUR)
            newest = await self._boundary_time(newest=True, default=now, within=within, services=services)
            until = max(now, newest + 1)
        step, start, number = choose_step(since, until, buckets)
        counts: list[tuple[int, dict[str, int]]] = [(start + index * step, {}) for index in range(number)]
        if since < until:
            statement = statements.count_by_step(self.dialect, replace(filters, since=since, until=until), start, step)
            for bucket, level, count in await self.rows(statement):
                counts[bucket][1][level] = count
        return LevelHistogram(start, start + number * step, step, counts)

    async def _boundary_time(
        self, *, newest: bool, default: int, within: tuple[int, int] | None = None, services: Sequence[str]
    ) -> int:
        statement = statements.select_boundary_time(self.dialect, newest=newest, within=within, services=services)
        found = await self.rows(statement)
        return int(found[0][0]) if found else default

    async def values(self, filters: Filters, name: str, limit: int) -> ValueCounts:
        """Return the most frequent values of a column; of the newest records if counting all takes too long."""
        try:
            everything = statements.count_values(self.dialect, filters, name, limit=limit)
            return ValueCounts([(row[0], row[1]) for row in await self.rows(everything, _COUNT_TIMEOUT)], False)
        except QueryTimeout:
            sample = statements.count_values(self.dialect, filters, name, limit=limit, newest=_SAMPLE_SIZE)
            return ValueCounts([(row[0], row[1]) for row in await self.rows(sample)], True)


def record_key(row: ResultRow) -> RecordKey:
    """Return the key of a row."""
    return RecordKey(row[_CREATED_AT], row[_ID], row[_SEQUENCE] or 0)


def row_order(row: ResultRow) -> tuple[int, int, int]:
    """Return the sort key of a row."""
    return record_key(row).order


def record_object(row: ResultRow) -> dict[str, Any]:
    """Return the JSON object of a row; its attributes are encoded already."""
    found = {name: value for name, value in zip(RECORD_COLUMNS, row, strict=True) if value is not None and value != ""}
    attributes = found.pop("attributes", None)
    found["id"] = str(record_key(row))
    found["created_at"] = iso_time(row[_CREATED_AT])
    found["received_at"] = iso_time(row[_RECEIVED_AT])
    found["attributes"] = msgspec.Raw(attributes.encode()) if attributes else _NO_ATTRIBUTES
    return found


def iso_time(microseconds: int) -> str:
    """Return a time in ISO 8601 with microseconds and Z; a year outside 1 to 9999 becomes the nearest of them."""
    try:
        moment = _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        moment = datetime.max if microseconds > 0 else datetime.min
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def result_size(rows: Sequence[ResultRow]) -> int:
    """Return the approximate size of the rows in bytes."""
    return sum(row_size(row) for row in rows)


def row_size(row: ResultRow) -> int:
    """Return the approximate size of a row in bytes."""
    return _ROW_OVERHEAD + sum(len(row[index]) for index in _LONG_COLUMNS if index < len(row) and row[index])

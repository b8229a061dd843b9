"""What people ask for, as SQL for both databases: nothing in it connects to one.

All text that people give becomes an argument of the statement. Only numbers are written into it, since both databases
use a partial index only where they see them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from concurrent_log.collector.store import COLUMNS, FLOATS, INTEGERS, LEVELS
from concurrent_log.collector.store.message_templates import READ

SELECTED = ("id", "received_at", *COLUMNS)
SEARCHED = ("message", "stack_trace", "error_type")
_LIST = ", ".join(SELECTED)

# What groups records that say the same; of the message no more than is looked at.
GROUPED = ("created_at", "id", "level", "service", "error_type", f"substr(message, 1, {READ + 1}) AS message")
# The logger of `concurrent_log.health`, whose records have an index of their own.
HEALTH = "concurrent_log.health"
_MOST_LOOKS = 24
_WRONG = LEVELS["WARN"]  # from which on levels have an index of their own
_DAY = 86_400_000_000  # microseconds
_DEEPEST = 5  # parts of an attribute's name that may be objects in each other
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,2})?")
_CONSTANTS = {"true": True, "false": False, "null": None}


@dataclass(frozen=True)
class Comparison:
    """A column or an attribute that must have a value, or must not."""

    key: str
    value: str
    is_equal: bool = True


@dataclass(frozen=True)
class Filters:
    """What must hold for a record that is asked for; times are in microseconds since 1970.

    Attributes:
        since: From when.
        until: To before when.
        level: The number of the lowest level.
        service: One of these, if there are any; so are ``environment`` and ``host``.
        trace_id: Exactly this.
        terms: Each of these, somewhere in the message, the stack trace or the type of the error.
        where: Each of these.
    """

    since: int | None = None
    until: int | None = None
    level: int | None = None
    service: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    host: tuple[str, ...] = ()
    trace_id: str | None = None
    terms: tuple[str, ...] = ()
    where: tuple[Comparison, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where a record stands among all others; as text it is the record's id."""

    created_at: int
    id: int

    def __str__(self) -> str:
        return f"{self.created_at}-{self.id}"


class Dialect(Protocol):
    """What the two databases say differently.

    Attributes:
        arrivals: The table, read by arrival.
        arrival: The order of arrival, the latest first.
        has_partitions: Whether each day is a table of its own, so that a query of few days is planned sooner.
    """

    arrivals: str
    arrival: str
    has_partitions: bool

    def table(self, index: str) -> str:
        """Return the table, read by an index if the database has to be told which."""

    def placeholder(self, number: int) -> str:
        """Return how the argument of this number is written; the first one is 1."""

    def contains(self, column: str, pattern: str, is_ascii: bool) -> str:
        """Return the condition that ``column`` is like the argument ``pattern``, upper and lower case alike."""

    def pattern(self, term: str) -> str:
        """Return the argument for `contains`."""

    def attribute_is(self, statement: "Statement", paths: Sequence[Sequence[str]], values: Sequence[Any]) -> str:
        """Return the condition that at one of ``paths`` is one of ``values``; it is never NULL."""

    def attribute_is_empty(self, statement: "Statement", paths: Sequence[Sequence[str]]) -> str:
        """Return the condition that there is nothing at any of ``paths``."""

    def microseconds(self, column: str) -> str:
        """Return the time in ``column`` as microseconds since 1970."""


@dataclass
class Statement:
    """SQL, and the arguments that belong to it."""

    dialect: Dialect
    sql: str = ""
    arguments: list[Any] = field(default_factory=list)

    def argument(self, value: Any) -> str:
        """Add an argument, and return how it is written."""
        self.arguments.append(value)
        return self.dialect.placeholder(len(self.arguments))


def page(
    dialect: Dialect,
    filters: Filters,
    *,
    limit: int,
    newest_first: bool,
    after: Place | None,
    columns: Sequence[str] = SELECTED,
) -> Statement:
    """Return what finds the first ``limit`` records that come after a place: some ``columns`` of them."""
    statement = Statement(dialect)
    conditions = _conditions(statement, filters)
    if after:
        conditions += _after(statement, after, newest_first)
    index, looks = _looks(statement, filters)
    every = [[*look, *conditions] for look in looks]
    statement.sql = _ordered(dialect.table(index), every, limit, newest_first, columns)
    return statement


def nearest_day(filters: Filters, newest_first: bool, after: Place | None, now: int) -> Filters | None:
    """Return the filters for the day in which a page begins; None where they go no further, or it is not known."""
    begin = after.created_at if after else None
    if newest_first:
        ends = [end for end in (filters.until, begin, now) if end is not None]
        since = min(ends) - _DAY
        return replace(filters, since=since) if filters.since is None or filters.since < since else None
    begins = [each for each in (filters.since, begin) if each is not None]
    if not begins:
        return None
    until = max(begins) + _DAY
    return replace(filters, until=until) if filters.until is None or filters.until > until else None


def one(dialect: Dialect, place: Place) -> Statement:
    """Return what finds one record."""
    statement = Statement(dialect)
    time, number = statement.argument(place.created_at), statement.argument(place.id)
    statement.sql = f"SELECT {_LIST} FROM logs WHERE created_at = {time} AND id = {number}"
    return statement


def neighbours(
    dialect: Dialect, same: dict[str, Any], place: Place, *, limit: int, newest_first: bool, within: int
) -> Statement:
    """Return what finds the ``limit`` records next to a place that have the values of ``same`` in these columns.

    They are looked for ``within`` so many microseconds.
    """
    statement = Statement(dialect)
    conditions = [
        f"{name} IS NULL" if value is None else f"{name} = {statement.argument(value)}" for name, value in same.items()
    ]
    conditions += _after(statement, place, newest_first)
    last, sign = (place.created_at - within, ">=") if newest_first else (place.created_at + within, "<=")
    conditions.append(f"created_at {sign} {statement.argument(max(0, last))}")
    levels = [[f"level_number = {level}", *conditions] for level in LEVELS.values()]
    statement.sql = _ordered(dialect.table("logs_by_service"), levels, limit, newest_first)
    return statement


def in_range(filters: Filters, since: int, until: int) -> Filters:
    """Return the same filters for another time range."""
    return replace(filters, since=since, until=until)


def histogram(dialect: Dialect, filters: Filters, start: int, step: int) -> Statement:
    """Return what counts the records by level and by the number of the step; step 0 begins at ``start``."""
    statement = Statement(dialect)
    conditions = _where([*_service_and_level(statement, filters), *_conditions(statement, filters)])
    bucket = f"({dialect.microseconds('created_at')} - ({start})) / {step}"
    statement.sql = f"SELECT {bucket} AS bucket, level, count(*) FROM logs {conditions} GROUP BY 1, 2"
    return statement


def values(dialect: Dialect, filters: Filters, name: str, *, limit: int, newest: int | None = None) -> Statement:
    """Return what counts the values of a column, the most frequent first; of the ``newest`` records only, if given."""
    statement = Statement(dialect)
    conditions = [*_service_and_level(statement, filters), *_conditions(statement, filters)]
    source = f"SELECT {name} FROM logs {_where(conditions)}"
    if newest:
        source += f" ORDER BY created_at DESC, id DESC LIMIT {newest}"
    statement.sql = (
        f"SELECT {name}, count(*) FROM ({source}) AS found WHERE {name} IS NOT NULL"
        f" GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {limit}"
    )
    return statement


def end_of_time(dialect: Dialect, *, newest: bool) -> Statement:
    """Return what finds the time of the newest, or the oldest, record of all."""
    return Statement(dialect, f"SELECT created_at FROM logs ORDER BY created_at {'DESC' if newest else 'ASC'} LIMIT 1")


def tally(dialect: Dialect, since: int | None) -> Statement:
    """Return what counts the records by service and level, with the time when the last one was received."""
    statement = Statement(dialect)
    conditions = _where([f"created_at >= {statement.argument(since)}"] if since is not None else [])
    statement.sql = f"SELECT service, level, count(*), max(received_at) FROM logs {conditions} GROUP BY 1, 2"
    return statement


def count_wrong(dialect: Dialect, since: int) -> Statement:
    """Return what counts the errors."""
    statement = Statement(dialect)
    since_then = f"created_at >= {statement.argument(since)}"
    statement.sql = f"SELECT count(*) FROM logs WHERE {since_then} AND level_number >= {LEVELS['ERROR']}"
    return statement


def count_received(dialect: Dialect, since: int, most: int) -> Statement:
    """Return what counts the records received, ``most`` at most."""
    statement = Statement(dialect)
    latest = f"SELECT received_at FROM {dialect.arrivals} ORDER BY {dialect.arrival} LIMIT {most}"
    statement.sql = f"SELECT count(*) FROM ({latest}) AS latest WHERE received_at >= {statement.argument(since)}"
    return statement


def drops(dialect: Dialect, since: int, limit: int) -> Statement:
    """Return what finds the clients that lost most, by reason."""
    statement = Statement(dialect)
    statement.sql = (
        "SELECT drops.client_id, clients.name, drops.service, drops.host, reason, CAST(sum(records) AS BIGINT),"
        " min(since), max(received_at) FROM drops LEFT JOIN clients ON clients.id = drops.client_id"
        f" WHERE received_at >= {statement.argument(since)} GROUP BY 1, 2, 3, 4, 5 ORDER BY 6 DESC LIMIT {limit}"
    )
    return statement


def arrived(statement: Statement, filters: Filters, conditions: Sequence[str], limit: int | None) -> Statement:
    """Complete a statement that finds the latest ``limit`` arrivals; without a limit, how many there are.

    ``conditions``, whose arguments are in the statement already, hold for them as well.
    """
    dialect = statement.dialect
    found = _where([*conditions, *_service_and_level(statement, filters), *_conditions(statement, filters)])
    if limit is None:
        statement.sql = f"SELECT count(*) FROM {dialect.arrivals} {found}"
    else:
        statement.sql = f"SELECT {_LIST} FROM {dialect.arrivals} {found} ORDER BY {dialect.arrival} LIMIT {limit}"
    return statement


def attribute_paths(key: str) -> list[list[str]]:
    """Return where the attribute ``a.b`` may be: under that name, or as ``b`` in the object ``a``."""
    parts = key.split(".")
    return [[key], parts] if 1 < len(parts) <= _DEEPEST else [[key]]


def attribute_values(value: str) -> list[Any]:
    """Return what an attribute may be that is asked for as ``value``: text, and the number or constant it writes."""
    if value in _CONSTANTS:
        return [value, _CONSTANTS[value]]
    if _INTEGER.fullmatch(value):
        return [value, int(value)]
    return [value, float(value)] if _NUMBER.fullmatch(value) else [value]


def _ordered(
    table: str, looks: Sequence[Sequence[str]], limit: int, newest_first: bool, columns: Sequence[str] = SELECTED
) -> str:
    """Return the SQL for the first ``limit`` records by time of those that any of the sets of conditions finds."""
    direction = "DESC" if newest_first else "ASC"
    tail = f"ORDER BY created_at {direction}, id {direction} LIMIT {limit}"
    parts = [f"SELECT {', '.join(columns)} FROM {table} {_where(look)} {tail}" for look in looks]
    if len(parts) == 1:
        return parts[0]
    union = " UNION ALL ".join(f"SELECT * FROM ({part}) AS look_{number}" for number, part in enumerate(parts))
    return f"SELECT * FROM ({union}) AS looks {tail}"


def _looks(statement: Statement, filters: Filters) -> tuple[str, list[list[str]]]:
    """Return an index in the order of time, and conditions on service and level for each look into it."""
    levels = [number for number in LEVELS.values() if filters.level is None or number >= filters.level]
    services = [service for service in dict.fromkeys(filters.service) if _is_storable(service)]
    if filters.trace_id is not None and _is_storable(filters.trace_id):
        return "logs_by_trace", [_service_and_level(statement, filters)]
    if Comparison("logger", HEALTH) in filters.where:
        return "logs_by_health", [[f"logger = '{HEALTH}'", *_service_and_level(statement, filters)]]
    if services and len(levels) * len(services) <= _MOST_LOOKS:
        names = [statement.argument(service) for service in services]
        looks = [[f"service = {name}", f"level_number = {level}"] for name in names for level in levels]
        return "logs_by_service", looks
    if filters.level is not None and filters.level >= _WRONG:
        return "logs_by_level", [[f"level_number >= {_WRONG}", *_service_and_level(statement, filters)]]
    return "logs_by_time", [_service_and_level(statement, filters)]


def _service_and_level(statement: Statement, filters: Filters) -> list[str]:
    conditions = _one_of(statement, "service", filters.service)
    if filters.level is not None:
        conditions.append(f"level_number >= {filters.level}")
    return conditions


def _conditions(statement: Statement, filters: Filters) -> list[str]:
    """Return what must hold besides service and level."""
    conditions = []
    if filters.since is not None:
        conditions.append(f"created_at >= {statement.argument(filters.since)}")
    if filters.until is not None:
        conditions.append(f"created_at < {statement.argument(filters.until)}")
    conditions += _one_of(statement, "environment", filters.environment)
    conditions += _one_of(statement, "host", filters.host)
    if filters.trace_id is not None:
        conditions += _one_of(statement, "trace_id", (filters.trace_id,))
    conditions += [_found(statement, term) for term in filters.terms]
    conditions += [_compared(statement, comparison) for comparison in filters.where]
    return conditions


def _where(conditions: Sequence[str]) -> str:
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def _after(statement: Statement, place: Place, newest_first: bool) -> list[str]:
    """Return conditions for what comes after a place; the one on time alone spares PostgreSQL whole partitions."""
    sign = "<" if newest_first else ">"
    time, number = statement.argument(place.created_at), statement.argument(place.id)
    return [f"created_at {sign}= {time}", f"(created_at, id) {sign} ({time}, {number})"]


def _is_storable(text: str) -> bool:
    """Return whether a record can have this text: PostgreSQL knows no NUL, so none is ever stored."""
    return "\0" not in text


def _one_of(statement: Statement, column: str, texts: Sequence[str]) -> list[str]:
    if not texts:
        return []
    arguments = [statement.argument(text) for text in dict.fromkeys(texts) if _is_storable(text)]
    if len(arguments) == 1:
        return [f"{column} = {arguments[0]}"]
    return [f"{column} IN ({', '.join(arguments)})" if arguments else "1 = 0"]


def _found(statement: Statement, term: str) -> str:
    if not _is_storable(term):
        return "1 = 0"
    dialect = statement.dialect
    pattern = statement.argument(dialect.pattern(term))
    return f"({' OR '.join(dialect.contains(column, pattern, term.isascii()) for column in SEARCHED)})"


def _compared(statement: Statement, comparison: Comparison) -> str:
    if comparison.key in COLUMNS and comparison.key != "attributes":
        condition = _column_is(statement, comparison.key, comparison.value)
    else:
        condition = _attribute_is(statement, comparison.key, comparison.value)
    return condition if comparison.is_equal else f"NOT {condition}"


def _column_is(statement: Statement, column: str, value: str) -> str:
    """Return a condition that is true or false, never NULL, so that it may be negated."""
    if value == "":
        return f"({column} IS NULL)" if column in INTEGERS | FLOATS else f"(COALESCE({column}, '') = '')"
    argument = _as_stored(column, value)
    if argument is None:
        return "(1 = 0)"
    return f"({column} IS NOT NULL AND {column} = {statement.argument(argument)})"


def _as_stored(column: str, value: str) -> Any:
    """Return ``value`` as it would be in ``column``, or None where it cannot be in it."""
    if column in INTEGERS:
        number = int(value) if _INTEGER.fullmatch(value) else None
        largest = 2**15 - 1 if column == "level_number" else 2**63 - 1
        return number if number is not None and abs(number) <= largest else None
    if column in FLOATS:
        return float(value) if _NUMBER.fullmatch(value) else None
    return value if _is_storable(value) else None


def _attribute_is(statement: Statement, key: str, value: str) -> str:
    if not _is_storable(key):
        return "(1 = 1)" if value == "" else "(1 = 0)"
    if value == "":
        return statement.dialect.attribute_is_empty(statement, attribute_paths(key))
    if not _is_storable(value):
        return "(1 = 0)"
    return statement.dialect.attribute_is(statement, attribute_paths(key), attribute_values(value))


def nice_steps() -> Iterator[int]:
    """Yield the steps that a histogram may have, in microseconds, each larger than the one before."""
    second, day = 1_000_000, 86_400_000_000
    for milliseconds in (1, 2, 5, 10, 20, 50, 100, 200, 500):
        yield milliseconds * 1000
    for seconds in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200):
        yield seconds * second
    days = 1
    while True:
        yield days * day
        days = {1: 2, 2: 7, 7: 14, 14: 28}.get(days, days * 2)


def choose_step(since: int, until: int, buckets: int) -> tuple[int, int, int]:
    """Return the smallest step of which ``buckets`` cover a time range, where the first begins, and their number."""
    for step in nice_steps():
        start = since // step * step
        number = max(1, -((start - until) // step))
        if number <= buckets:
            return step, start, number
    raise AssertionError("unreachable: the steps grow without end")

"""The SELECT statements of all queries."""

from collections.abc import Sequence
from dataclasses import replace

from concurrent_log.collector.store.columns import AUDIT_LOGGER, COLUMNS, LEVELS
from concurrent_log.collector.store.message_templates import READ_LENGTH
from concurrent_log.collector.store.sql.conditions import (
    after_conditions,
    all_conditions,
    is_storable,
    other_conditions,
    service_and_level_conditions,
    where_clause,
)
from concurrent_log.collector.store.sql.dialect import Dialect, Statement
from concurrent_log.collector.store.sql.filters import HEALTH_LOGGER, ORDER, Comparison, Filters, RecordKey

RECORD_COLUMNS = ("id", "received_at", *COLUMNS)
_RECORD_LIST = ", ".join(RECORD_COLUMNS)

# The columns by which records are grouped; no more of the message than is needed.
GROUPING_COLUMNS = (
    "created_at",
    "id",
    "sequence",
    "level",
    "service",
    "error_type",
    f"substr(message, 1, {READ_LENGTH + 1}) AS message",
)
_ORDER_COLUMNS = ("created_at", "sequence", "id")  # what the order of records depends on
_MAX_SCANS = 24  # index scans that one statement merges
_LOWEST_INDEXED_LEVEL = LEVELS["WARN"]  # The index logs_by_level begins here.
_DAY = 86_400_000_000  # microseconds


def select_page(
    dialect: Dialect,
    filters: Filters,
    *,
    limit: int,
    newest_first: bool,
    after: RecordKey | None,
    columns: Sequence[str] = RECORD_COLUMNS,
) -> Statement:
    """Select the first ``limit`` records after a key."""
    statement = Statement(dialect)
    conditions = other_conditions(statement, filters)
    if after:
        conditions += after_conditions(statement, after, newest_first)
    index, scans = _index_scans(statement, filters)
    merged = [[*scan, *conditions] for scan in scans]
    statement.sql = _merge_scans(dialect.table(index), merged, limit, newest_first, columns)
    return statement


def narrow_to_first_day(filters: Filters, newest_first: bool, after: RecordKey | None, now: int) -> Filters | None:
    """Return the filters for the day in which a page begins; None if they are not longer, or the day is unknown."""
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


def select_record(dialect: Dialect, key: RecordKey) -> Statement:
    """Select one record."""
    statement = Statement(dialect)
    time, number = statement.argument(key.created_at), statement.argument(key.id)
    statement.sql = f"SELECT {_RECORD_LIST} FROM logs WHERE created_at = {time} AND id = {number}"
    return statement


def select_neighbours(
    dialect: Dialect, same: dict[str, object], key: RecordKey, *, limit: int, newest_first: bool, within: int
) -> Statement:
    """Select the ``limit`` records next to a key, at most ``within`` microseconds away, with the values of ``same``."""
    statement = Statement(dialect)
    conditions = [
        f"{name} IS NULL" if value is None else f"{name} = {statement.argument(value)}" for name, value in same.items()
    ]
    conditions += after_conditions(statement, key, newest_first)
    last, sign = (key.created_at - within, ">=") if newest_first else (key.created_at + within, "<=")
    conditions.append(f"created_at {sign} {statement.argument(max(0, last))}")
    levels = [[f"level_number = {level}", *conditions] for level in LEVELS.values()]
    statement.sql = _merge_scans(dialect.table("logs_by_service"), levels, limit, newest_first)
    return statement


def count_by_step(dialect: Dialect, filters: Filters, start: int, step: int) -> Statement:
    """Count records by level and by the number of the step; step 0 begins at ``start``."""
    statement = Statement(dialect)
    where = where_clause(all_conditions(statement, filters))
    bucket = f"({dialect.microseconds('created_at')} - ({start})) / {step}"
    statement.sql = f"SELECT {bucket} AS bucket, level, count(*) FROM logs {where} GROUP BY 1, 2"
    return statement


def count_values(dialect: Dialect, filters: Filters, name: str, *, limit: int, newest: int | None = None) -> Statement:
    """Count the values of a column, most frequent first; if ``newest`` is given, of that many records."""
    statement = Statement(dialect)
    source = f"SELECT {name} FROM logs {where_clause(all_conditions(statement, filters))}"
    if newest:
        source += f" ORDER BY created_at DESC, id DESC LIMIT {newest}"
    statement.sql = (
        f"SELECT {name}, count(*) FROM ({source}) AS found WHERE {name} IS NOT NULL"
        f" GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {limit}"
    )
    return statement


def select_boundary_time(
    dialect: Dialect, *, newest: bool, within: tuple[int, int] | None = None, services: Sequence[str] = ()
) -> Statement:
    """Select the time of the newest or the oldest record, ``within`` a time range, and of ``services`` if any."""
    since, until = (None, None) if within is None else (within[0], within[1] + 1)
    filters = Filters(since=since, until=until, service=tuple(services))
    return select_page(dialect, filters, limit=1, newest_first=newest, after=None, columns=_ORDER_COLUMNS)


def deletable_condition(dialect: Dialect, filters: Filters) -> Statement:
    """Return the condition for the records that a deletion may delete: all that match, except those about deletions."""
    statement = Statement(dialect)
    conditions = [*all_conditions(statement, filters), f"COALESCE(logger, '') <> '{AUDIT_LOGGER}'"]
    statement.sql = " AND ".join(conditions)
    return statement


def count_deletable(dialect: Dialect, filters: Filters, until: int) -> Statement:
    """Count the records of `deletable_condition` before a time."""
    statement = deletable_condition(dialect, replace(filters, until=until))
    statement.sql = f"SELECT count(*) FROM logs WHERE {statement.sql}"
    return statement


def count_by_service_and_level(dialect: Dialect, since: int | None) -> Statement:
    """Count records by service and level, with the time when the last one was received."""
    statement = Statement(dialect)
    where = where_clause([f"created_at >= {statement.argument(since)}"] if since is not None else [])
    statement.sql = f"SELECT service, level, count(*), max(received_at) FROM logs {where} GROUP BY 1, 2"
    return statement


def count_errors(dialect: Dialect, since: int) -> Statement:
    """Count the records of level ERROR and above by service."""
    statement = Statement(dialect)
    conditions = f"created_at >= {statement.argument(since)} AND level_number >= {LEVELS['ERROR']}"
    statement.sql = f"SELECT service, count(*) FROM logs WHERE {conditions} GROUP BY 1"
    return statement


def count_received(dialect: Dialect, since: int, most: int) -> Statement:
    """Count the records that were received since a time, up to ``most``, by service."""
    statement = Statement(dialect)
    latest = f"SELECT service, received_at FROM {dialect.logs_by_arrival} ORDER BY {dialect.arrival_order} LIMIT {most}"
    since_then = f"received_at >= {statement.argument(since)}"
    statement.sql = f"SELECT service, count(*) FROM ({latest}) AS latest WHERE {since_then} GROUP BY 1"
    return statement


def sum_losses(dialect: Dialect, since: int, limit: int) -> Statement:
    """Add up the losses by client and reason, largest first."""
    statement = Statement(dialect)
    statement.sql = (
        "SELECT drops.client_id, clients.name, drops.service, drops.host, reason, CAST(sum(records) AS BIGINT),"
        " min(since), max(received_at) FROM drops LEFT JOIN clients ON clients.id = drops.client_id"
        f" WHERE received_at >= {statement.argument(since)} GROUP BY 1, 2, 3, 4, 5 ORDER BY 6 DESC LIMIT {limit}"
    )
    return statement


def list_senders(dialect: Dialect, since: int, limit: int) -> Statement:
    """List the programs that have sent since a time, by service and name, the latest first."""
    statement = Statement(dialect)
    statement.sql = (
        "SELECT service, name, count(*), max(last_seen) FROM clients"
        f" WHERE last_seen >= {statement.argument(since)} GROUP BY 1, 2 ORDER BY 4 DESC LIMIT {limit}"
    )
    return statement


def complete_new_records(
    statement: Statement, filters: Filters, conditions: Sequence[str], limit: int | None
) -> Statement:
    """Complete a statement that selects the latest ``limit`` new records; without a limit, counts them.

    ``conditions`` say what is new. Their arguments are in the statement already.
    """
    dialect = statement.dialect
    where = where_clause([*conditions, *all_conditions(statement, filters)])
    if limit is None:
        statement.sql = f"SELECT count(*) FROM {dialect.logs_by_arrival} {where}"
    else:
        order = f"ORDER BY {dialect.arrival_order} LIMIT {limit}"
        statement.sql = f"SELECT {_RECORD_LIST} FROM {dialect.logs_by_arrival} {where} {order}"
    return statement


def _merge_scans(
    table: str,
    scans: Sequence[Sequence[str]],
    limit: int,
    newest_first: bool,
    columns: Sequence[str] = RECORD_COLUMNS,
) -> str:
    """Return the SQL for the first ``limit`` records by time that any of the index scans finds."""
    direction = "DESC" if newest_first else "ASC"
    tail = f"ORDER BY {', '.join(f'{each} {direction}' for each in ORDER)} LIMIT {limit}"
    parts = [f"SELECT {', '.join(columns)} FROM {table} {where_clause(scan)} {tail}" for scan in scans]
    if len(parts) == 1:
        return parts[0]
    union = " UNION ALL ".join(f"SELECT * FROM ({part}) AS scan_{number}" for number, part in enumerate(parts))
    return f"SELECT * FROM ({union}) AS scans {tail}"


def _index_scans(statement: Statement, filters: Filters) -> tuple[str, list[list[str]]]:
    """Choose an index that is ordered by time; return it, and the conditions on service and level of each scan."""
    levels = [number for number in LEVELS.values() if filters.level is None or number >= filters.level]
    services = [service for service in dict.fromkeys(filters.service) if is_storable(service)]
    if filters.trace_id is not None and is_storable(filters.trace_id):
        return "logs_by_trace", [service_and_level_conditions(statement, filters)]
    if Comparison("logger", HEALTH_LOGGER) in filters.where:
        conditions = [f"logger = '{HEALTH_LOGGER}'", *service_and_level_conditions(statement, filters)]
        return "logs_by_health", [conditions]
    if services and len(levels) * len(services) <= _MAX_SCANS:
        names = [statement.argument(service) for service in services]
        scans = [[f"service = {name}", f"level_number = {level}"] for name in names for level in levels]
        return "logs_by_service", scans
    if filters.level is not None and filters.level >= _LOWEST_INDEXED_LEVEL:
        conditions = [f"level_number >= {_LOWEST_INDEXED_LEVEL}", *service_and_level_conditions(statement, filters)]
        return "logs_by_level", [conditions]
    return "logs_by_time", [service_and_level_conditions(statement, filters)]

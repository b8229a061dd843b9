"""The conditions of a WHERE clause, from filters."""

import re
from collections.abc import Sequence
from typing import Any

from concurrent_log.collector.store.columns import COLUMNS, FLOATS, INTEGERS
from concurrent_log.collector.store.sql.dialect import Statement
from concurrent_log.collector.store.sql.expression_conditions import expression_condition
from concurrent_log.collector.store.sql.filters import ORDER, Comparison, Filters, RecordKey

_MAX_NESTING = 5  # parts of an attribute's name that may be nested objects
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,2})?")
_CONSTANTS = {"true": True, "false": False, "null": None}


def where_clause(conditions: Sequence[str]) -> str:
    """Return ``WHERE`` and the conditions; an empty string if there are none."""
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def all_conditions(statement: Statement, filters: Filters) -> list[str]:
    """Return the conditions for all filters."""
    return [*service_and_level_conditions(statement, filters), *other_conditions(statement, filters)]


def service_and_level_conditions(statement: Statement, filters: Filters) -> list[str]:
    """Return the conditions on service and level."""
    conditions = _one_of(statement, "service", filters.service)
    if filters.level is not None:
        conditions.append(f"level_number >= {filters.level}")
    return conditions


def other_conditions(statement: Statement, filters: Filters) -> list[str]:
    """Return the conditions on everything except service and level."""
    conditions = []
    if filters.since is not None:
        conditions.append(f"created_at >= {statement.argument(filters.since)}")
    if filters.until is not None:
        conditions.append(f"created_at < {statement.argument(filters.until)}")
    conditions += _one_of(statement, "environment", filters.environment)
    conditions += _one_of(statement, "host", filters.host)
    if filters.trace_id is not None:
        conditions += _one_of(statement, "trace_id", (filters.trace_id,))
    conditions += [_compare(statement, comparison) for comparison in filters.where]
    if filters.expression is not None:
        conditions.append(expression_condition(statement, filters.expression))
    return conditions


def after_conditions(statement: Statement, key: RecordKey, newest_first: bool) -> list[str]:
    """Return the conditions for records after ``key``.

    The condition on the time alone lets PostgreSQL skip whole partitions.
    """
    sign = "<" if newest_first else ">"
    time = statement.argument(key.created_at)
    position = ", ".join([time, statement.argument(key.sequence), statement.argument(key.id)])
    return [f"created_at {sign}= {time}", f"({', '.join(ORDER)}) {sign} ({position})"]


def is_storable(text: str) -> bool:
    """Return whether a record can have this text: PostgreSQL has no NUL in text, so no record has one."""
    return "\0" not in text


def attribute_paths(key: str) -> list[list[str]]:
    """Return the paths at which the attribute ``a.b`` may be: that name, or ``b`` in the object ``a``."""
    parts = key.split(".")
    return [[key], parts] if 1 < len(parts) <= _MAX_NESTING else [[key]]


def attribute_values(value: str) -> list[Any]:
    """Return the JSON values that ``value`` may mean: the text, and the number or constant that it spells."""
    if value in _CONSTANTS:
        return [value, _CONSTANTS[value]]
    if _INTEGER.fullmatch(value):
        return [value, int(value)]
    return [value, float(value)] if _NUMBER.fullmatch(value) else [value]


def _one_of(statement: Statement, column: str, texts: Sequence[str]) -> list[str]:
    if not texts:
        return []
    arguments = [statement.argument(text) for text in dict.fromkeys(texts) if is_storable(text)]
    if len(arguments) == 1:
        return [f"{column} = {arguments[0]}"]
    return [f"{column} IN ({', '.join(arguments)})" if arguments else "1 = 0"]


def _compare(statement: Statement, comparison: Comparison) -> str:
    if comparison.key in COLUMNS and comparison.key != "attributes":
        condition = _column_is(statement, comparison.key, comparison.value)
    else:
        condition = _attribute_is(statement, comparison.key, comparison.value)
    return condition if comparison.is_equal else f"NOT {condition}"


def _column_is(statement: Statement, column: str, value: str) -> str:
    """Return a condition that is never NULL, so that it can be negated."""
    if value == "":
        return f"({column} IS NULL)" if column in INTEGERS | FLOATS else f"(COALESCE({column}, '') = '')"
    argument = _column_value(column, value)
    if argument is None:
        return "(1 = 0)"
    return f"({column} IS NOT NULL AND {column} = {statement.argument(argument)})"


def _column_value(column: str, value: str) -> Any:
    """Convert ``value`` to the type of ``column``; return None if the column cannot have that value."""
    if column in INTEGERS:
        number = int(value) if _INTEGER.fullmatch(value) else None
        largest = 2**15 - 1 if column == "level_number" else 2**63 - 1
        return number if number is not None and abs(number) <= largest else None
    if column in FLOATS:
        return float(value) if _NUMBER.fullmatch(value) else None
    return value if is_storable(value) else None


def _attribute_is(statement: Statement, key: str, value: str) -> str:
    if not is_storable(key):
        return "(1 = 1)" if value == "" else "(1 = 0)"
    if value == "":
        return statement.dialect.attribute_is_empty(statement, attribute_paths(key))
    if not is_storable(value):
        return "(1 = 0)"
    return statement.dialect.attribute_is(statement, attribute_paths(key), attribute_values(value))

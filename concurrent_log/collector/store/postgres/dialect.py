"""The SQL of PostgreSQL."""

import json
from collections.abc import Sequence
from typing import Any

from concurrent_log.collector.store.sql.dialect import Statement, like_pattern


class PostgresDialect:
    """Placeholders are ``$1``, text is matched by ILIKE, and ``attributes`` is JSONB.

    Args:
        collation: A collation that knows the upper and lower case of all letters.
    """

    logs_by_arrival = "logs"
    arrival_order = "received_at DESC, id DESC"
    has_partitions = True

    def __init__(self, collation: str = "C") -> None:
        self.collation = collation

    def table(self, index: str) -> str:
        """Return the table without a hint: the planner has statistics about the values."""
        return "logs"

    def placeholder(self, number: int) -> str:
        """Return ``$1`` for the first argument."""
        return f"${number}"

    def contains(self, column: str, pattern: str, is_ascii: bool) -> str:
        """Use collation C for ASCII text, because it is several times as fast."""
        collation = "C" if is_ascii else self.collation
        return f"""{column} COLLATE "{collation}" ILIKE {pattern}"""

    def pattern(self, term: str) -> str:
        """Return a pattern for ILIKE."""
        return like_pattern(term)

    def attribute_is(self, statement: Statement, paths: Sequence[Sequence[str]], values: Sequence[Any]) -> str:
        """Return the condition that ``attributes`` contains one of the objects with such a value."""
        objects = [json.dumps(_nested(path, value)) for path in paths for value in values]
        return f"COALESCE(attributes @> ANY ({statement.argument(objects)}::jsonb[]), FALSE)"

    def attribute_is_empty(self, statement: Statement, paths: Sequence[Sequence[str]]) -> str:
        """Return the condition that each path is absent, null or empty text."""
        empty = [
            f"COALESCE(attributes #> {statement.argument(list(path))}::text[], 'null') IN ('null', '\"\"')"
            for path in paths
        ]
        return f"({' AND '.join(empty)})"

    def microseconds(self, column: str) -> str:
        """Round to an integer: up to PostgreSQL 13, extract() returns a double."""
        return f"(extract(epoch FROM {column}) * 1000000)::bigint"


def _nested(path: Sequence[str], value: Any) -> Any:
    for name in reversed(path):
        value = {name: value}
    return value

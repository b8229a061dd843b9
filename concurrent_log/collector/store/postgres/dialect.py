"""The SQL of PostgreSQL."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from concurrent_log.collector.store.sql.conditions import attribute_paths
from concurrent_log.collector.store.sql.dialect import Statement
from concurrent_log.collector.store.sql.expressions import Like, Matches, Ordered, ValueTest
from concurrent_log.collector.store.sql.regular_expressions import for_postgres
from concurrent_log.collector.store.sql.spelt_numbers import SPELT_NUMBER
from concurrent_log.collector.store.sql.text_pattern import TextPattern

_SPELLS_NUMBER = f"~ '^{SPELT_NUMBER}$'"
_IS_SCALAR = "jsonb_typeof(leaf) NOT IN ('object', 'array')"


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

    def is_like(self, text: str, like: str, is_ascii: bool) -> str:
        """Use collation C for ASCII text, because it is several times as fast."""
        collation = "C" if is_ascii else self.collation
        return f"""{text} COLLATE "{collation}" ILIKE {like}"""

    def any_is_like(self, texts: Sequence[str], like: str, is_ascii: bool) -> str:
        """Return the condition that one of ``texts`` is LIKE a pattern."""
        return " OR ".join(self.is_like(text, like, is_ascii) for text in texts)

    def text_passes(self, statement: Statement, text: str, test: ValueTest) -> str:
        """Return the condition that ``text`` passes a test."""
        if isinstance(test, Like):
            return self.is_like(text, statement.argument(test.pattern.like), test.pattern.is_ascii)
        if isinstance(test, Matches):
            return f"""{text} COLLATE "{self.collation}" ~* {statement.argument(for_postgres(test.expression))}"""
        return self._is_ordered(statement, f"{text} {_SPELLS_NUMBER}", text, test)

    def _is_ordered(self, statement: Statement, is_number: str, text: str, test: Ordered) -> str:
        number = self.number(statement, test.number)
        return f"(CASE WHEN {is_number} THEN CAST({text} AS NUMERIC) END {test.sign} {number})"

    def number(self, statement: Statement, number: Decimal) -> str:
        """Pass the number as text, which has no largest number."""
        return f"CAST(CAST({statement.argument(format(number, 'f'))} AS TEXT) AS NUMERIC)"

    def number_text(self, column: str) -> str:
        """Return the number in ``column`` as text."""
        return f"CAST({column} AS TEXT)"

    def attributes_contain(self, like: str, pattern: TextPattern) -> str:
        """Look at the values if the pattern is found in the whole JSON text; that also has keys."""
        leaf = self.is_like("(leaf #>> '{}')", like, pattern.is_ascii)
        values = "jsonb_path_query(attributes, 'strict $.**') AS leaf"
        exists = f"EXISTS (SELECT 1 FROM {values} WHERE {_IS_SCALAR} AND {leaf})"
        if not pattern.is_plain_json:
            return exists
        return f"CASE WHEN {self.is_like('CAST(attributes AS TEXT)', like, pattern.is_ascii)} THEN {exists} END"

    def attribute_passes(self, statement: Statement, key: str, test: ValueTest | None) -> str:
        """Return the condition that an attribute, or one value in its list, passes a test."""
        conditions = [self._passes_at(statement, path, test) for path in attribute_paths(key)]
        return f"({' OR '.join(conditions)})"

    def _passes_at(self, statement: Statement, path: Sequence[str], test: ValueTest | None) -> str:
        parts, source = [], "attributes"
        conditions = []
        for number, name in enumerate(path):
            pattern = TextPattern((name,))
            parts.append(f"jsonb_each(CASE jsonb_typeof({source}) WHEN 'object' THEN {source} END) AS part_{number}")
            conditions.append(self.is_like(f"part_{number}.key", statement.argument(pattern.like), pattern.is_ascii))
            source = f"part_{number}.value"
        if test is None:
            conditions.append(f"{source} NOT IN ('null', '\"\"')")
        else:
            parts.append(f"jsonb_path_query({source}, '$[*]') AS leaf")
            conditions += [_IS_SCALAR, self._leaf_passes(statement, test)]
        return f"EXISTS (SELECT 1 FROM {', '.join(parts)} WHERE {' AND '.join(conditions)})"

    def _leaf_passes(self, statement: Statement, test: ValueTest) -> str:
        text = "(leaf #>> '{}')"
        if not isinstance(test, Ordered):
            return self.text_passes(statement, text, test)
        spelt = f"jsonb_typeof(leaf) = 'string' AND {text} {_SPELLS_NUMBER}"
        return self._is_ordered(statement, f"jsonb_typeof(leaf) = 'number' OR ({spelt})", text, test)

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

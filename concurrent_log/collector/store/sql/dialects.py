"""What PostgreSQL and SQLite say differently."""

import json
import re
from collections.abc import Sequence
from typing import Any

from concurrent_log.collector.store.sql.statements import Statement


class PostgresDialect:
    """Argument $1; ILIKE; ``attributes`` is JSONB.

    Args:
        collation: The collation that knows upper and lower case of all letters.
    """

    arrivals = "logs"
    arrival = "received_at DESC, id DESC"
    has_partitions = True

    def table(self, index: str) -> str:
        """Leave it to the planner, which knows how many records there are of what."""
        return "logs"

    def __init__(self, collation: str = "C") -> None:
        self.collation = collation

    def placeholder(self, number: int) -> str:
        """Return ``$1``."""
        return f"${number}"

    def contains(self, column: str, pattern: str, is_ascii: bool) -> str:
        """Compare in collation C where it is enough, since that is several times as fast."""
        collation = "C" if is_ascii else self.collation
        return f"""{column} COLLATE "{collation}" ILIKE {pattern}"""

    def pattern(self, term: str) -> str:
        """Return the pattern of text that has ``term`` in it."""
        return like_pattern(term)

    def attribute_is(self, statement: Statement, paths: Sequence[Sequence[str]], values: Sequence[Any]) -> str:
        """Ask whether ``attributes`` contains one of the objects that have such a value."""
        objects = [json.dumps(_nested(path, value)) for path in paths for value in values]
        return f"COALESCE(attributes @> ANY ({statement.argument(objects)}::jsonb[]), FALSE)"

    def attribute_is_empty(self, statement: Statement, paths: Sequence[Sequence[str]]) -> str:
        """Ask whether nothing, null or empty text is at each path."""
        empty = [
            f"COALESCE(attributes #> {statement.argument(list(path))}::text[], 'null') IN ('null', '\"\"')"
            for path in paths
        ]
        return f"({' AND '.join(empty)})"

    def microseconds(self, column: str) -> str:
        """Return the time as an integer; up to PostgreSQL 13, extract() returns a double, which is rounded here."""
        return f"(extract(epoch FROM {column}) * 1000000)::bigint"


class SqliteDialect:
    """Argument ?1; LIKE, which ignores the case of ASCII letters only; ``attributes`` is JSON as text."""

    arrivals = "logs NOT INDEXED"  # but by id: what is new is less than what any filter finds
    arrival = "id DESC"
    has_partitions = False

    def table(self, index: str) -> str:
        """Say which index: SQLite takes every condition on the time for one that leaves little."""
        return f"logs INDEXED BY {index}"

    def placeholder(self, number: int) -> str:
        """Return ``?1``."""
        return f"?{number}"

    def contains(self, column: str, pattern: str, is_ascii: bool) -> str:
        """Use LIKE where it is enough, since folded_contains() is a function in Python."""
        if is_ascii:
            return f"{column} LIKE {pattern} ESCAPE '\\'"
        return f"folded_contains({column}, {pattern})"

    def pattern(self, term: str) -> str:
        """Return the pattern of text that has ``term`` in it, or for letters beyond ASCII the folded term itself."""
        return like_pattern(term) if term.isascii() else fold(term)

    def attribute_is(self, statement: Statement, paths: Sequence[Sequence[str]], values: Sequence[Any]) -> str:
        """Ask whether at one of the paths is a value of the same type and content."""
        same = " OR ".join(_same_json(statement, value) for value in values)
        return f"({' OR '.join(_exists_at(statement, path, same) for path in paths)})"

    def attribute_is_empty(self, statement: Statement, paths: Sequence[Sequence[str]]) -> str:
        """Ask whether nothing but null or empty text is at the paths."""
        filled = "last.type <> 'null' AND (last.type <> 'text' OR last.value <> '')"
        return f"(NOT ({' OR '.join(_exists_at(statement, path, filled) for path in paths)}))"

    def microseconds(self, column: str) -> str:
        """Return the column, which is in microseconds."""
        return column


def like_pattern(term: str) -> str:
    r"""Return the pattern for LIKE of text that has ``term`` in it, whose wildcards are escaped with ``\``."""
    return "%" + re.sub(r"([\\%_])", r"\\\1", term) + "%"


def fold(text: str) -> str:
    """Return ``text`` in lower case, letter by letter, as databases do it: no letter depends on those around it."""
    return text.replace("İ", "i").replace("\N{GREEK CAPITAL LETTER SIGMA}", "\N{GREEK SMALL LETTER SIGMA}").lower()


def folded_contains(text: str | None, folded: str) -> bool:
    """Return whether ``folded`` is in ``text``, upper and lower case alike: a function for SQLite."""
    return text is not None and folded in fold(text)


def _nested(path: Sequence[str], value: Any) -> Any:
    for name in reversed(path):
        value = {name: value}
    return value


def _exists_at(statement: Statement, path: Sequence[str], condition: str) -> str:
    """Return whether a value at ``path`` fulfils a condition, in which ``last`` is its row of json_each().

    Not by json_extract(), whose paths cannot name every key.
    """
    names = [f"part_{number}" for number in range(len(path) - 1)] + ["last"]
    sources = ["json_each(logs.attributes)", *map(_members, names[:-1])]
    tables = ", ".join(f"{source} AS {name}" for source, name in zip(sources, names, strict=True))
    keys = [f"{name}.key = {statement.argument(key)}" for name, key in zip(names, path, strict=True)]
    return f"EXISTS (SELECT 1 FROM {tables} WHERE {' AND '.join(keys)} AND ({condition}))"


def _members(name: str) -> str:
    return f"json_each(CASE {name}.type WHEN 'object' THEN {name}.value ELSE '{{}}' END)"


def _same_json(statement: Statement, value: Any) -> str:
    if value is None or isinstance(value, bool):
        return f"last.type = '{json.dumps(value)}'"
    if isinstance(value, str):
        return f"(last.type = 'text' AND last.value = {statement.argument(value)})"
    if isinstance(value, int) and abs(value) >= 2**63:
        value = float(value)
    return f"(last.type IN ('integer', 'real') AND last.value = {statement.argument(value)})"

"""The SQL of SQLite."""

import json
import re
import sqlite3
from collections.abc import Sequence
from typing import Any

from concurrent_log.collector.store.sql.dialect import Statement, like_pattern

_LONG = 100_000  # characters


class SqliteDialect:
    """Placeholders are ``?1``; LIKE ignores the case of ASCII letters only; ``attributes`` is JSON as text."""

    logs_by_arrival = "logs NOT INDEXED"  # Read by id: new records are fewer than those that any index finds.
    arrival_order = "id DESC"
    has_partitions = False

    def table(self, index: str) -> str:
        """Name the index: SQLite assumes that every condition on the time leaves few rows."""
        return f"logs INDEXED BY {index}"

    def placeholder(self, number: int) -> str:
        """Return ``?1`` for the first argument."""
        return f"?{number}"

    def contains(self, column: str, pattern: str, is_ascii: bool) -> str:
        """Use LIKE for ASCII text, because folded_contains() is a function in Python.

        The time of LIKE is the product of both lengths, and nothing interrupts it; so long texts have another function.
        """
        if is_ascii:
            like = f"{column} LIKE {pattern} ESCAPE '\\'"
            return f"CASE WHEN length({column}) > {_LONG} THEN long_like({column}, {pattern}) ELSE {like} END"
        return f"folded_contains({column}, {pattern})"

    def pattern(self, term: str) -> str:
        """Return a pattern for LIKE, or the folded term for folded_contains()."""
        return like_pattern(term) if term.isascii() else fold(term)

    def attribute_is(self, statement: Statement, paths: Sequence[Sequence[str]], values: Sequence[Any]) -> str:
        """Return the condition that one of the paths has a value of the same type and content."""
        same = " OR ".join(_same_json(statement, value) for value in values)
        return f"({' OR '.join(_exists_at(statement, path, same) for path in paths)})"

    def attribute_is_empty(self, statement: Statement, paths: Sequence[Sequence[str]]) -> str:
        """Return the condition that each path is absent, null or empty text."""
        filled = "last.type <> 'null' AND (last.type <> 'text' OR last.value <> '')"
        return f"(NOT ({' OR '.join(_exists_at(statement, path, filled) for path in paths)}))"

    def microseconds(self, column: str) -> str:
        """Return the column, which is in microseconds already."""
        return column


def fold(text: str) -> str:
    """Return ``text`` in lower case, one letter at a time, as databases do: no letter depends on its neighbours."""
    return text.replace("İ", "i").replace("\N{GREEK CAPITAL LETTER SIGMA}", "\N{GREEK SMALL LETTER SIGMA}").lower()


def folded_contains(text: str | None, folded: str) -> bool:
    """Return whether ``text`` contains ``folded``, ignoring case: the SQL function of that name."""
    return text is not None and folded in fold(text)


def long_like(text: str | None, pattern: str) -> bool:
    """Return whether ``text`` is LIKE a pattern of `like_pattern`, in linear time: the SQL function of that name."""
    term = re.sub(r"\\(.)", r"\1", pattern[1:-1]).lower()
    return text is not None and term.encode() in text.encode("utf-8", "surrogatepass").lower()


def _exists_at(statement: Statement, path: Sequence[str], condition: str) -> str:
    """Return the condition that the value at ``path`` meets ``condition``; its row of json_each() is named ``last``.

    The paths of json_extract() cannot name every key.
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


def add_functions(connection: sqlite3.Connection) -> None:
    """Add the functions that the conditions of `SqliteDialect` use to a connection."""
    connection.create_function("folded_contains", 2, folded_contains, deterministic=True)
    connection.create_function("long_like", 2, long_like, deterministic=True)

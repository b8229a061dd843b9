"""The SQL of SQLite."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from concurrent_log.collector.store.sql.dialect import Statement
from concurrent_log.collector.store.sql.expressions import Like, ValueTest
from concurrent_log.collector.store.sql.text_pattern import TextPattern
from concurrent_log.collector.store.sqlite.value_tests import encode_test

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

    def is_like(self, text: str, like: str, is_ascii: bool) -> str:
        """Use LIKE for ASCII text, because text_is_like() is a function in Python.

        The time of LIKE is the product of both lengths, and nothing interrupts it; so long texts have the function too.
        """
        function = f"text_is_like({text}, {like})"
        if not is_ascii:
            return function
        return f"CASE WHEN length({text}) > {_LONG} THEN {function} ELSE {text} LIKE {like} ESCAPE '\\' END"

    def any_is_like(self, texts: Sequence[str], like: str, is_ascii: bool) -> str:
        """Call the function in Python once for all texts, if it is needed."""
        if is_ascii:
            return " OR ".join(self.is_like(text, like, is_ascii) for text in texts)
        return f"any_text_is_like({like}, {', '.join(texts)})"

    def text_passes(self, statement: Statement, text: str, test: ValueTest) -> str:
        """Return the condition that ``text`` passes a test."""
        if isinstance(test, Like):
            return self.is_like(text, statement.argument(test.pattern.like), test.pattern.is_ascii)
        return f"text_passes({text}, {statement.argument(encode_test(test))})"

    def number(self, statement: Statement, number: Decimal) -> str:
        """Pass a whole number as such, if SQLite has it."""
        is_whole = number == number.to_integral_value() and abs(number) < 2**63
        return statement.argument(int(number) if is_whole else float(number))

    def number_text(self, column: str) -> str:
        """Return the number in ``column`` as text."""
        return f"number_text({column})"

    def attributes_contain(self, like: str, pattern: TextPattern) -> str:
        """Look at the values if the pattern is found in the whole JSON text; that also has keys."""
        function = f"attributes_contain(attributes, {like})"
        if not pattern.is_plain_json or not pattern.is_ascii:
            return function
        return f"CASE WHEN {self.is_like('attributes', like, True)} THEN {function} END"

    def attribute_passes(self, statement: Statement, key: str, test: ValueTest | None) -> str:
        """Look into the attributes whose JSON text contains the key and the value; JSON may escape other letters."""
        found = [TextPattern.containing(key.partition(".")[0])]
        if isinstance(test, Like):
            found.append(TextPattern.containing(*test.pattern.parts))
        likes = [statement.argument(each.like) for each in found if each.is_plain_json and each.is_ascii]
        arguments = f"{statement.argument(key)}, {statement.argument(encode_test(test))}"
        function = f"attribute_passes(attributes, {arguments})"
        if not likes:
            return function
        is_possible = " AND ".join(self.is_like("attributes", like, True) for like in likes)
        return f"CASE WHEN {is_possible} THEN {function} END"

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

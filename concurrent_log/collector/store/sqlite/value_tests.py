"""The tests of values for SQLite, in Python: what its own functions cannot say about text and JSON."""

import functools
import json
import operator
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from concurrent_log.collector.store.sql.conditions import attribute_paths
from concurrent_log.collector.store.sql.expressions import Matches, Ordered, ValueTest
from concurrent_log.collector.store.sql.regular_expressions import is_found
from concurrent_log.collector.store.sql.spelt_numbers import spells_number
from concurrent_log.collector.store.sql.text_pattern import TextPattern, like_function

_Test = Callable[[Any], bool]  # of a scalar value in JSON


def encode_test(test: ValueTest | None) -> str:
    """Return a test as an argument for the functions of this module; None is the test for any value."""
    if isinstance(test, Ordered):
        return json.dumps([test.sign, format(test.number, "f")])
    if isinstance(test, Matches):
        return json.dumps(["matches", test.expression])
    return json.dumps(["has", ""] if test is None else ["like", test.pattern.like])


def text_is_like(text: str | None, like: str) -> bool:
    """Return whether a text is LIKE a pattern, ignoring case."""
    return text is not None and like_function(like)(text)


def any_text_is_like(like: str, *texts: str | None) -> bool:
    """Return whether one of the texts is LIKE a pattern, ignoring case."""
    is_like = like_function(like)
    return any(is_like(text) for text in texts if text)


def text_passes(text: str | None, test: str) -> bool:
    """Return whether a text passes an encoded test."""
    return text is not None and _decode_test(test)(text)


def number_text(number: float | None) -> str | None:
    """Return a number as text, as PostgreSQL writes it."""
    return None if number is None else repr(number).removesuffix(".0")


def attributes_contain(attributes: str | None, like: str) -> bool:
    """Return whether a value in the JSON text ``attributes`` is LIKE a pattern."""
    is_like = like_function(like)
    if attributes is None or ("\\" not in attributes and not is_like(attributes)):
        return False  # Without escapes, the text of a value is in that of the whole.
    return any(is_like(_text(leaf)) for leaf in _leaves(_decode(attributes)) if leaf is not None)


def attribute_passes(attributes: str | None, key: str, test: str) -> bool:
    """Return whether an attribute, or one value in its list, passes an encoded test."""
    passes = _decode_test(test)
    found = [_decode(attributes)]
    return any(passes(value) for path in attribute_paths(key) for value in _values_at(found, path))


@functools.lru_cache(maxsize=1000)
def _decode_test(test: str) -> _Test:
    kind, argument = json.loads(test)
    if kind == "has":
        return lambda value: value is not None and value != ""
    if kind == "like":
        return _of_scalars(lambda leaf: like_function(argument)(_text(leaf)))
    if kind == "matches":
        return _of_scalars(lambda leaf: is_found(argument, _text(leaf)))
    number, compare = Decimal(argument), _COMPARE[kind]
    return _of_scalars(lambda leaf: (found := _number(leaf)) is not None and compare(found, number))


def _of_scalars(test: _Test) -> _Test:
    """Return the test for a value that may be a list: one of its scalar values passes."""

    def passes(value: Any) -> bool:
        leaves = value if isinstance(value, list) else [value]
        return any(test(leaf) for leaf in leaves if leaf is not None and not isinstance(leaf, (list, dict)))

    return passes


_COMPARE: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _decode(attributes: str | None) -> Any:
    try:
        return {} if attributes is None else json.loads(attributes, parse_float=Decimal)
    except ValueError:  # such as a number of thousands of digits
        return {}


def _values_at(found: Sequence[Any], path: Sequence[str]) -> Sequence[Any]:
    """Return the values at a path, whose names may have any case."""
    for name in path:
        members = (member for each in found if isinstance(each, dict) for member in each.items())
        found = [value for key, value in members if _is_key(name, key)]
    return found


@functools.lru_cache(maxsize=10_000)
def _is_key(name: str, key: str) -> bool:
    return like_function(TextPattern((name,)).like)(key)


def _leaves(value: Any) -> Iterator[Any]:
    """Yield all scalar values in objects and lists."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        else:
            yield value


def _text(leaf: Any) -> str:
    """Return a scalar value as text, as PostgreSQL writes it."""
    if isinstance(leaf, str):
        return leaf
    if isinstance(leaf, Decimal):
        return format(leaf if leaf else abs(leaf), "f")
    return json.dumps(leaf)


def _number(leaf: Any) -> Decimal | None:
    """Return the number that a value is or spells."""
    if isinstance(leaf, str):
        return Decimal(leaf) if spells_number(leaf) else None
    return Decimal(leaf) if isinstance(leaf, (int, Decimal)) and not isinstance(leaf, bool) else None


def add_functions(connection: sqlite3.Connection) -> None:
    """Add the functions that the conditions of `SqliteDialect` use to a connection."""
    functions: list[tuple[Callable[..., Any], int]] = [
        (text_is_like, 2),
        (any_text_is_like, -1),
        (text_passes, 2),
        (number_text, 1),
        (attributes_contain, 2),
        (attribute_passes, 3),
    ]
    for function, arguments in functions:
        connection.create_function(function.__name__, arguments, function, deterministic=True)

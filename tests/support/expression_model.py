"""A model of the expressions of queries in plain Python, without the code of the package."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

from concurrent_log.collector.store.columns import COLUMNS
from concurrent_log.collector.store.sql.expressions import (
    AllOf,
    AnyOf,
    Expression,
    FieldIs,
    HasField,
    HasText,
    Like,
    Matches,
    Not,
    Ordered,
    ValueTest,
)
from concurrent_log.collector.store.sql.text_pattern import TextPattern
from support.letters import lower, lower_ascii

_SEARCHED = [
    "message",
    "stack_trace",
    "error_type",
    "logger",
    "host",
    "path",
    "trace_id",
    "span_id",
    "user_id",
    "session_id",
]
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,29})(\.\d{1,30})?", re.ASCII)


def is_true(expression: Expression, record: dict[str, Any]) -> bool:
    """Return whether an expression is true of a record, a dictionary with all columns."""
    if isinstance(expression, Not):
        return not is_true(expression.expression, record)
    if isinstance(expression, AllOf):
        return all(is_true(each, record) for each in expression.expressions)
    if isinstance(expression, AnyOf):
        return any(is_true(each, record) for each in expression.expressions)
    attributes = json.loads(record["attributes"] or "{}", parse_float=Decimal)
    if isinstance(expression, HasText):
        texts = [record[name] for name in _SEARCHED] + [_text(leaf) for leaf in _leaves(attributes)]
        return any(_is_like(text, expression.pattern) for text in texts if text is not None)
    return _field(expression, record, attributes)


def _field(expression: HasField | FieldIs, record: dict[str, Any], attributes: dict[str, Any]) -> bool:
    if expression.key in COLUMNS and expression.key != "attributes":
        values = [record[expression.key]]
    else:
        names = expression.key.split(".")
        values = list(_at(attributes, [expression.key]))
        values += _at(attributes, names) if len(names) <= 5 and len(names) > 1 else []
    if isinstance(expression, HasField):
        return any(value is not None and value != "" for value in values)
    scalars = [each for value in values for each in (value if isinstance(value, list) else [value])]
    return any(
        _passes(each, expression.test) for each in scalars if each is not None and not isinstance(each, (list, dict))
    )


def _at(value: Any, path: list[str]) -> Iterator[Any]:
    if not path:
        yield value
    elif isinstance(value, dict):
        for key, member in value.items():
            if _is_like(key, TextPattern((path[0],))):
                yield from _at(member, path[1:])


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif value is not None:
        yield value


def _passes(value: Any, test: ValueTest) -> bool:
    if isinstance(test, Like):
        return _is_like(_text(value), test.pattern)
    if isinstance(test, Matches):
        return re.search(_ascii_classes(test.expression), _text(value), re.IGNORECASE | re.DOTALL) is not None
    return _is_ordered(value, test)


def _is_ordered(value: Any, test: Ordered) -> bool:
    if isinstance(value, bool) or (isinstance(value, str) and not _NUMBER.fullmatch(value)):
        return False
    found, wanted = Fraction(value), Fraction(test.number)
    return {
        "=": found == wanted,
        "<": found < wanted,
        "<=": found <= wanted,
        ">": found > wanted,
        ">=": found >= wanted,
    }[test.sign]


def _is_like(text: str, pattern: TextPattern) -> bool:
    fold = lower_ascii if all(part.isascii() for part in pattern.parts) else lower
    expression = ".*".join(re.escape(fold(part)) for part in pattern.parts)
    return re.fullmatch(expression, fold(text), re.DOTALL) is not None


def _ascii_classes(expression: str) -> str:
    """Return the expression for `re`, whose classes would have more than ASCII letters."""
    edge = "(?:(?<=[A-Za-z0-9_])(?![A-Za-z0-9_])|(?<![A-Za-z0-9_])(?=[A-Za-z0-9_]))"
    for escape, meaning in [(r"\d", "[0-9]"), (r"[\w", "[A-Za-z0-9_"), (r"\W", "[^A-Za-z0-9_]"), (r"\b", edge)]:
        expression = expression.replace(escape, meaning)
    return expression


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):  # a column
        return repr(value).removesuffix(".0")
    return format(value, "f") if isinstance(value, Decimal) else json.dumps(value)

"""The SQL condition of an expression.

A condition may be NULL where a record lacks a value. That counts as false; only `Not` has to say so.
"""

from concurrent_log.collector.store.columns import COLUMNS, FLOATS, INTEGERS
from concurrent_log.collector.store.sql.dialect import Statement
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
)
from concurrent_log.collector.store.sql.text_pattern import TextPattern

SEARCHED_COLUMNS = (
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
)


def expression_condition(statement: Statement, expression: Expression) -> str:
    """Return the condition that an expression is true of a record."""
    if isinstance(expression, Not):
        return f"(NOT COALESCE({expression_condition(statement, expression.expression)}, 1 = 0))"
    if isinstance(expression, AllOf | AnyOf):
        word = " AND " if isinstance(expression, AllOf) else " OR "
        return f"({word.join(expression_condition(statement, each) for each in expression.expressions)})"
    if not _is_storable(expression):
        return "(1 = 0)"
    if isinstance(expression, HasText):
        return _has_text(statement, expression.pattern)
    if expression.key in COLUMNS and expression.key != "attributes":
        return _column(statement, expression)
    test = expression.test if isinstance(expression, FieldIs) else None
    return statement.dialect.attribute_passes(statement, expression.key, test)


def _is_storable(expression: HasText | HasField | FieldIs) -> bool:
    """Return whether a record can have such text: PostgreSQL has no NUL in text, so no record has one."""
    if isinstance(expression, HasText):
        return expression.pattern.is_storable
    test = expression.test if isinstance(expression, FieldIs) else None
    is_possible = test.pattern.is_storable if isinstance(test, Like) else True
    return is_possible and "\0" not in expression.key and not (isinstance(test, Matches) and "\0" in test.expression)


def _has_text(statement: Statement, pattern: TextPattern) -> str:
    dialect, like = statement.dialect, statement.argument(pattern.like)
    columns = dialect.any_is_like(SEARCHED_COLUMNS, like, pattern.is_ascii)
    return f"({columns} OR {dialect.attributes_contain(like, pattern)})"


def _column(statement: Statement, expression: FieldIs | HasField) -> str:
    column = expression.key
    is_number = column in INTEGERS | FLOATS
    if isinstance(expression, HasField):
        return f"({column} IS NOT NULL)" if is_number else f"({column} <> '')"
    test = expression.test
    if isinstance(test, Ordered):
        if not is_number:
            return statement.dialect.text_passes(statement, column, test)
        if column == "level_number":  # An index needs the number in the text of the condition.
            return f"({column} {test.sign} {int(test.number)})"
        if column == "created_at":
            return f"({column} {test.sign} {statement.argument(int(test.number))})"
        return f"({column} {test.sign} {statement.dialect.number(statement, test.number)})"
    text = statement.dialect.number_text(column) if is_number else column
    return statement.dialect.text_passes(statement, text, test)

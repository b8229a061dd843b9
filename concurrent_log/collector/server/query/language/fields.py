"""The conditions of a comparison: what its values mean depends on the field and on how they are written."""

from dataclasses import dataclass
from decimal import Decimal

from concurrent_log.collector.server.query.language.errors import QueryError
from concurrent_log.collector.server.query.levels import level_number
from concurrent_log.collector.server.query.quoting import quote_value
from concurrent_log.collector.server.query.times import time_in_microseconds
from concurrent_log.collector.store.columns import COLUMNS
from concurrent_log.collector.store.sql.expressions import (
    AnyOf,
    Expression,
    FieldIs,
    HasField,
    Like,
    Matches,
    Not,
    Ordered,
    OrderSign,
)
from concurrent_log.collector.store.sql.regular_expressions import check
from concurrent_log.collector.store.sql.spelt_numbers import spells_number
from concurrent_log.collector.store.sql.text_pattern import TextPattern

_NEGATED = {"!=": "=", "!~": "~"}


@dataclass(frozen=True)
class Operand:
    """A value in a comparison.

    Attributes:
        text: The value, without its quotation marks.
        is_quoted: Whether it had them.
        position: Its place in the query.
    """

    text: str
    is_quoted: bool
    position: int


@dataclass(frozen=True)
class FieldComparison:
    """A comparison of a field with one of several values."""

    key: str
    sign: str
    operands: tuple[Operand, ...]

    def expression(self) -> Expression:
        """Return the condition, or raise `QueryError`."""
        if self.sign in _NEGATED:
            return Not(FieldComparison(self.key, _NEGATED[self.sign], self.operands).expression())
        conditions = [self._condition(operand) for operand in self.operands]
        return conditions[0] if len(conditions) == 1 else AnyOf(tuple(conditions))

    def _condition(self, operand: Operand) -> Expression:
        try:
            if self.sign == "=":
                return _equal(self.key, operand)
            if self.sign == "~":
                check(operand.text)
                return FieldIs(self.key, Matches(operand.text))
            return _ordered(self.key, self.sign, operand.text)  # type: ignore[arg-type]  # the grammar has no other
        except ValueError as error:
            raise QueryError(operand.position, str(error)) from None


def is_column(key: str) -> bool:
    """Return whether a key is the name of a column, in letters of any case."""
    return key.lower() in COLUMNS and key.lower() != "attributes"


def field_name(key: str) -> str:
    """Return the column that is meant, in lower case, or the name of the attribute."""
    return key.lower() if is_column(key) else key


def _equal(key: str, operand: Operand) -> Expression:
    text = operand.text
    if text == "":
        return Not(HasField(key))
    if key == "created_at":
        return FieldIs(key, Ordered("=", Decimal(time_in_microseconds(text))))
    if not operand.is_quoted and "*" in text:
        return FieldIs(key, Like(TextPattern(tuple(text.split("*"))))) if text.strip("*") else HasField(key)
    if key == "level" and not operand.is_quoted:
        return FieldIs("level_number", Ordered("=", Decimal(level_number(text))))
    if not operand.is_quoted and spells_number(text):
        return FieldIs(key, Ordered("=", Decimal(text)))
    return FieldIs(key, Like(TextPattern((text,))))


def _ordered(key: str, sign: OrderSign, text: str) -> Expression:
    if key == "created_at":
        return FieldIs(key, Ordered(sign, Decimal(time_in_microseconds(text))))
    if key == "level":
        return FieldIs("level_number", Ordered(sign, Decimal(level_number(text))))
    if not spells_number(text):
        raise ValueError(f"{quote_value(text)} is not a number: {sign} compares numbers, levels and created_at")
    return FieldIs(key, Ordered(sign, Decimal(text)))

"""The expression of a query: which records it finds, as a tree of conditions."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

from concurrent_log.collector.store.sql.text_pattern import TextPattern

OrderSign = Literal["=", "<", "<=", ">", ">="]


@dataclass(frozen=True)
class Like:
    """The text of a value is like a pattern."""

    pattern: TextPattern


@dataclass(frozen=True)
class Ordered:
    """A number is equal to another, smaller or greater; text that spells a number counts as one."""

    sign: OrderSign
    number: Decimal


@dataclass(frozen=True)
class Matches:
    """A regular expression is found in the text of a value, regardless of case; see `regular_expressions`."""

    expression: str


ValueTest: TypeAlias = Like | Ordered | Matches


@dataclass(frozen=True)
class HasText:
    """Some text of the record, or of its attributes, is like a pattern."""

    pattern: TextPattern


@dataclass(frozen=True)
class HasField:
    """A column or an attribute has a value that is not empty text."""

    key: str


@dataclass(frozen=True)
class FieldIs:
    """A column or an attribute has a value that passes a test; of a list, one of its values."""

    key: str
    test: ValueTest


@dataclass(frozen=True)
class Not:
    """The expression is not true of a record; also because the record lacks the field."""

    expression: "Expression"


@dataclass(frozen=True)
class AllOf:
    """All of the expressions are true of a record."""

    expressions: tuple["Expression", ...]


@dataclass(frozen=True)
class AnyOf:
    """One of the expressions is true of a record."""

    expressions: tuple["Expression", ...]


Expression: TypeAlias = HasText | HasField | FieldIs | Not | AllOf | AnyOf

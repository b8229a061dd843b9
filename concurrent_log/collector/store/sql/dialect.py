"""A statement with its arguments, and the differences between the SQL of PostgreSQL and SQLite."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from concurrent_log.collector.store.sql.expressions import ValueTest
from concurrent_log.collector.store.sql.text_pattern import TextPattern


class Dialect(Protocol):
    """The differences between the two databases.

    Attributes:
        logs_by_arrival: The table `logs`, in a form that the database reads in the order of arrival.
        arrival_order: The ORDER BY expression for the order of arrival, newest first.
        has_partitions: Whether each day is a table of its own, so that a query for few days is planned faster.
    """

    logs_by_arrival: str
    arrival_order: str
    has_partitions: bool

    def table(self, index: str) -> str:
        """Return the table `logs`, with a hint for ``index`` if the database needs one."""

    def placeholder(self, number: int) -> str:
        """Return the placeholder for an argument; numbers start at 1."""

    def is_like(self, text: str, like: str, is_ascii: bool) -> str:
        """Return the condition that ``text`` is LIKE a pattern, ignoring case; that of ASCII letters if it is ASCII."""

    def any_is_like(self, texts: Sequence[str], like: str, is_ascii: bool) -> str:
        """Return the condition that one of ``texts`` is LIKE a pattern; see `is_like`."""

    def text_passes(self, statement: "Statement", text: str, test: ValueTest) -> str:
        """Return the condition that ``text`` passes a test."""

    def number(self, statement: "Statement", number: Decimal) -> str:
        """Add a number as an argument, and return its SQL."""

    def number_text(self, column: str) -> str:
        """Return the number in ``column`` as text."""

    def attributes_contain(self, like: str, pattern: TextPattern) -> str:
        """Return the condition that a value in ``attributes`` is like a pattern; ``like`` is its placeholder."""

    def attribute_passes(self, statement: "Statement", key: str, test: ValueTest | None) -> str:
        """Return the condition that an attribute passes a test, or that it has a value; the key may have any case."""

    def attribute_is(self, statement: "Statement", paths: Sequence[Sequence[str]], values: Sequence[Any]) -> str:
        """Return the condition that one of ``paths`` has one of ``values``; it is never NULL."""

    def attribute_is_empty(self, statement: "Statement", paths: Sequence[Sequence[str]]) -> str:
        """Return the condition that none of ``paths`` has a value."""

    def microseconds(self, column: str) -> str:
        """Return the time in ``column`` as microseconds since 1970."""


@dataclass
class Statement:
    """SQL text and its arguments."""

    dialect: Dialect
    sql: str = ""
    arguments: list[Any] = field(default_factory=list)

    def argument(self, value: Any) -> str:
        """Add an argument, and return its placeholder."""
        self.arguments.append(value)
        return self.dialect.placeholder(len(self.arguments))

"""A statement with its arguments, and the differences between the SQL of PostgreSQL and SQLite."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


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

    def contains(self, column: str, pattern: str, is_ascii: bool) -> str:
        """Return the condition that ``column`` matches the placeholder ``pattern``, ignoring case."""

    def pattern(self, term: str) -> str:
        """Return the argument for `contains`."""

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


def like_pattern(term: str) -> str:
    r"""Return the LIKE pattern for text that contains ``term``; wildcards in it are escaped with ``\``."""
    return "%" + re.sub(r"([\\%_])", r"\\\1", term) + "%"

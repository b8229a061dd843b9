"""The filters of a query, and the key of a record."""

from dataclasses import dataclass

# The logger of `concurrent_log.health`. Its records have an index of their own.
HEALTH_LOGGER = "concurrent_log.health"


@dataclass(frozen=True)
class Comparison:
    """A column or an attribute that must have a value, or must not have it."""

    key: str
    value: str
    is_equal: bool = True


@dataclass(frozen=True)
class Filters:
    """Conditions that a record must meet; times are in microseconds since 1970.

    Attributes:
        since: The earliest time.
        until: The time before which the records end.
        level: The number of the lowest level.
        service: The record's service is one of these; an empty tuple allows all. The same for ``environment`` and
            ``host``.
        trace_id: The exact trace id.
        terms: Each term occurs in the message, the stack trace or the error type.
        where: Each comparison holds.
    """

    since: int | None = None
    until: int | None = None
    level: int | None = None
    service: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    host: tuple[str, ...] = ()
    trace_id: str | None = None
    terms: tuple[str, ...] = ()
    where: tuple[Comparison, ...] = ()


@dataclass(frozen=True)
class RecordKey:
    """The position of a record in the order of time; as text, it is the record's id."""

    created_at: int
    id: int

    def __str__(self) -> str:
        return f"{self.created_at}-{self.id}"

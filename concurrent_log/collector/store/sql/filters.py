"""The filters of a query, and the key of a record."""

from dataclasses import dataclass, replace

from concurrent_log.collector.store.sql.expressions import Expression

# The logger of `concurrent_log.health`. Its records have an index of their own.
HEALTH_LOGGER = "concurrent_log.health"

# The order of records, as SQL. The indexes are sorted by time only; the databases sort the few records of one time.
ORDER = ("created_at", "coalesce(sequence, 0)", "id")

_NO_SERVICE = "\0"  # No record has this service, because no store can have it.


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
        where: Each comparison holds.
        expression: It is true of the record.
    """

    since: int | None = None
    until: int | None = None
    level: int | None = None
    service: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    host: tuple[str, ...] = ()
    trace_id: str | None = None
    where: tuple[Comparison, ...] = ()
    expression: Expression | None = None

    def within(self, services: tuple[str, ...]) -> "Filters":
        """Return the filters for records of these services only; an empty tuple allows all."""
        if not services:
            return self
        allowed = [each for each in self.service if each in services] if self.service else services
        return replace(self, service=tuple(allowed) or (_NO_SERVICE,))


@dataclass(frozen=True)
class RecordKey:
    """The position of a record in the order of `ORDER`; as text, it is the record's id.

    A clock may give the same time to many records, and different servers and connections assign the ids. Therefore the
    number of a record in its process comes before the id.

    Attributes:
        created_at: Its time.
        id: The number that the database has assigned.
        sequence: Its number in its process; 0 if it has none. It is not a part of the record's id.
    """

    created_at: int
    id: int
    sequence: int = 0

    def __str__(self) -> str:
        return f"{self.created_at}-{self.id}"

    @property
    def cursor(self) -> str:
        """The position as text."""
        return f"{self}.{self.sequence}" if self.sequence else str(self)

    @property
    def order(self) -> tuple[int, int, int]:
        """The key for sorting in Python, in the order of `ORDER`."""
        return self.created_at, self.sequence, self.id

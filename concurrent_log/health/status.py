"""How a service is: what a check says, and what the monitor remembers of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from concurrent_log.health.breaker import BreakerState


class ServiceStatus(Enum):
    """How a service is.

    ``HEALTHY``: its last check went well. ``DEGRADED``: it answers, but slowly or with a warning, or it has just begun
    to fail. ``UNHEALTHY``: it failed as often in a row as the threshold says. ``UNKNOWN``: it was not checked yet.
    """

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class ServiceHealth:
    """What is known of a service at one moment; all times are in UTC.

    Attributes:
        name: The name of the service.
        status: How it is.
        last_check: When its last check ended; None before the first one.
        response_time_ms: How long that check took, in milliseconds.
        error_message: What was wrong, in one line, without addresses and passwords; None where nothing was.
        consecutive_failures: How many checks have failed since one went well.
        last_success: When a check went well for the last time.
        since: When the status became what it is.
        breaker: The state of its circuit breaker.
        critical: Whether the program cannot do without it.
    """

    name: str
    status: ServiceStatus = ServiceStatus.UNKNOWN
    last_check: datetime | None = None
    response_time_ms: float | None = None
    error_message: str | None = None
    consecutive_failures: int = 0
    last_success: datetime | None = None
    since: datetime | None = None
    breaker: BreakerState = BreakerState.CLOSED
    critical: bool = True


_WORST = (ServiceStatus.UNHEALTHY, ServiceStatus.UNKNOWN, ServiceStatus.DEGRADED)


def overall(services: Iterable[ServiceHealth]) -> ServiceStatus:
    """Return how services are as a whole: as bad as the worst one; one that is not critical only degrades it."""
    found = {_counted(health) for health in services}
    return next((status for status in _WORST if status in found), ServiceStatus.HEALTHY)


def _counted(health: ServiceHealth) -> ServiceStatus:
    if health.critical or health.status is not ServiceStatus.UNHEALTHY:
        return health.status
    return ServiceStatus.DEGRADED


class Degraded(Exception):  # noqa: N818 - what a check says, not an error of it
    """Raised by a check: the service answers, but something about it needs attention, such as a full disk soon."""


class CheckFailed(Exception):  # noqa: N818 - what a check says, not an error of it
    """Raised by a check: the service does not work. The message is shown and logged, so it must keep secrets.

    Any other exception fails a check as well.
    """

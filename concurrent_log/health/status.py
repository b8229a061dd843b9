"""Status and health of a service, and the exceptions that a check raises."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from concurrent_log.health.breaker import BreakerState


class ServiceStatus(Enum):
    """The status of a service.

    ``HEALTHY``: the last check succeeded. ``DEGRADED``: the service is slow, its check raised a warning, or it has just
    started to fail. ``UNHEALTHY``: as many checks in a row failed as the threshold says. ``UNKNOWN``: not checked yet.
    """

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class ServiceHealth:
    """The health of a service at one moment. All times are in UTC.

    Attributes:
        name: The name of the service.
        status: Its status.
        last_check: Time at which the last check ended; None before the first check.
        response_time_ms: Duration of the last check in milliseconds.
        error_message: The error in one line, without addresses and passwords; None if there is none.
        consecutive_failures: Number of failed checks since the last successful one.
        last_success: Time of the last successful check.
        since: Time at which the status last changed.
        breaker: State of the circuit breaker.
        critical: Whether the program depends on the service.
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


_WORST_FIRST = (ServiceStatus.UNHEALTHY, ServiceStatus.UNKNOWN, ServiceStatus.DEGRADED)


def overall_status(services: Iterable[ServiceHealth]) -> ServiceStatus:
    """Return the worst status of all services. A service that is not critical counts as degraded at worst."""
    found = {_effective_status(health) for health in services}
    return next((status for status in _WORST_FIRST if status in found), ServiceStatus.HEALTHY)


def _effective_status(health: ServiceHealth) -> ServiceStatus:
    if health.critical or health.status is not ServiceStatus.UNHEALTHY:
        return health.status
    return ServiceStatus.DEGRADED


class Degraded(Exception):  # noqa: N818 - the result of a check, not an error in it
    """Raised by a check: the service works but needs attention, for example because its disk is nearly full."""


class CheckFailed(Exception):  # noqa: N818 - the result of a check, not an error in it
    """Raised by a check: the service does not work. The message is shown and logged, so it must contain no secrets.

    Any other exception fails a check as well.
    """

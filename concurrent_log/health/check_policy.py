"""The settings of a check: interval, time limits and thresholds."""

import dataclasses
import math
from dataclasses import dataclass


@dataclass(frozen=True)
class CheckPolicy:
    """The settings for the checks of a service.

    Attributes:
        interval: Seconds from the start of one check to the start of the next.
        timeout: Seconds after which a check is cancelled and counts as failed.
        slow: A check that takes more seconds than this makes the service degraded.
        failure_threshold: Failures in a row that make a service unhealthy and open its circuit breaker.
        recovery_timeout: Seconds for which an open circuit breaker prevents checks.

    Raises:
        TypeError, ValueError: A value has the wrong type or is out of range.
    """

    interval: float = 30.0
    timeout: float = 10.0
    slow: float = 1.0
    failure_threshold: int = 3
    recovery_timeout: float = 300.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check = check_threshold if field.name == "failure_threshold" else check_positive
            check(field.name, getattr(self, field.name))


def check_threshold(name: str, value: int) -> int:
    """Return ``value``; raise TypeError or ValueError unless it is a whole number of at least 1."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    if value < 1:
        raise ValueError(f"{name}={value} must be at least 1")
    return value


def check_positive(name: str, value: float) -> float:
    """Return ``value``; raise TypeError or ValueError unless it is a finite number of seconds above 0."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number of seconds, not {value!r}")
    if not 0 < value < math.inf:
        raise ValueError(f"{name}={value} must be more than 0 seconds, and finite")
    return value

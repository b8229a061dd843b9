"""How a service is watched: how often, how patiently, and when it counts as failed."""

import dataclasses
import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    """How a service is watched.

    Attributes:
        interval: Seconds from the beginning of one check to that of the next.
        timeout: Seconds after which a check is given up, and has failed.
        slow: A check that takes more seconds than this is a warning.
        failure_threshold: How many failures in a row make a service unhealthy, and open its breaker.
        recovery_timeout: Seconds for which an open breaker keeps checks away.

    Raises:
        TypeError, ValueError: A value is not of its kind, or too small.
    """

    interval: float = 30.0
    timeout: float = 10.0
    slow: float = 1.0
    failure_threshold: int = 3
    recovery_timeout: float = 300.0

    def __post_init__(self) -> None:
        for each in dataclasses.fields(self):
            check = check_threshold if each.name == "failure_threshold" else check_positive
            check(each.name, getattr(self, each.name))


def check_threshold(name: str, value: int) -> int:
    """Return a number of failures, or refuse what is no whole number from 1."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    if value < 1:
        raise ValueError(f"{name}={value} must be at least 1")
    return value


def check_positive(name: str, value: float) -> float:
    """Return a number of seconds above 0, or refuse what is none."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number of seconds, not {value!r}")
    if not 0 < value < math.inf:
        raise ValueError(f"{name}={value} must be more than 0 seconds, and not endless")
    return value

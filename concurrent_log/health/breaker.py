"""A circuit breaker: what fails again and again is left alone for a while, and then tried with care."""

from enum import Enum


class BreakerState(Enum):
    """Whether calls go through: all of them, none, or one at a time to try."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"

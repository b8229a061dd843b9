"""Flapping: a service whose status changes many times within a few checks."""

from collections import deque
from enum import Enum

MAX_CHANGES, WINDOW = 6, 20  # this many changes within this many checks are flapping
STABLE_CHECKS = 10  # checks without a change that end it


class FlappingTransition(Enum):
    """The effect of one check on the flapping of a service."""

    NONE = "none"
    STARTED = "started"
    ENDED = "ended"


class FlappingDetector:
    """Counts status changes over the last checks, including skipped checks. It uses no clock."""

    def __init__(self) -> None:
        self.is_flapping = False
        self._changes: deque[bool] = deque(maxlen=WINDOW)

    def add(self, has_changed: bool) -> FlappingTransition:
        """Count one more check; ``has_changed`` says whether it changed the status."""
        self._changes.append(has_changed)
        if not self.is_flapping and sum(self._changes) >= MAX_CHANGES:
            self.is_flapping = True
            return FlappingTransition.STARTED
        if self.is_flapping and not any(list(self._changes)[-STABLE_CHECKS:]):
            self.is_flapping = False
            self._changes.clear()
            return FlappingTransition.ENDED
        return FlappingTransition.NONE

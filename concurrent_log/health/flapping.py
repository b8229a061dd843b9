"""Whether a service comes and goes: many changes of its status within few checks."""

from collections import deque
from enum import Enum

CHANGES, WITHIN = 6, 20  # so many changes within so many checks are flapping
QUIET = 10  # checks without a change, after which it has settled


class Turn(Enum):
    """What a check has changed about the flapping of a service."""

    NOTHING = "nothing"
    BEGAN = "began"
    ENDED = "ended"


class Flapping:
    """Counts changes over the last checks, made or left out; there is no clock in it."""

    def __init__(self) -> None:
        self.is_on = False
        self._changes: deque[bool] = deque(maxlen=WITHIN)

    def add(self, changed: bool) -> Turn:
        """Take one more check, which ``changed`` the status or not."""
        self._changes.append(changed)
        if not self.is_on and sum(self._changes) >= CHANGES:
            self.is_on = True
            return Turn.BEGAN
        if self.is_on and not any(list(self._changes)[-QUIET:]):
            self.is_on = False
            self._changes.clear()
            return Turn.ENDED
        return Turn.NOTHING

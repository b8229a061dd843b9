"""The levels of the ready-made loggers: those of `logging`, and ``TRACE`` below ``DEBUG``."""

import logging
from enum import IntEnum

TRACE = 5

logging.addLevelName(TRACE, "TRACE")


class LogLevel(IntEnum):
    """A level, from the most to the least severe; each is the number that `logging` knows it by.

    A logger of the level ``WARN`` shows ``WARN``, ``ERROR`` and ``FATAL``. ``ALL`` shows everything.
    """

    FATAL = logging.CRITICAL
    ERROR = logging.ERROR
    WARN = logging.WARNING
    INFO = logging.INFO
    DEBUG = logging.DEBUG
    TRACE = TRACE
    ALL = 1  # not 0, which to `logging` means to ask the parent logger

    CRITICAL = FATAL
    WARNING = WARN

    def __str__(self) -> str:
        """Return the name, such as ``INFO``."""
        return self.name

    def __format__(self, spec: str) -> str:
        """Format the name, or the number where ``spec`` asks for one."""
        return int.__format__(self, spec) if spec.endswith("d") else format(self.name, spec)


def level_number(level: int | str) -> int:
    """Return the number of a level, which is a `LogLevel`, a number of `logging`, or a name in any case.

    Raises:
        ValueError: There is no level of that name, or it is not above 0.
        TypeError: ``level`` is something else.
    """
    if isinstance(level, str):
        try:
            return int(LogLevel[level.upper()])
        except KeyError:
            known = _own_level(level)
            if known is None:
                raise ValueError(f"log_level={level!r} is unknown: use {', '.join(LogLevel.__members__)}") from None
            return known
    if not isinstance(level, int) or isinstance(level, bool):
        raise TypeError(f"log_level must be a level such as logging.INFO or 'INFO', not {level!r}")
    if level <= 0:
        raise ValueError(f"log_level={level} must be above 0: use 1, or LogLevel.ALL, for everything")
    return int(level)


def _own_level(name: str) -> int | None:
    """Return the number of a level that the program has added to `logging`."""
    number = logging.getLevelName(name)
    return number if isinstance(number, int) and number > 0 else None

"""The levels of the ready-made loggers: those of `logging`, plus ``TRACE`` below ``DEBUG``."""

import logging
from enum import IntEnum

TRACE = 5

logging.addLevelName(TRACE, "TRACE")


class LogLevel(IntEnum):
    """The levels, from the most to the least severe. Each one equals its number in `logging`.

    A logger with the level ``WARN`` logs ``WARN``, ``ERROR`` and ``FATAL``. With ``ALL`` it logs everything.
    """

    FATAL = logging.CRITICAL
    ERROR = logging.ERROR
    WARN = logging.WARNING
    INFO = logging.INFO
    DEBUG = logging.DEBUG
    TRACE = TRACE
    ALL = 1  # not 0, which in `logging` means the level of the parent logger

    CRITICAL = FATAL
    WARNING = WARN

    def __str__(self) -> str:
        """Return the name, such as ``INFO``."""
        return self.name

    def __format__(self, spec: str) -> str:
        """Format the name, or with a ``spec`` such as ``d`` the number."""
        return int.__format__(self, spec) if spec.endswith("d") else format(self.name, spec)


def level_number(level: int | str) -> int:
    """Return the number of a level: a `LogLevel`, a number of `logging`, or a name in upper or lower case.

    Raises:
        ValueError: The name is unknown, or the number is not above 0.
        TypeError: ``level`` is neither a number nor a name.
    """
    if isinstance(level, str):
        try:
            return int(LogLevel[level.upper()])
        except KeyError:
            number = _registered_level(level)
            if number is None:
                raise ValueError(f"log_level={level!r} is unknown: use {', '.join(LogLevel.__members__)}") from None
            return number
    if not isinstance(level, int) or isinstance(level, bool):
        raise TypeError(f"log_level must be a level such as logging.INFO or 'INFO', not {level!r}")
    if level <= 0:
        raise ValueError(f"log_level={level} must be above 0: use 1, or LogLevel.ALL, for everything")
    return int(level)


def _registered_level(name: str) -> int | None:
    """Return the number of a level that the program has added with `logging.addLevelName`."""
    number = logging.getLevelName(name)
    return number if isinstance(number, int) and number > 0 else None

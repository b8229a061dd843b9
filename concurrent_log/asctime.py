"""Formatting a record with its time rendered once a second, in place of once a record.

`time.strftime` and the calendar under it are a sixth of the price of a record, and their result only changes
with the second. The text stays the same to the byte, milliseconds included.
"""

import logging
import time
from math import floor

_FORMAT = logging.Formatter.format
_FORMAT_TIME = logging.Formatter.formatTime
_DEFAULT_FORMATTER = logging.Formatter()

# What a formatter with that converter and date format makes of one second: the text, and what appends milliseconds.
_Rendered = tuple[logging.Formatter, object, str | None, float, str, str | None]
_NOTHING: _Rendered = (logging.Formatter(), None, None, float("nan"), "", None)


class AsctimeCache:
    """Formats records like their formatter does, remembering the last second's ``asctime``.

    A formatter whose ``format``, ``formatTime`` or ``converter`` is not the standard one is left alone, and so
    are records with an exception or a stack. Safe to use from threads and signal handlers.
    """

    def __init__(self) -> None:
        self._last = _NOTHING

    def format(self, formatter: logging.Formatter | None, record: logging.LogRecord) -> str:
        """Return what ``formatter.format(record)`` returns, None standing for the default formatter."""
        # All at once: a signal handler that logs may remember another second between any two lines.
        known, converter, datefmt, second, text, milliseconds = self._last
        if (
            formatter is known
            and record.created // 1 == second
            and known.datefmt is datefmt
            and known.converter is converter
            and not (record.exc_info or record.exc_text or record.stack_info)
        ):
            record.message = record.getMessage()
            record.asctime = text if milliseconds is None else milliseconds % (text, record.msecs)
            return known.formatMessage(record)
        formatter = formatter or _DEFAULT_FORMATTER
        if _is_standard(formatter):
            self._last = _render(formatter, record.created)
        return formatter.format(record)


def _render(formatter: logging.Formatter, created: float) -> _Rendered:
    datefmt, converter = formatter.datefmt, formatter.converter
    text = time.strftime(datefmt or formatter.default_time_format, converter(created))
    milliseconds = None if datefmt else formatter.default_msec_format or None
    return formatter, converter, datefmt, floor(created), text, milliseconds


def _is_standard(formatter: logging.Formatter) -> bool:
    kind = type(formatter)
    if not issubclass(kind, logging.Formatter):
        return False  # such as a proxy, or a test's double, with a format method of its own
    own = vars(formatter)
    return (
        kind.format is _FORMAT
        and kind.formatTime is _FORMAT_TIME
        and formatter.converter in (time.localtime, time.gmtime)
        and "format" not in own
        and "formatTime" not in own
        and formatter.usesTime()
    )

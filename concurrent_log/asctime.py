"""Formatting a record with its time rendered once a second, in place of once a record.

`time.strftime` and the calendar under it are a sixth of the price of a record, and their result only changes
with the second. The text stays the same to the byte, milliseconds included.
"""

import logging
import time

_FORMAT = logging.Formatter.format
_FORMAT_TIME = logging.Formatter.formatTime
_DEFAULT_FORMATTER = logging.Formatter()


class AsctimeCache:
    """Formats records like their formatter does, remembering the last second's ``asctime``.

    A formatter whose ``format``, ``formatTime`` or ``converter`` is not the standard one is left alone, and so
    are records with an exception or a stack. Not thread-safe on its own: a handler formats under its lock.
    """

    def __init__(self) -> None:
        self._formatter: logging.Formatter | None = None
        self._datefmt: str | None = None
        self._is_standard = False
        self._uses_time = False
        self._second: float | None = None
        self._text = ""
        self._milliseconds: str | None = None

    def format(self, formatter: logging.Formatter | None, record: logging.LogRecord) -> str:
        """Return what ``formatter.format(record)`` returns, None standing for the default formatter."""
        if formatter is None:
            formatter = _DEFAULT_FORMATTER
        if formatter is not self._formatter or formatter.datefmt is not self._datefmt:
            self._meet(formatter)
        if not self._is_standard or record.exc_info or record.exc_text or record.stack_info:
            return formatter.format(record)
        if record.created // 1 != self._second:
            self._meet(formatter)
            self._render(formatter, record.created)
        text, milliseconds, uses_time = self._text, self._milliseconds, self._uses_time
        record.message = record.getMessage()
        if uses_time:
            record.asctime = text if milliseconds is None else milliseconds % (text, record.msecs)
        return formatter.formatMessage(record)

    def _meet(self, formatter: logging.Formatter) -> None:
        self._second = None
        self._formatter = formatter
        self._datefmt = formatter.datefmt
        self._is_standard = _is_standard(formatter)

    def _render(self, formatter: logging.Formatter, created: float) -> None:
        self._uses_time = formatter.usesTime()
        if self._uses_time:
            moment = formatter.converter(created)
            self._text = time.strftime(formatter.datefmt or formatter.default_time_format, moment)
            self._milliseconds = None if formatter.datefmt else formatter.default_msec_format or None
        self._second = created // 1  # last: an interrupt before this line leaves nothing half remembered


def _is_standard(formatter: logging.Formatter) -> bool:
    own = vars(formatter)
    return (
        type(formatter).format is _FORMAT
        and type(formatter).formatTime is _FORMAT_TIME
        and formatter.converter in (time.localtime, time.gmtime)
        and "format" not in own
        and "formatTime" not in own
    )

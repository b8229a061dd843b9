"""Format records with their time rendered once per second instead of once per record.

`time.strftime` and the time conversion take a sixth of the time of a record, and their result changes only with the
second. The text is identical to the byte, including milliseconds.
"""

import logging
import time
from typing import NamedTuple

_FORMAT = logging.Formatter.format
_FORMAT_MESSAGE = logging.Formatter.formatMessage
_FORMAT_TIME = logging.Formatter.formatTime
_DEFAULT_FORMATTER = logging.Formatter()


class _Second(NamedTuple):
    """The result of a standard formatter for the times from ``start`` to before ``end``, which is one second.

    Attributes:
        text: The rendered time.
        milliseconds: The format that appends milliseconds to it.
        layout: The format of the line, if the record's attributes can be inserted directly.
    """

    start: float
    end: float
    formatter: logging.Formatter | None
    datefmt: str | None
    converter: object
    uses_time: bool
    text: str
    milliseconds: str | None
    layout: str | None


_NO_SECOND = _Second(float("nan"), float("nan"), None, None, None, False, "", None, None)


class AsctimeCache:
    """Formats records as their formatter does, and caches ``asctime`` for the last second.

    The formatter itself formats a record with an exception or a stack, and every record if its ``format``,
    ``formatTime`` or ``converter`` is not the standard one. Safe to use from threads and signal handlers.
    """

    def __init__(self) -> None:
        self._last = _NO_SECOND

    def format(self, formatter: logging.Formatter | None, record: logging.LogRecord) -> str:
        """Return the same as ``formatter.format(record)``; None means the default formatter."""
        if formatter is None:
            formatter = _DEFAULT_FORMATTER
        # In one step: a signal handler that logs may replace the cached second between any two lines.
        start, end, known, datefmt, converter, uses_time, text, milliseconds, layout = self._last
        if (
            not start <= record.created < end
            or formatter is not known
            or formatter.datefmt is not datefmt
            or formatter.converter is not converter
            or record.exc_info
            or record.exc_text
            or record.stack_info
        ):
            return self._format_uncached(formatter, record)
        record.message = record.getMessage()
        if uses_time:
            record.asctime = text if milliseconds is None else milliseconds % (text, record.msecs)
        if layout is None or layout is not formatter._style._fmt:
            return formatter.formatMessage(record)
        try:
            return layout % record.__dict__
        except KeyError:
            return formatter.formatMessage(record)  # Its error names the missing field.

    def _format_uncached(self, formatter: logging.Formatter, record: logging.LogRecord) -> str:
        if not (record.exc_info or record.exc_text or record.stack_info) and _is_standard(formatter):
            self._last = _render(formatter, record.created)
        return formatter.format(record)


def _render(formatter: logging.Formatter, created: float) -> _Second:
    datefmt, converter = formatter.datefmt, formatter.converter
    uses_time = formatter.usesTime()
    text, milliseconds = "", None
    if uses_time:
        text = time.strftime(datefmt or formatter.default_time_format, converter(created))
        milliseconds = None if datefmt else formatter.default_msec_format or None
    start = created // 1
    return _Second(start, start + 1, formatter, datefmt, converter, uses_time, text, milliseconds, _layout(formatter))


def _layout(formatter: logging.Formatter) -> str | None:
    """Return the format of the line if the standard ``formatMessage`` only inserts attributes into it."""
    style = formatter._style
    is_plain = type(style) is logging.PercentStyle and not style._defaults  # type: ignore[attr-defined]
    return style._fmt if is_plain and getattr(formatter.formatMessage, "__func__", None) is _FORMAT_MESSAGE else None


def _is_standard(formatter: logging.Formatter) -> bool:
    kind = type(formatter)
    if not issubclass(kind, logging.Formatter):
        return False  # for example a proxy or a mock with its own format method
    own = vars(formatter)
    return (
        kind.format is _FORMAT
        and kind.formatTime is _FORMAT_TIME
        and formatter.converter in (time.localtime, time.gmtime)
        and "format" not in own
        and "formatTime" not in own
    )

"""Coloured log lines on a terminal, plain ones everywhere else.

`ColorFormatter` works with any `logging.StreamHandler`. `has_color` decides whether a stream gets colour.
"""

import logging
import os
import sys
from collections.abc import Mapping
from typing import Any, Literal, TextIO

_RESET = "\033[0m"

# The colour from each level on. The levels are those of `logging`; every level below DEBUG is TRACE.
_COLORS = (
    (logging.CRITICAL, "\033[41;97m"),  # white on red
    (logging.ERROR, "\033[91m"),  # red
    (logging.WARNING, "\033[93m"),  # yellow
    (logging.INFO, "\033[92m"),  # green
    (logging.DEBUG, "\033[94m"),  # blue
)
_TRACE = "\033[95m"  # magenta


class ColorFormatter(logging.Formatter):
    """A `logging.Formatter` that gives each line the colour of its level, if the stream gets colour.

    A traceback below the line stays plain. The record is not changed, so that the same record is plain in a file.

    Args:
        fmt: The format of the line, as for `logging.Formatter`.
        datefmt: The format of the time.
        style: ``%``, ``{`` or ``$``.
        validate: Whether to check ``fmt``.
        defaults: Values for fields that a record may lack.
        stream: The handler's stream; None means `sys.stderr`, as for `logging.StreamHandler`. In a configuration for
            `logging.config.dictConfig`, use ``"stream": "ext://sys.stdout"``. It is checked once, in the constructor.
    """

    def __init__(
        self,
        fmt: str | None = None,
        datefmt: str | None = None,
        style: Literal["%", "{", "$"] = "%",
        validate: bool = True,
        *,
        defaults: Mapping[str, Any] | None = None,
        stream: TextIO | None = None,
    ) -> None:
        super().__init__(fmt, datefmt, style, validate, defaults=defaults)
        self._has_color = has_color(sys.stderr if stream is None else stream)

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line of ``record`` in the colour of its level; the traceback is added later."""
        text = super().formatMessage(record)
        return f"{color_of(record.levelno)}{text}{_RESET}" if self._has_color else text


def color_of(level: int) -> str:
    """Return the escape sequence for the colour of ``level``, or of the next lower level that has a colour."""
    return next((color for lowest, color in _COLORS if level >= lowest), _TRACE)


def has_color(stream: Any) -> bool:
    """Return whether output to ``stream`` gets colour.

    The environment variable ``NO_COLOR`` disables colour (https://no-color.org), ``FORCE_COLOR`` enables it
    (https://force-color.org). ``NO_COLOR`` takes precedence, and an empty value is ignored. Otherwise a terminal gets
    colour, unless ``TERM`` is ``dumb``.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return os.environ.get("TERM") != "dumb" and _is_terminal(stream)


def _is_terminal(stream: Any) -> bool:
    try:
        is_terminal = bool(stream.isatty())
    except (AttributeError, ValueError, OSError):
        return False  # There is no stream, as in pythonw.exe, or it is closed.
    if is_terminal and sys.platform == "win32":
        from colorama import just_fix_windows_console

        just_fix_windows_console()
    return is_terminal

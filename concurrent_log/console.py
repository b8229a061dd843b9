"""Log lines in colour on a terminal, and plain everywhere else.

`ColorFormatter` goes with any `logging.StreamHandler`; `has_color` is the one place that decides whether a stream
gets colour.
"""

import logging
import os
import sys
from collections.abc import Mapping
from typing import Any, Literal, TextIO

_RESET = "\033[0m"

# From which level on which colour. The levels are those of `logging`, and what lies below DEBUG is TRACE.
_COLORS = (
    (logging.CRITICAL, "\033[41;97m"),  # white on red
    (logging.ERROR, "\033[91m"),  # red
    (logging.WARNING, "\033[93m"),  # yellow
    (logging.INFO, "\033[92m"),  # green
    (logging.DEBUG, "\033[94m"),  # blue
)
_TRACE = "\033[95m"  # magenta


class ColorFormatter(logging.Formatter):
    """A `logging.Formatter` that gives each line the colour of its level, where the stream gets colour.

    A traceback stays as it is, below the coloured line. Nothing of the record is changed, so that the same record is
    plain in a file.

    Args:
        fmt: As for `logging.Formatter`, like the arguments up to ``validate``.
        datefmt: The format of the time.
        style: ``%``, ``{`` or ``$``.
        validate: Whether to check ``fmt``.
        defaults: Values for fields that a record may lack.
        stream: What the handler writes to; None is `sys.stderr`, as for `logging.StreamHandler`. In the
            configuration of `logging.config.dictConfig`, write ``"stream": "ext://sys.stdout"``. It is looked at
            once, here.
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
        """Return the line of ``record``, without its traceback, in the colour of its level."""
        text = super().formatMessage(record)
        return f"{color_of(record.levelno)}{text}{_RESET}" if self._has_color else text


def color_of(level: int) -> str:
    """Return the escape sequence that begins the colour of a level; a level in between has that of the next lower."""
    return next((color for lowest, color in _COLORS if level >= lowest), _TRACE)


def has_color(stream: Any) -> bool:
    """Return whether what is written to ``stream`` gets colour.

    ``NO_COLOR`` in the environment says no to all (https://no-color.org), ``FORCE_COLOR`` says yes
    (https://force-color.org), in this order if both are there; an empty value says nothing. Otherwise a terminal gets
    colour, but for one that is called ``dumb``.
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
        return False  # no stream at all, as in pythonw.exe, or one that was closed
    if is_terminal and sys.platform == "win32":
        from colorama import just_fix_windows_console

        just_fix_windows_console()
    return is_terminal

"""Quotes a value in a message."""

from typing import Any

_MAX_SHOWN = 100  # characters of an invalid value


def quote_value(value: Any) -> str:
    """Return a value for a message: quoted, on one line, and cut if it is long."""
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."

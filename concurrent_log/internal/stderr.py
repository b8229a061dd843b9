"""Warnings on stderr, for code that has no handler to report an error through."""

import contextlib
import sys


def warn(message: str) -> None:
    """Print one line on stderr. Do nothing if stderr is missing or closed."""
    with contextlib.suppress(Exception):
        print(f"concurrent_log: {printable(message)}", file=sys.stderr)


def printable(text: str) -> str:
    """Return ``text`` with each control character as an escape: it may come from a server, and control a terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)

"""Warnings on stderr, for code that has no handler to report an error through."""

import contextlib
import sys


def warn(message: str) -> None:
    """Print one line on stderr. Do nothing if stderr is missing or closed."""
    with contextlib.suppress(Exception):
        print(f"concurrent_log: {message}", file=sys.stderr)

"""Messages on stderr, for the parts that have no handler to report an error through."""

import contextlib
import sys


def warn(message: str) -> None:
    """Print one line on stderr. Do nothing where stderr is missing or closed."""
    with contextlib.suppress(Exception):
        print(f"concurrent_log: {message}", file=sys.stderr)

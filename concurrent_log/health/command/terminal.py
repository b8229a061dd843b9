"""Whether the output is a terminal."""

import os
import sys


def is_terminal() -> bool:
    """Return whether stdout is a terminal that can show a table."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"

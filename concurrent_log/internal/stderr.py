"""What is said on stderr, where no handler can say it."""

import contextlib
import sys


def tell(what: str) -> None:
    """Say one line on stderr, as far as there is one."""
    with contextlib.suppress(Exception):
        print(f"concurrent_log: {what}", file=sys.stderr)

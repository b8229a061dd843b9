"""The sequence number of a record in its process: it gives the order, and shows whether a record is missing."""

import itertools
import os

_numbers = itertools.count(1)


def next_number() -> int:
    """Return the next number of this process, from 1."""
    return next(_numbers)


def _restart_after_fork() -> None:
    global _numbers
    _numbers = itertools.count(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_after_fork)

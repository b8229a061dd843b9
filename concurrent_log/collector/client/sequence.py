"""The number of a record in its process: what tells the order, and whether one is missing."""

import itertools
import os

_numbers = itertools.count(1)


def next_number() -> int:
    """Return the next number of this process, from 1."""
    return next(_numbers)


def _begin_anew() -> None:
    global _numbers
    _numbers = itertools.count(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)

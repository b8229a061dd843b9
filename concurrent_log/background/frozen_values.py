"""Copies of values that cannot change after the logging call."""

import datetime
from typing import Any

# Exactly these types: a subclass may have a text that changes.
_DATES_AND_TIMES = (datetime.datetime, datetime.date, datetime.time, datetime.timedelta)
ATOMS = frozenset((str, int, float, bool, type(None), complex, bytes, *_DATES_AND_TIMES))
_MAX_DEPTH = 10  # levels of nested containers
_MAX_ITEMS = 1_000  # in one value; formatting more of them at once takes less time than copying them


class CannotFreezeError(Exception):
    """A value contains an object that may change, or is too large to copy."""


def freeze(value: Any) -> Any:
    """Return ``value`` if it is immutable, or a copy if it is a container of immutable values.

    Supports exactly `dict`, `list` and `tuple` as containers. The copy of a set may have another order, and so another
    text.

    Raises:
        CannotFreezeError: The value is, or contains, another object.
    """
    if type(value) in ATOMS:
        return value
    try:
        return _copy(value, _MAX_DEPTH, [_MAX_ITEMS])
    except RuntimeError:  # Another thread changes the dictionary.
        raise CannotFreezeError from None


def _copy(value: Any, levels: int, items_left: list[int]) -> Any:
    kind = type(value)
    if kind in ATOMS:
        return value
    if levels == 0 or kind not in (dict, list, tuple):
        raise CannotFreezeError
    items_left[0] -= len(value)
    if items_left[0] < 0:
        raise CannotFreezeError
    if kind is dict:
        return {_copy(key, levels - 1, items_left): _copy(each, levels - 1, items_left) for key, each in value.items()}
    return kind([_copy(each, levels - 1, items_left) for each in value])

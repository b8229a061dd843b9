"""Any value as JSON: as it was when it was logged, and whatever it is.

Text, numbers, booleans and None cannot change after the call, and are encoded later. Everything else is rendered at
once, since the program may go on changing it. No value is ever refused: what cannot be told is said to be so.
"""

import dataclasses
import datetime
import decimal
import enum
import math
import numbers
import os
import uuid
from collections.abc import Callable, Mapping, Sequence, Set
from sys import getsizeof
from typing import Any

import msgspec

_DEEPEST = 20  # containers within containers; deeper ones are told as text
_MOST = 10_000  # items of one value; how many more there are is said
_LONGEST = 1_000_000  # characters of what an object says about itself

_ENTRY_COST = 250  # bytes of a dictionary and its place in the queue
_VALUE_COST = 24  # bytes of a short value
_LONG = 500  # characters from which it matters how many bytes each of them takes

_NUMBERS = (int, float)
_LARGE = 2**63  # numbers from which not everybody reads them as they are

_encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode


def freeze(entry: dict[str, Any]) -> int:
    """Render the values of ``entry`` that may change after the call; return about how many bytes all of it takes."""
    size = _ENTRY_COST
    changed = None
    for key, value in entry.items():
        kind = type(value)
        if kind is str:
            length = len(value)
            size += _VALUE_COST + length if length < _LONG else getsizeof(value)
        elif value is None or kind is bool or (kind in _NUMBERS and -_LARGE < value < _LARGE):
            size += _VALUE_COST
        else:
            changed = changed or {}
            changed[key] = value
    if changed:
        for key, value in changed.items():
            entry[key] = frozen = _freeze_value(value)
            size += _VALUE_COST + (len(frozen) if isinstance(frozen, (str, msgspec.Raw)) else 0)
    return size


def encode_entry(entry: Mapping[str, Any]) -> bytes:
    """Return ``entry`` as JSON in one line; never raises for what stands in it."""
    try:
        return _encode(entry)
    except Exception:
        pass
    try:
        return _encode({_key(key): plain(value) for key, value in entry.items()})
    except Exception as error:
        known = {name: plain(entry.get(name)) for name in ("created_at", "level", "sequence")}
        return _encode({**known, "message": f"a record that cannot be encoded: {type(error).__name__}"})


def plain(value: Any) -> Any:
    """Return ``value`` in the types that JSON knows; containers are copied, and generators are left alone."""
    return _Rendering().plain(value, 0)


def text_of(value: object) -> str:
    """Return what ``value`` says about itself, also where that fails."""
    try:
        found = str(value)
    except Exception as error:
        return _unprintable(value, error)
    return _utf8(found)


def _freeze_value(value: Any) -> Any:
    """Return something that does not change: text, a number, or a container as JSON."""
    found = plain(value)
    if type(found) not in (dict, list):
        return found
    return msgspec.Raw(_encode(found))


class _Rendering:
    """Renders one value; knows which containers it is in, and how many items it may still take."""

    def __init__(self) -> None:
        self._inside: set[int] = set()
        self._room = _MOST

    def plain(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if value is None or kind is bool or kind is msgspec.Raw:
            return value
        try:
            for of_kind, render in _SIMPLE:
                if isinstance(value, of_kind):
                    return render(value)
            return self._container(value, depth)
        except Exception as error:
            return _unprintable(value, error)

    def _container(self, value: Any, depth: int) -> Any:
        items = _items(value)
        if items is None:
            return _represent(value)
        if id(value) in self._inside:
            return f"<the same {type(value).__name__} again>"
        if depth >= _DEEPEST:
            return f"<{type(value).__name__}: deeper than {_DEEPEST} levels>"
        self._inside.add(id(value))
        try:
            return self._mapping(items, depth) if isinstance(items, Mapping) else self._sequence(items, depth)
        finally:
            self._inside.discard(id(value))

    def _mapping(self, items: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in list(items.items()):
            if self._room <= 0:
                found["…"] = f"{len(items) - len(found):,} more"
                break
            self._room -= 1
            found[_key(key)] = self.plain(value, depth + 1)
        return found

    def _sequence(self, items: Sequence[Any], depth: int) -> list[Any]:
        found: list[Any] = []
        for value in items:
            if self._room <= 0:
                found.append(f"… {len(items) - len(found):,} more")
                break
            self._room -= 1
            found.append(self.plain(value, depth + 1))
        return found


def _items(value: Any) -> Mapping[Any, Any] | Sequence[Any] | None:
    """Return what is in a container, as it is now; None for anything else."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, (list, tuple, Set)):
        return list(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    return None


def _key(key: Any) -> str:
    if isinstance(key, enum.Enum):
        key = key.value
    return _utf8(key) if isinstance(key, str) else text_of(key)


def _utf8(text: str) -> str:
    """Return ``text`` as an exact string that can be encoded."""
    return text.encode("utf-8", "backslashreplace").decode()


def _integer(value: Any) -> int | str:
    found = int(value)
    if -(2**63) <= found < 2**64:
        return found
    return str(found) if found.bit_length() < 10_000 else hex(found)  # Python refuses more digits.


def _real(value: Any) -> float | str:
    found = float(value)
    return found if math.isfinite(found) else str(found)


def _represent(value: object) -> str:
    found = repr(value)
    return _utf8(found if len(found) <= _LONGEST else f"{found[:_LONGEST]}…")


def _unprintable(value: object, error: Exception) -> str:
    return f"<{type(value).__name__}: cannot be rendered: {type(error).__name__}>"


def _bytes(value: Any) -> str:
    return bytes(value).decode("utf-8", "backslashreplace")


_SIMPLE: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (enum.Enum, lambda value: plain(value.value)),
    (str, _utf8),
    ((datetime.datetime, datetime.date, datetime.time), lambda value: value.isoformat()),
    ((decimal.Decimal, uuid.UUID), str),
    (numbers.Integral, _integer),
    (numbers.Real, _real),
    ((bytes, bytearray, memoryview), _bytes),
    (os.PathLike, lambda value: _utf8(os.fsdecode(value))),
    (BaseException, lambda value: f"{type(value).__name__}: {text_of(value)}"),
)

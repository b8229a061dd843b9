"""Convert any value to JSON, as it was when it was logged.

Text, numbers, booleans and None cannot change after the call, and are encoded later. Everything else is converted
immediately, because the program may continue to change it. Every value is accepted: one that cannot be converted is
replaced by a text that says so.
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

_MAX_DEPTH = 20  # levels of nested containers; deeper ones are replaced by a text
_MAX_ITEMS = 10_000  # in one value; the number of further ones is noted
_MAX_REPR = 1_000_000  # characters of the `repr` of an object

_ENTRY_COST = 250  # bytes of a dictionary and its place in the queue
_VALUE_COST = 24  # bytes of a short value
_LONG_TEXT = 500  # characters; from this length the bytes per character matter

_NUMBERS = (int, float)
_LARGE = 2**63  # Not every reader of JSON keeps larger numbers exact.

_encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode


def freeze(entry: dict[str, Any]) -> int:
    """Convert the values of ``entry`` that may change after the call, and return its approximate size in bytes."""
    size = _ENTRY_COST
    mutable = None
    for key, value in entry.items():
        kind = type(value)
        if kind is str:
            length = len(value)
            size += _VALUE_COST + length if length < _LONG_TEXT else getsizeof(value)
        elif value is None or kind is bool or (kind in _NUMBERS and -_LARGE < value < _LARGE):
            size += _VALUE_COST
        else:
            mutable = mutable or {}
            mutable[key] = value
    if mutable:
        for key, value in mutable.items():
            entry[key] = frozen = _freeze_value(value)
            size += _VALUE_COST + (len(frozen) if isinstance(frozen, (str, msgspec.Raw)) else 0)
    return size


def encode_entry(entry: Mapping[str, Any]) -> bytes:
    """Return ``entry`` as one line of JSON. Never raises, whatever its values are."""
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
    """Return ``value`` in the types of JSON. Containers are copied; generators are not consumed."""
    return _Converter().convert(value, 0)


def text_of(value: object) -> str:
    """Return ``str(value)``, or a placeholder if that raises."""
    try:
        text = str(value)
    except Exception as error:
        return _placeholder(value, error)
    return _utf8(text)


def _freeze_value(value: Any) -> Any:
    """Return an immutable copy: text, a number, or a container as JSON."""
    converted = plain(value)
    if type(converted) not in (dict, list):
        return converted
    return msgspec.Raw(_encode(converted))


class _Converter:
    """Converts one value; tracks the containers that it is inside of, and the items that it may still add."""

    def __init__(self) -> None:
        self._inside: set[int] = set()
        self._items_left = _MAX_ITEMS

    def convert(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if value is None or kind is bool or kind is msgspec.Raw:
            return value
        try:
            for types, convert in _SIMPLE:
                if isinstance(value, types):
                    return convert(value)
            return self._container(value, depth)
        except Exception as error:
            return _placeholder(value, error)

    def _container(self, value: Any, depth: int) -> Any:
        items = _items(value)
        if items is None:
            return _repr_of(value)
        if id(value) in self._inside:
            return f"<the same {type(value).__name__} again>"
        if depth >= _MAX_DEPTH:
            return f"<{type(value).__name__}: deeper than {_MAX_DEPTH} levels>"
        self._inside.add(id(value))
        try:
            return self._mapping(items, depth) if isinstance(items, Mapping) else self._sequence(items, depth)
        finally:
            self._inside.discard(id(value))

    def _mapping(self, items: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        converted: dict[str, Any] = {}
        for key, value in list(items.items()):
            if self._items_left <= 0:
                converted["…"] = f"{len(items) - len(converted):,} more"
                break
            self._items_left -= 1
            converted[_key(key)] = self.convert(value, depth + 1)
        return converted

    def _sequence(self, items: Sequence[Any], depth: int) -> list[Any]:
        converted: list[Any] = []
        for value in items:
            if self._items_left <= 0:
                converted.append(f"… {len(items) - len(converted):,} more")
                break
            self._items_left -= 1
            converted.append(self.convert(value, depth + 1))
        return converted


def _items(value: Any) -> Mapping[Any, Any] | Sequence[Any] | None:
    """Return the current items of a container; None if ``value`` is not one."""
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
    """Return ``text`` as an exact `str` that can be encoded."""
    return text.encode("utf-8", "backslashreplace").decode()


def _integer(value: Any) -> int | str:
    number = int(value)
    if -(2**63) <= number < 2**64:
        return number
    return str(number) if number.bit_length() < 10_000 else hex(number)  # Python limits the decimal digits.


def _real(value: Any) -> float | str:
    number = float(value)
    return number if math.isfinite(number) else str(number)


def _repr_of(value: object) -> str:
    text = repr(value)
    return _utf8(text if len(text) <= _MAX_REPR else f"{text[:_MAX_REPR]}…")


def _placeholder(value: object, error: Exception) -> str:
    return f"<{type(value).__name__}: cannot be converted: {type(error).__name__}>"


def _bytes(value: Any) -> str:
    return bytes(value).decode("utf-8", "backslashreplace")


_SIMPLE: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (enum.Enum, lambda value: plain(value.value)),
    (str, _utf8),
    ((datetime.datetime, datetime.date, datetime.time), lambda value: value.isoformat()),
    ((decimal.Decimal, uuid.UUID), str),
    (numbers.Integral, _integer),
    (numbers.Rational, str),
    (numbers.Real, _real),
    ((bytes, bytearray, memoryview), _bytes),
    (os.PathLike, lambda value: _utf8(os.fsdecode(value))),
    (BaseException, lambda value: f"{type(value).__name__}: {text_of(value)}"),
)

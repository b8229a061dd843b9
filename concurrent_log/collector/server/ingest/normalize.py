"""A record as it came, as a row of the store: whatever it holds, as little as possible is lost."""

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from concurrent_log.collector.server.ingest.levels import BY_NAME, level_of, level_of_opentelemetry
from concurrent_log.collector.server.timestamps import microseconds_of
from concurrent_log.collector.store import COLUMNS, FLOATS, INTEGERS, TEXTS, Row

LONGEST = 500  # characters of a text column, since some are indexed; message and stack trace may be longer
LONG = frozenset({"message", "stack_trace"})
LONGEST_KEY = 200
DEEPEST = 32  # objects and lists within each other
BIGINT = range(-(2**63), 2**63)

POSITION = {name: position for position, name in enumerate(COLUMNS)}
LEVEL, LEVEL_NUMBER, CREATED_AT = POSITION["level"], POSITION["level_number"], POSITION["created_at"]
_MESSAGE, ATTRIBUTES = POSITION["message"], POSITION["attributes"]
_TEXT_POSITIONS = {name: POSITION[name] for name in TEXTS if name != "level"}
_LONG_POSITIONS = frozenset(POSITION[name] for name in LONG)
_NUMBERS = {name: POSITION[name] for name in (INTEGERS | FLOATS) - {"created_at", "level_number"}}
_OBJECTS = ("metadata", "attributes")

# What other dialects call a column, tried in this order where it is missing.
_LEVEL_ALIASES: dict[str, Callable[[Any], tuple[str, int] | None]] = {
    "severity": level_of,
    "levelname": level_of,
    "severity_text": level_of,
    "severityText": level_of,
    "severity_number": level_of_opentelemetry,
    "severityNumber": level_of_opentelemetry,
}
_TIME_ALIASES = ("timestamp", "@timestamp", "time", "ts", "timeUnixNano")
_MESSAGE_ALIASES = ("msg", "short_message", "body")

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Unreadable:
    """Stands for a record that could not be decoded."""

    reason: str


def cleaned(value: Any, deepest: int = 2 * DEEPEST) -> Any:
    """Return ``value`` with what no database takes as text, NUL and lone surrogates, replaced by U+FFFD."""
    if deepest == 0 and isinstance(value, (dict, list)):
        return "…"
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {cleaned(key): cleaned(each, deepest - 1) for key, each in value.items()}
    if isinstance(value, list):
        return [cleaned(each, deepest - 1) for each in value]
    return value


def text_of(value: Any) -> str:
    """Return any value of JSON as text: itself if it is text, otherwise as JSON."""
    return value if isinstance(value, str) else str(_encode(_limited(value, DEEPEST)), "utf-8")


class Maker:
    """Makes rows of records, with what is common to them where they say nothing themselves.

    Attributes:
        first: The row of a record that says nothing, with its level and time not yet looked at.
        attributes: The attributes of such a record.
    """

    def __init__(self, common: Mapping[str, Any], now: int) -> None:
        self.first: list[Any] = [None] * len(COLUMNS)
        self.attributes: dict[str, Any] = {}
        self._now = now
        _fill(self.first, self.attributes, common)

    def row(self, record: dict[str, Any]) -> Row:
        """Return the row of ``record``."""
        row, extra = self.first.copy(), self.attributes.copy()
        _fill(row, extra, record)
        _set_level(row, extra)
        _set_time(row, extra, self._now)
        if row[_MESSAGE] is None and extra:
            _take_message(row, extra)
        if extra:
            row[ATTRIBUTES] = str(_encode(extra), "utf-8")
        return tuple(row)


def _fill(row: list[Any], extra: dict[str, Any], record: Mapping[str, Any]) -> None:
    """Put what ``record`` says into the columns of ``row``, and everything else into ``extra``.

    This is done for each record, so the usual things come first and call nothing.
    """
    for key, value in record.items():
        position = _TEXT_POSITIONS.get(key)
        if position is not None:
            if type(value) is str and (len(value) <= LONGEST or position in _LONG_POSITIONS):
                row[position] = value
            elif value is not None:
                _put_text(row, extra, key, text_of(value))
        elif key == "created_at":
            row[CREATED_AT] = value
        elif key == "level":
            row[LEVEL] = value
        elif key in _NUMBERS:
            _put_number(row, extra, key, value)
        elif type(value) is dict and key in _OBJECTS:
            _put_object(extra, value)
        elif type(value) is str and len(key) <= LONGEST_KEY:
            extra[key] = value
        elif key != "level_number":
            extra[key[:LONGEST_KEY]] = _limited(value, DEEPEST)


def _put_text(row: list[Any], extra: dict[str, Any], key: str, value: str) -> None:
    position = _TEXT_POSITIONS[key]
    if position not in _LONG_POSITIONS and len(value) > LONGEST:
        extra[key], value = value, value[:LONGEST]
    row[position] = value


def _put_number(row: list[Any], extra: dict[str, Any], key: str, value: Any) -> None:
    """Put a number, also one written as text, into its column; what is none becomes an attribute."""
    position, number = _NUMBERS[key], value
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            number = float(value) if key in FLOATS or len(value) > 20 else int(value)
    if key not in FLOATS and isinstance(number, float) and number.is_integer():
        number = int(number)
    if type(number) is int and number in BIGINT:
        row[position] = float(number) if key in FLOATS else number
    elif type(number) is float and key in FLOATS and math.isfinite(number):
        row[position] = number
    elif value is not None:
        extra[key] = _limited(value, DEEPEST)


def _put_object(extra: dict[str, Any], values: dict[str, Any]) -> None:
    """Put what stands in ``metadata`` or ``attributes`` to the other attributes; what is there stays."""
    for key, value in values.items():
        key = key[:LONGEST_KEY]
        if key in extra and extra[key] != value:
            key = f"metadata.{key}"
        extra[key] = _limited(value, DEEPEST)


def _set_level(row: list[Any], extra: dict[str, Any]) -> None:
    value = row[LEVEL]
    if type(value) is str and value in BY_NAME:
        row[LEVEL], row[LEVEL_NUMBER] = BY_NAME[value]
        return
    level = level_of(value, is_pino="msg" in extra and "time" in extra)
    if value is None:
        for alias, translate in _LEVEL_ALIASES.items():
            level = level or translate(extra.get(alias))
    elif level is None:
        extra["level"] = _limited(value, DEEPEST)
    row[LEVEL], row[LEVEL_NUMBER] = level or BY_NAME["INFO"]


def _set_time(row: list[Any], extra: dict[str, Any], now: int) -> None:
    value = row[CREATED_AT]
    if type(value) is float and 0 <= value < 1e11:
        row[CREATED_AT] = round(value * 1e6)
        return
    moment = microseconds_of(value)
    if value is None:
        for alias in _TIME_ALIASES:
            moment = microseconds_of(extra.get(alias)) if moment is None else moment
    elif moment is None:
        extra["created_at"] = _limited(value, DEEPEST)
    row[CREATED_AT] = now if moment is None else moment


def _take_message(row: list[Any], extra: dict[str, Any]) -> None:
    for alias in _MESSAGE_ALIASES:
        if alias in extra:
            row[_MESSAGE] = text_of(extra.pop(alias))
            return


def _limited(value: Any, deepest: int) -> Any:
    """Return ``value`` so that any database takes it: nested only so deep, and no number beyond 64 bits."""
    kind = type(value)
    if kind is int:
        return value if value in BIGINT else str(value)
    if kind is float:
        return value if math.isfinite(value) else str(value)
    if kind is not dict and kind is not list:
        return value
    if deepest == 0:
        return "…"
    if kind is list:
        return [_limited(each, deepest - 1) for each in value]
    return {key[:LONGEST_KEY]: _limited(each, deepest - 1) for key, each in value.items()}

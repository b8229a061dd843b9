"""Builds a row of the store from a record; values that fit no column become attributes, so that little is lost."""

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from concurrent_log.collector.server.ingest.levels import LEVELS_BY_SPELLING, parse_level, parse_opentelemetry_severity
from concurrent_log.collector.server.timestamps import is_credible, parse_timestamp
from concurrent_log.collector.store.columns import COLUMNS, FLOATS, INTEGERS, TEXTS, RecordRow
from concurrent_log.collector.store.reader import iso_time

MAX_TEXT_LENGTH = 500  # characters of a text column, because some are indexed
LONG_TEXTS = frozenset({"message", "stack_trace"})  # text columns without a limit
MAX_KEY_LENGTH = 200
MAX_DEPTH = 32  # nested objects and lists
BIGINT = range(-(2**63), 2**63)

POSITIONS = {name: position for position, name in enumerate(COLUMNS)}
LEVEL, LEVEL_NUMBER, CREATED_AT = POSITIONS["level"], POSITIONS["level_number"], POSITIONS["created_at"]
_MESSAGE, ATTRIBUTES = POSITIONS["message"], POSITIONS["attributes"]
_TEXT_POSITIONS = {name: POSITIONS[name] for name in TEXTS if name != "level"}
_LONG_TEXT_POSITIONS = frozenset(POSITIONS[name] for name in LONG_TEXTS)
_NUMBERS = {name: POSITIONS[name] for name in (INTEGERS | FLOATS) - {"created_at", "level_number"}}
_OBJECTS = ("metadata", "attributes")
WRONG_CLOCK = "wrong_clock"  # the attribute with the time of a clock that is wrong

# Other names of a column, in the order in which they are tried if it is missing.
_LEVEL_ALIASES: dict[str, Callable[[Any], tuple[str, int] | None]] = {
    "severity": parse_level,
    "levelname": parse_level,
    "severity_text": parse_level,
    "severityText": parse_level,
    "severity_number": parse_opentelemetry_severity,
    "severityNumber": parse_opentelemetry_severity,
}
_TIME_ALIASES = ("timestamp", "@timestamp", "time", "ts", "date", "timeUnixNano")
TIME_NAMES = ("created_at", *_TIME_ALIASES)
_TEXT_KEYS = ("event", "message", "msg", "text")  # of a message that is an object
_MESSAGE_ALIASES = ("msg", "short_message", "body", "log")
MESSAGE_NAMES = ("message", *_MESSAGE_ALIASES)

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class UndecodableRecord:
    """A record that could not be decoded."""

    reason: str


def clean_text(value: Any, depth: int = 2 * MAX_DEPTH) -> Any:
    """Replace what databases cannot store as text, NUL and lone surrogates, by U+FFFD, in a JSON value."""
    if depth == 0 and isinstance(value, (dict, list)):
        return "…"
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {clean_text(key): clean_text(each, depth - 1) for key, each in value.items()}
    if isinstance(value, list):
        return [clean_text(each, depth - 1) for each in value]
    return value


def to_text(value: Any) -> str:
    """Return a JSON value as text: a string unchanged, everything else as JSON."""
    return value if isinstance(value, str) else str(_encode(_limited(value, MAX_DEPTH)), "utf-8")


class RowBuilder:
    """Builds rows from records; ``common`` has default values for all of them.

    Attributes:
        defaults: The row of an empty record, before its level and time are normalized.
        attributes: The attributes of an empty record.
        now: The time of a record without one, in microseconds since 1970.
    """

    def __init__(self, common: Mapping[str, Any], now: int) -> None:
        self.defaults: list[Any] = [None] * len(COLUMNS)
        self.attributes: dict[str, Any] = {}
        self.now = now
        _fill(self.defaults, self.attributes, common)
        if type(self.defaults[_MESSAGE]) is dict:
            self.defaults[_MESSAGE] = to_text(self.defaults[_MESSAGE])

    def build(self, record: dict[str, Any]) -> RecordRow:
        """Return the row for ``record``."""
        row, extra = self.defaults.copy(), self.attributes.copy()
        _fill(row, extra, record)
        if type(row[_MESSAGE]) is dict:
            _spread_message(row, extra, row[_MESSAGE], record)
        _set_level(row, extra)
        _set_time(row, extra, self.now)
        if row[_MESSAGE] is None and extra:
            _find_message(row, extra)
        if extra:
            row[ATTRIBUTES] = str(_encode(extra), "utf-8")
        return tuple(row)


def _fill(row: list[Any], extra: dict[str, Any], record: Mapping[str, Any]) -> None:
    """Copy values of ``record`` into the columns of ``row``, and all others into ``extra``.

    This runs for every record, so common cases come first, and call no function.
    """
    for key, value in record.items():
        position = _TEXT_POSITIONS.get(key)
        if position is not None:
            if type(value) is str and (len(value) <= MAX_TEXT_LENGTH or position in _LONG_TEXT_POSITIONS):
                row[position] = value
            elif type(value) is dict and position == _MESSAGE:
                row[_MESSAGE] = value  # `_spread_message` turns it to text.
            elif value is not None:
                _set_text(row, extra, key, to_text(value))
        elif key == "created_at":
            row[CREATED_AT] = value
        elif key == "level":
            row[LEVEL] = value
        elif key in _NUMBERS:
            _set_number(row, extra, key, value)
        elif type(value) is dict and key in _OBJECTS:
            _add_attributes(extra, value)
        elif type(value) is str and len(key) <= MAX_KEY_LENGTH:
            extra[key] = value
        elif key != "level_number":
            extra[key[:MAX_KEY_LENGTH]] = _limited(value, MAX_DEPTH)


def _spread_message(row: list[Any], extra: dict[str, Any], message: dict[str, Any], record: Mapping[str, Any]) -> None:
    """Make the members of a message that is an object fields of the record, and its text the message."""
    text_key = next((key for key in _TEXT_KEYS if type(message.get(key)) is str), None)
    row[_MESSAGE] = to_text(message) if text_key is None else message[text_key]
    others = {key: value for key, value in message.items() if key != text_key}
    _fill(row, extra, {key: value for key, value in others.items() if key not in record})
    for key, value in others.items():
        if key in record and value != record[key]:
            extra[f"message.{key}"[:MAX_KEY_LENGTH]] = _limited(value, MAX_DEPTH)


def _set_text(row: list[Any], extra: dict[str, Any], key: str, value: str) -> None:
    position = _TEXT_POSITIONS[key]
    if position not in _LONG_TEXT_POSITIONS and len(value) > MAX_TEXT_LENGTH:
        extra[key], value = value, value[:MAX_TEXT_LENGTH]
    row[position] = value


def _set_number(row: list[Any], extra: dict[str, Any], key: str, value: Any) -> None:
    """Set a number, which may be written as text; a value that is not a number becomes an attribute."""
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
        extra[key] = _limited(value, MAX_DEPTH)


def _add_attributes(extra: dict[str, Any], values: dict[str, Any]) -> None:
    """Add the members of ``metadata`` or ``attributes`` to the attributes, without replacing any."""
    for key, value in values.items():
        key = key[:MAX_KEY_LENGTH]
        if key in extra and extra[key] != value:
            key = f"metadata.{key}"
        extra[key] = _limited(value, MAX_DEPTH)


def _set_level(row: list[Any], extra: dict[str, Any]) -> None:
    value = row[LEVEL]
    if type(value) is str and value in LEVELS_BY_SPELLING:
        row[LEVEL], row[LEVEL_NUMBER] = LEVELS_BY_SPELLING[value]
        return
    level = parse_level(value, is_pino="msg" in extra and "time" in extra)
    if value is None:
        for alias, translate in _LEVEL_ALIASES.items():
            level = level or translate(extra.get(alias))
    elif level is None:
        extra["level"] = _limited(value, MAX_DEPTH)
    row[LEVEL], row[LEVEL_NUMBER] = level or LEVELS_BY_SPELLING["INFO"]


def _set_time(row: list[Any], extra: dict[str, Any], now: int) -> None:
    """Set the time: that of arrival if the record has none, or if its clock is wrong, which an attribute shows."""
    value = row[CREATED_AT]
    moment = round(value * 1e6) if type(value) is float and 0 <= value < 1e11 else parse_timestamp(value)
    if value is None:
        for alias in _TIME_ALIASES:
            moment = parse_timestamp(extra.get(alias)) if moment is None else moment
    elif moment is None:
        extra["created_at"] = _limited(value, MAX_DEPTH)
    if moment is not None and not is_credible(moment, now):
        extra[WRONG_CLOCK], moment = iso_time(moment), None
    row[CREATED_AT] = now if moment is None else moment


def _find_message(row: list[Any], extra: dict[str, Any]) -> None:
    for alias in _MESSAGE_ALIASES:
        if alias in extra:
            value = extra.pop(alias)
            if type(value) is dict:
                _spread_message(row, extra, value, {"level": None, "created_at": None})
            else:
                row[_MESSAGE] = to_text(value)
            return


def is_exact(value: float) -> bool:
    """Return whether every database stores a number as it is: JSON has no NaN, and PostgreSQL's JSON has no -0.0."""
    return math.isfinite(value) and (value != 0 or math.copysign(1, value) > 0)


def _limited(value: Any, depth: int) -> Any:
    """Limit the nesting of a JSON value to ``depth``; numbers that a database would change become text."""
    kind = type(value)
    if kind is int:
        return value if value in BIGINT else str(value)
    if kind is float:
        return value if is_exact(value) else str(value)
    if kind is not dict and kind is not list:
        return value
    if depth == 0:
        return "…"
    if kind is list:
        return [_limited(each, depth - 1) for each in value]
    return {key[:MAX_KEY_LENGTH]: _limited(each, depth - 1) for key, each in value.items()}

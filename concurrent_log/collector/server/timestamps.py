"""Parses timestamps of all common formats into microseconds since 1970."""

import re
from datetime import datetime, timedelta, timezone
from typing import Any

MAX_AHEAD = 60_000_000  # microseconds that the clock of a sender may be ahead
EARLIEST = 347_155_200_000_000  # 1981: a clock that was never set begins in 1970 or 1980

_END = 9_214_646_400_000_000  # the year 2262, the end of 64-bit nanoseconds
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)

_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s?(Z|UTC|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)
_NUMBER = re.compile(r"\d{1,19}(\.\d{1,40})?", re.ASCII)


def parse_timestamp(value: Any) -> int | None:
    """Return a number or text as microseconds since 1970; None if it is not a time between 1970 and 2262.

    A number is in seconds, milliseconds, microseconds or nanoseconds: in the unit that gives a time between 1973 and
    5138, or in seconds if it is smaller. ISO 8601 without a time zone is UTC.
    """
    if isinstance(value, str):
        value = value.strip()
        if not _NUMBER.fullmatch(value):
            return _parse_iso(value)
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e20:
        return None
    return _in_range(_to_microseconds(value))


def is_credible(moment: int, now: int) -> bool:
    """Return whether a time can be right: it is neither in the future, nor that of a clock that was never set."""
    return EARLIEST <= moment <= now + MAX_AHEAD


def _to_microseconds(number: float) -> int:
    if number < 1e11:
        return round(number * 1e6)
    if number < 1e14:
        return round(number * 1e3)
    if number < 1e17:
        return round(number)
    return int(number) // 1000


def _parse_iso(text: str) -> int | None:
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    fraction = int((found[7] or "0").ljust(9, "0")[:6])
    try:
        # A leap second counts as the second before it.
        moment = datetime(year, month, day, hour, minute, min(second, 59), fraction, _parse_zone(found[8]))
        return _in_range((moment - _EPOCH) // _MICROSECOND)
    except (ValueError, OverflowError):
        return None


def _parse_zone(text: str | None) -> timezone:
    if text is None or text[0] not in "+-":
        return timezone.utc
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[3:].lstrip(":") or 0))
    return timezone(-offset if text[0] == "-" else offset)


def _in_range(microseconds: int) -> int | None:
    return microseconds if 0 <= microseconds < _END else None

"""Times in queries: ISO 8601, seconds since 1970, or how long ago."""

import re
import time
from decimal import Decimal

from concurrent_log.collector.server.query.quoting import quote_value
from concurrent_log.collector.server.timestamps import parse_timestamp

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

# These patterns have the same meaning in Python and in the OpenAPI document.
_AGO = r"[0-9]{1,6}[smhdw]"
_SECONDS = r"[0-9]{1,10}([.][0-9]{1,9})?"
_YEAR = r"(19[7-9][0-9]|2[01][0-9]{2})"
_LEAP_YEAR = r"(19[79][26]|198[048]|2[01][02468][048]|2[01][13579][26])"
_MONTH_DAY = r"(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8])"
_DAY = f"({_YEAR}-({_MONTH_DAY})|{_LEAP_YEAR}-02-29)"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?"
_ZONE = r"(Z|[+ -]([01][0-9]|2[0-3]):[0-5][0-9])"
_ISO = f"{_DAY}([T ]{_CLOCK}{_ZONE}?)?"
TIME = f"^({_AGO}|{_SECONDS}|{_ISO})$"


def time_in_microseconds(text: str) -> int:
    """Return a time in microseconds since 1970, or raise `ValueError`."""
    if re.fullmatch(_AGO, text):
        return max(0, time.time_ns() // 1000 - int(text[:-1]) * _UNITS[text[-1]] * 1_000_000)
    if re.fullmatch(_SECONDS, text):
        return int(Decimal(text) * 1_000_000)
    if re.fullmatch(_ISO, text):
        # In a URL, a + that is not escaped means a space.
        written = re.sub(r" (\d\d:\d\d)$", r"+\1", text) if text.count(":") > 1 else text
        found = parse_timestamp(f"{written}T00:00" if re.fullmatch(_DAY, text) else written)
        if found is not None or text.startswith("1970-01-01"):
            return found or 0  # 1970 in its own time zone, but not yet in UTC
    remedy = "use ISO 8601, seconds since 1970, or how long ago, such as 15m, 2h or 7d"
    raise ValueError(f"{quote_value(text)} is not a time: {remedy}")

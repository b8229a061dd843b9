"""Translates the level names and numbers of other logging systems."""

import re
from typing import Any

from concurrent_log.collector.store.columns import LEVELS

_SYNONYMS = {
    "TRACE": "TRACE VERBOSE FINE FINER FINEST SILLY NOTSET ALL T V",
    "DEBUG": "DEBUG CONFIG DBG D",
    "INFO": "INFO INFORMATION INFORMATIONAL NOTICE SUCCESS LOG HTTP INF I N",
    "WARN": "WARN WARNING WRN W",
    "ERROR": "ERROR ERR EXCEPTION SEVERE FAIL FAILURE E",
    "FATAL": "FATAL CRITICAL CRIT ALERT EMERG EMERGENCY PANIC DPANIC FTL F C",
}
_LEVEL_NAMES = {synonym: name for name, synonyms in _SYNONYMS.items() for synonym in synonyms.split()}
_LEVEL_NAMES |= {f"{name}{number}": name for name in LEVELS for number in (1, 2, 3, 4)}  # OpenTelemetry's INFO2 …

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")

_SYSLOG = ("FATAL", "FATAL", "FATAL", "ERROR", "WARN", "INFO", "INFO", "DEBUG")

# Level and number by the most common spellings, so that one lookup is enough.
LEVELS_BY_SPELLING = {
    spelling: (name, LEVELS[name])
    for synonym, name in _LEVEL_NAMES.items()
    for spelling in (synonym, synonym.lower(), synonym.capitalize())
}


def parse_level(value: Any, is_pino: bool = False) -> tuple[str, int] | None:
    """Return the level and its number for a name or a number; None if the value is not a level.

    Numbers are those of Python's ``logging``. Those below 8 are syslog's. With ``is_pino``, they are those of pino and
    bunyan.
    """
    if isinstance(value, str):
        name = _COLOUR.sub("", value).strip().upper() if "\x1b" in value else value.strip().upper()
        if name in _LEVEL_NAMES:
            return LEVELS_BY_SPELLING[name]
        if not name.isascii() or not name.isdigit() or len(name) > 9:
            return None
        value = int(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        return None
    return LEVELS_BY_SPELLING[_name_of_number(value, is_pino)]


def parse_opentelemetry_severity(value: Any) -> tuple[str, int] | None:
    """Return the level and its number for a severity number of OpenTelemetry, from 1 to 24."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 24:
        return None
    return LEVELS_BY_SPELLING[list(LEVELS)[(value - 1) // 4]]


def _name_of_number(number: float, is_pino: bool) -> str:
    if is_pino:
        return list(LEVELS)[min(max(int(number) // 10, 1), 6) - 1]
    if number < len(_SYSLOG):
        return _SYSLOG[int(number)]
    return next((name for name, lowest in reversed(LEVELS.items()) if number >= lowest), "TRACE")

"""What the levels of other dialects are called here."""

from typing import Any

from concurrent_log.collector.store import LEVELS

_NAMES = {
    "TRACE": "TRACE VERBOSE FINE FINER FINEST SILLY NOTSET ALL T V",
    "DEBUG": "DEBUG CONFIG DBG D",
    "INFO": "INFO INFORMATION INFORMATIONAL NOTICE SUCCESS LOG HTTP INF I N",
    "WARN": "WARN WARNING WRN W",
    "ERROR": "ERROR ERR EXCEPTION SEVERE FAIL FAILURE E",
    "FATAL": "FATAL CRITICAL CRIT ALERT EMERG EMERGENCY PANIC DPANIC FTL F C",
}
_OURS = {dialect: ours for ours, dialects in _NAMES.items() for dialect in dialects.split()}
_OURS |= {f"{ours}{number}": ours for ours in LEVELS for number in (1, 2, 3, 4)}  # as OpenTelemetry writes them

_SYSLOG = ("FATAL", "FATAL", "FATAL", "ERROR", "WARN", "INFO", "INFO", "DEBUG")

# As they are written most often, so that one look is enough.
BY_NAME = {
    spelled: (ours, LEVELS[ours])
    for dialect, ours in _OURS.items()
    for spelled in (dialect, dialect.lower(), dialect.capitalize())
}


def level_of(value: Any, is_pino: bool = False) -> tuple[str, int] | None:
    """Return the level and its number for a name or a number of any dialect; None where it is none.

    Numbers are those of Python's ``logging``, below 8 those of syslog, or those of pino and bunyan.
    """
    if isinstance(value, str):
        name = value.strip().upper()
        if name in _OURS:
            return BY_NAME[name]
        if not name.isascii() or not name.isdigit() or len(name) > 9:
            return None
        value = int(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        return None
    return BY_NAME[_name_of(value, is_pino)]


def level_of_opentelemetry(value: Any) -> tuple[str, int] | None:
    """Return the level and its number for a severity number of OpenTelemetry, from 1 to 24."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 24:
        return None
    return BY_NAME[list(LEVELS)[(value - 1) // 4]]


def _name_of(number: float, is_pino: bool) -> str:
    if is_pino:
        return list(LEVELS)[min(max(int(number) // 10, 1), 6) - 1]
    if number < len(_SYSLOG):
        return _SYSLOG[int(number)]
    return next((name for name, least in reversed(LEVELS.items()) if number >= least), "TRACE")

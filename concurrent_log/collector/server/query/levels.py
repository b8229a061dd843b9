"""Levels in queries, by their names."""

from concurrent_log.collector.server.query.quoting import quote_value
from concurrent_log.collector.store.columns import LEVELS

LEVEL_NUMBERS = {name: number for level, number in LEVELS.items() for name in (level, level.lower())} | {
    "WARNING": LEVELS["WARN"],
    "warning": LEVELS["WARN"],
    "CRITICAL": LEVELS["FATAL"],
    "critical": LEVELS["FATAL"],
}


def level_number(name: str) -> int:
    """Return the number of a level, or raise `ValueError`; case is ignored."""
    found = LEVEL_NUMBERS.get(name.upper())
    if found is None:
        raise ValueError(f"{quote_value(name)} is not a level: use one of {', '.join(LEVELS)}")
    return found

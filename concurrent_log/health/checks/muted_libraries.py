"""Mutes the loggers of client libraries while a check runs.

Some libraries log a failed connection together with its address. The check itself reports the failure, without the
address. What the rest of the program does with the same library is logged as usual.
"""

import contextlib
import logging
from collections.abc import Iterator
from contextvars import ContextVar

_is_muted: ContextVar[bool] = ContextVar("_is_muted", default=False)


@contextlib.contextmanager
def muted() -> Iterator[None]:
    """Drop the records of all loggers given to `mute_in_checks` in this block, and in tasks started in it."""
    token = _is_muted.set(True)
    try:
        yield
    finally:
        _is_muted.reset(token)


def mute_in_checks(*loggers: str) -> None:
    """Mute these loggers, but not their children, within `muted`."""
    for name in loggers:
        logging.getLogger(name).addFilter(_passes)  # Adding the same filter again has no effect.


def _passes(record: logging.LogRecord) -> bool:
    return not _is_muted.get()

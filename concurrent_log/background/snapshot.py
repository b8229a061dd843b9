"""A record as it was when it was logged, in a form that another thread or process can write later."""

import logging
import sys
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Any

# One record that waits: its attributes, and two of ours. One dictionary and nothing around it, since each waiting
# object costs the garbage collector time.
Snapshot = dict[str, Any]
_LOGGED_AT = "_background_logged_at"
CHOSEN = "_background_chosen"

_FORMATTER = logging.Formatter()


def take(
    record: logging.LogRecord, handlers: Sequence[logging.Handler], chosen: tuple[int, ...] | None = None
) -> Snapshot:
    """Return what is to be written of ``record``: the message merged, the exception as text.

    The text of an exception is that of the first handler's formatter, which is also the one that the standard library
    would keep for all of them. ``chosen`` are the numbers of the handlers whose filters let it pass; None is all.
    """
    values = record.__dict__.copy()
    if values["args"]:
        values["msg"] = record.getMessage()
        values["args"] = None
    elif type(values["msg"]) is dict:
        values["msg"] = _event_of(values["msg"])
    elif type(values["msg"]) is not str:
        values["msg"] = record.getMessage()
    if values["exc_info"]:
        if not values["exc_text"]:
            values["exc_text"] = _exception_text(values["exc_info"], handlers)
        values["exc_info"] = None
    values[_LOGGED_AT] = monotonic()
    if chosen is not None:
        values[CHOSEN] = chosen
    return values


def logged_at(snapshot: Snapshot) -> float:
    """Return when it was logged, by `time.monotonic`."""
    return snapshot[_LOGGED_AT]  # type: ignore[no-any-return]


def chosen_for(number: int, handler: logging.Handler, snapshots: Sequence[Snapshot]) -> Sequence[Snapshot]:
    """Return the snapshots that ``handler``, which is the one of ``number``, is to write."""
    level = handler.level
    return [each for each in snapshots if each["levelno"] >= level and (CHOSEN not in each or number in each[CHOSEN])]


class Restored(Sequence[logging.LogRecord]):
    """The records of snapshots, made as they are asked for: fewer objects at a time for the garbage collector."""

    def __init__(self, snapshots: Sequence[Snapshot]) -> None:
        self._snapshots = snapshots

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._snapshots)

    def __getitem__(self, key: Any) -> Any:
        """Return one record, which shares its attributes with the snapshot, or several."""
        return Restored(self._snapshots[key]) if isinstance(key, slice) else _restore(self._snapshots[key])

    def __iter__(self) -> Iterator[logging.LogRecord]:
        """Return the records, one by one."""
        return map(_restore, self._snapshots)


def _restore(snapshot: Snapshot) -> logging.LogRecord:
    snapshot.pop(_LOGGED_AT, None)
    snapshot.pop(CHOSEN, None)
    record = logging.LogRecord.__new__(logging.LogRecord)
    record.__dict__ = snapshot
    return record


def _event_of(message: dict[Any, Any]) -> dict[Any, Any]:
    """Return a copy of a message that is a dictionary, as JSON formatters and structlog have them.

    structlog says by ``exc_info=True`` that the formatter is to look for the exception, which only the caller sees.
    """
    event = message.copy()
    if event.get("exc_info") is True:
        event["exc_info"] = sys.exc_info()
    return event


def _exception_text(exc_info: Any, handlers: Sequence[logging.Handler]) -> str:
    formatters = (handler.formatter for handler in handlers)
    formatter = next((found for found in formatters if hasattr(found, "formatException")), None) or _FORMATTER
    return formatter.formatException(exc_info)

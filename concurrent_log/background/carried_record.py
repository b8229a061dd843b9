"""Copies of records whose class is the program's own."""

import copy
import logging
from functools import lru_cache
from typing import Any


def carry(record: logging.LogRecord, values: dict[str, Any], *, is_passive: bool) -> logging.LogRecord:
    """Return a copy of ``record`` with the attributes ``values``.

    It has the same class, so that handlers find its methods and properties. Its message is final unless ``is_passive``:
    a ``getMessage`` of the program must not mask or decorate it twice. If the class does not allow a copy, the result
    is a standard record with the same attributes.
    """
    kind: Any = type(record)
    try:
        carried = copy.copy(record)
        vars(carried).pop("getMessage", None)  # A method of the record itself would ignore the final message.
        vars(carried).update(values)
        if not is_passive and not values["args"]:
            carried.__class__ = _with_final_message(kind)
    except Exception:
        carried = logging.makeLogRecord(values)
    return carried


def _final_message(record: logging.LogRecord) -> str:
    return str(vars(record)["msg"])


@lru_cache(maxsize=100)
def _with_final_message(kind: Any) -> Any:
    names = {"__slots__": (), "__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    return type(kind)(kind.__name__, (kind,), {**names, "getMessage": _final_message})

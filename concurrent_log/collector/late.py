"""A record whose parts are put together by who sends it, so that the call that logs it takes less time."""

from collections.abc import Callable
from threading import Thread
from types import CodeType
from typing import Any, NamedTuple

Late = tuple[Any, ...]  # begins with the function that makes an entry of it
Entry = dict[str, Any]


class Call(NamedTuple):
    """What a logging call knows; nothing in it may change afterwards."""

    build: "Callable[[Call], Entry]"
    created_at: float
    level: str
    message: str
    code: CodeType | None
    instruction: int  # of which the line is found later, since that takes longer than all the rest
    thread: Thread
    context: Entry
    fields: Entry
    sequence: int


def entry_of_call(late: Late) -> Entry:
    """Return the entry of a `Call`."""
    call = Call(*late)
    entry = {**call.context, "thread_name": call.thread.name}
    if call.code is not None:
        entry["function_name"] = call.code.co_name
        entry["file_path"] = call.code.co_filename
        entry["line_number"] = line_of(call.code, call.instruction)
    entry.update(call.fields)
    entry["created_at"] = call.created_at
    entry["level"] = call.level
    entry["message"] = call.message
    entry["sequence"] = call.sequence
    return entry


_lines: dict[tuple[int, int], tuple[CodeType, int | None]] = {}
_MOST_LINES = 10_000  # that are remembered


def line_of(code: CodeType, instruction: int) -> int | None:
    """Return the number of the line that has an instruction of ``code``."""
    place = (id(code), instruction)
    found = _lines.get(place)
    if found is None:
        line = next((line for start, end, line in code.co_lines() if start <= instruction < end), None)
        if len(_lines) >= _MOST_LINES:
            _lines.clear()
        found = _lines[place] = (code, line)  # With the code, whose id is its own as long as it is kept.
    return found[1]


def built(entry: Entry | Late) -> Entry:
    """Return ``entry``, put together if it is not yet."""
    return entry if isinstance(entry, dict) else entry[0](entry)

"""A record whose parts are put together by who sends it, so that the call that logs it takes less time."""

from types import CodeType
from typing import Any

Late = tuple[Any, ...]  # begins with the function that makes an entry of it
Entry = dict[str, Any]


def entry_of_call(late: Late) -> Entry:
    """Return the entry of a logging call, of which nothing may change any more.

    After this function come: when, the level, the message, the caller's code (or None) and instruction, the thread, the
    fields of its context and those of the call, and the number of the record.
    """
    _, created_at, level, message, code, instruction, thread, around, fields, sequence = late
    entry = {**around, "thread_name": thread.name}
    if code is not None:
        entry["function_name"] = code.co_name
        entry["file_path"] = code.co_filename
        entry["line_number"] = line_of(code, instruction)
    entry.update(fields)
    entry.update(created_at=created_at, level=level, message=message, sequence=sequence)
    return entry


_lines: dict[tuple[int, int], tuple[CodeType, int | None]] = {}
_MOST_LINES = 10_000  # that are remembered


def line_of(code: CodeType, instruction: int) -> int | None:
    """Return the number of the line of an instruction of ``code``; to ask the frame takes as long as a whole call."""
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

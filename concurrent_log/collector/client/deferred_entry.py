"""Deferred entries: the sender thread builds the record, so that the logging call takes less time."""

from types import CodeType
from typing import Any

Entry = dict[str, Any]
DeferredEntry = tuple[Any, ...]  # the function that builds the entry, then its arguments


def build_call_entry(deferred: DeferredEntry) -> Entry:
    """Build the entry of one logging call from values that no longer change.

    The values after the function: time, level, message, the caller's code (or None) and instruction, thread, fields of
    the context, fields of the call, sequence number.
    """
    _, created_at, level, message, code, instruction, thread, context_fields, fields, sequence = deferred
    entry = {**context_fields, "thread_name": thread.name}
    if code is not None:
        entry["function_name"] = code.co_name
        entry["file_path"] = code.co_filename
        entry["line_number"] = line_number(code, instruction)
    entry.update(fields)
    entry.update(created_at=created_at, level=level, message=message, sequence=sequence)
    return entry


_lines: dict[tuple[int, int], tuple[CodeType, int | None]] = {}
_MOST_LINES = 10_000  # in the cache


def line_number(code: CodeType, instruction: int) -> int | None:
    """Return the line number of an instruction of ``code``; ``f_lineno`` takes as long as a whole logging call."""
    place = (id(code), instruction)
    cached = _lines.get(place)
    if cached is None:
        line = next((line for start, end, line in code.co_lines() if start <= instruction < end), None)
        if len(_lines) >= _MOST_LINES:
            _lines.clear()
        cached = _lines[place] = (code, line)  # The reference to the code keeps its id unique.
    return cached[1]


def build_entry(entry: Entry | DeferredEntry) -> Entry:
    """Return ``entry``, and build it first if it is deferred."""
    return entry if isinstance(entry, dict) else entry[0](entry)

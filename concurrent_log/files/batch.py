"""Batches: many records appended in one write, under one lock."""

import logging
from collections.abc import Callable, Iterator, Sequence

from concurrent_log.files.writer import LogWriter

_LARGEST_WRITE = 256 * 1024  # bytes of one write; other processes wait for as long
_MOST_ALONE = 100  # records that are written under one exclusive lock

Records = Sequence[logging.LogRecord]
Encode = Callable[[logging.LogRecord], bytes]
HandleError = Callable[[logging.LogRecord], None]


def append_batch(writer: LogWriter, records: Records, encode: Encode, handle_error: HandleError) -> None:
    """Append ``records`` in order; what fails is reported through ``handle_error``."""
    largest = min(writer.grants.limit() or _LARGEST_WRITE, _LARGEST_WRITE)
    for group, pieces in _groups(records, encode, handle_error, largest):
        with writer.lock_file.mutex:
            _append_group(writer, group, pieces, handle_error)


def _groups(
    records: Records, encode: Encode, handle_error: HandleError, largest: int
) -> Iterator[tuple[Records, list[bytes]]]:
    """Yield records of one period that are not too large for one write, with their bytes."""
    pieces: list[bytes] = []
    first, second, size = 0, 0.0, 0  # of the current group
    for number, record in enumerate(records):
        try:
            begins, data = record.created // 1, encode(record)
        except Exception:
            handle_error(record)
            begins, data = 0.0, b""
        size += len(data)
        if not data or begins != second or size >= largest:
            if pieces:
                yield records[first:number], pieces
            pieces = []
            first, second, size = number, begins, len(data)
        if data:
            pieces.append(data)
        else:
            first += 1
    if pieces:
        yield records[first:], pieces


def _append_group(writer: LogWriter, records: Records, pieces: list[bytes], handle_error: HandleError) -> None:
    while pieces:
        done = 1
        try:
            done = _append_first(writer, records, pieces, handle_error)
        except RecursionError:
            raise
        except Exception:
            handle_error(records[0])
        records, pieces = records[done:], pieces[done:]


def _append_first(writer: LogWriter, records: Records, pieces: list[bytes], handle_error: HandleError) -> int:
    """Append the first of ``pieces``, and return how many are done: written, or reported."""
    if writer.lock_file.held or writer.is_special:
        writer.append(records[0], pieces[0])
        return 1
    joined = b"".join(pieces)
    written, end = writer.append_joined(records[0], joined) if writer.log_file.can_share() else (0, 0)
    if written == len(joined):
        return len(pieces)
    if not written:
        few = list(zip(records[:_MOST_ALONE], pieces[:_MOST_ALONE], strict=True))
        writer.append_each(few, handle_error)
        return len(few)
    done = 0
    while written >= len(pieces[done]):
        written -= len(pieces[done])
        done += 1
    try:
        writer.append(records[done], pieces[done], written, end)
    except RecursionError:
        raise
    except Exception:
        handle_error(records[done])
    return done + 1

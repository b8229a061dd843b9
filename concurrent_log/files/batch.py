"""Many records at once: appended in one write, under one lock."""

import logging
from collections.abc import Iterator, Sequence

from concurrent_log.files.streams import raw_file
from concurrent_log.files.writer import SharedFileHandler

_LARGEST_WRITE = 256 * 1024  # bytes that are written at once; others wait for as long
_MOST_ALONE = 100  # records that are written under one exclusive lock

_Records = Sequence[logging.LogRecord]
_Pieces = list[bytes]  # what is to be appended for each of the records


class BatchFileHandler(SharedFileHandler):
    """The part that appends many records at once; not of use on its own."""

    def emit_batch(self, records: Sequence[logging.LogRecord]) -> None:
        """Append ``records`` in order, as `emit` would one by one, but many of them under one lock.

        The sequence may make its records as they are asked for: as a rule, each is asked for once. What goes wrong is
        reported through ``handleError``, also where formatting recurses without an end; like `emit`, this raises
        nothing but `RecursionError`.
        """
        if self._overrides("emit"):
            for record in records:
                self.emit(record)
            return
        for group, pieces in self._groups(records):
            with self._lock_file.mutex:
                self._append_group(group, pieces)

    def _groups(self, records: _Records) -> Iterator[tuple[_Records, _Pieces]]:
        """Yield records that are surely of one period, and not too much for one write, with what they become."""
        largest = min(self._largest_size() or _LARGEST_WRITE, _LARGEST_WRITE)
        pieces: _Pieces = []
        first, second, size = 0, 0.0, 0  # of the records in hand
        for number, record in enumerate(records):
            try:
                begins, data = record.created // 1, self._encoded(record)
            except Exception:
                self.handleError(record)
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

    def _append_group(self, records: _Records, pieces: _Pieces) -> None:
        while pieces:
            done = 1
            with self._reporting(records[0]):
                done = self._append_first(records, pieces)
            records, pieces = records[done:], pieces[done:]

    def _append_first(self, records: _Records, pieces: _Pieces) -> int:
        """Append the first of ``pieces``, and return how many are done: written, or reported."""
        if self._lock_file.held or self._is_special:
            self._emit_carefully(records[0], pieces[0])
            return 1
        joined = b"".join(pieces)
        written, end = self._append_joined(records[0], joined) if self._may_share() else (0, 0)
        if written == len(joined):
            return len(pieces)
        if not written:
            self._append_each(records[:_MOST_ALONE], pieces[:_MOST_ALONE])
            return min(len(pieces), _MOST_ALONE)
        done = 0
        while written >= len(pieces[done]):
            written -= len(pieces[done])
            done += 1
        with self._reporting(records[done]):
            self._emit_carefully(records[done], pieces[done], written, end)
        return done + 1

    def _append_joined(self, record: logging.LogRecord, data: bytes) -> tuple[int, int]:
        """Append ``data``, which begins with ``record``; return how many bytes are written, and where they end.

        That is nothing where more than appending is to be done first.
        """
        problems: list[Exception] = []
        with self._lock_file.hold(exclusive=False, timeout=self._lock_timeout) as problem:
            span = self._try_to_look(record, data, problems, alone=False) if problem is None else None
            if span is None:
                return 0, 0  # What went wrong will do so again, and be reported then.
            torn = self._write(record, data, span, problems)
        self._report("append", record, problems)
        return (len(data), 0) if torn is None else (torn.end - torn.start, torn.end)

    def _append_each(self, records: _Records, pieces: _Pieces) -> None:
        """Append the pieces one by one under the exclusive lock."""
        problems: list[Exception] = []
        with self._lock_file.hold(exclusive=True, timeout=self._lock_timeout) as problem:
            try:
                for record, data in zip(records, pieces, strict=True):
                    with self._reporting(record):
                        self._append_alone(record, data, None, problem, problems)
            finally:
                if not self._keeps_open() and raw_file(self.stream) is not None:
                    self._close_stream()
        self._report("append", records[0], problems)
        self._finish(records[0])

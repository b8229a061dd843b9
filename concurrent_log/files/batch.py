"""Batches: many records are appended in one write, under one lock."""

import logging
from collections.abc import Iterator, Sequence

from concurrent_log.files.streams import raw_file
from concurrent_log.files.writer import SharedFileHandler

_MAX_WRITE = 256 * 1024  # bytes of one write, during which other writers wait
_MAX_EXCLUSIVE_RECORDS = 100  # records written under one exclusive lock

_Records = Sequence[logging.LogRecord]
_Encoded = list[bytes]  # the bytes of each record


class BatchFileHandler(SharedFileHandler):
    """Base class: adds `emit_batch` to a handler."""

    def emit_batch(self, records: Sequence[logging.LogRecord]) -> None:
        """Append ``records`` in order, with the result of one `emit` each, but many of them under one lock.

        The sequence may create its records on access: each is usually accessed once. Errors are reported through
        ``handleError``, including endless recursion in formatting. Like `emit`, this raises nothing but
        `RecursionError`.
        """
        if self._overrides("emit"):
            for record in records:
                self.emit(record)
            return
        for group, encoded in self._groups(records):
            with self._lock_file.mutex:
                self._append_group(group, encoded)

    def _groups(self, records: _Records) -> Iterator[tuple[_Records, _Encoded]]:
        """Yield groups of records created in the same second that fit into one write, with their bytes."""
        largest = min(self._max_file_size() or _MAX_WRITE, _MAX_WRITE)
        encoded: _Encoded = []
        first, group_second, size = 0, 0.0, 0  # of the current group
        for number, record in enumerate(records):
            try:
                record_second, data = record.created // 1, self._encode(record)
            except Exception:
                self.handleError(record)
                record_second, data = 0.0, b""
            size += len(data)
            if not data or record_second != group_second or size >= largest:
                if encoded:
                    yield records[first:number], encoded
                encoded = []
                first, group_second, size = number, record_second, len(data)
            if data:
                encoded.append(data)
            else:
                first += 1
        if encoded:
            yield records[first:], encoded

    def _append_group(self, records: _Records, encoded: _Encoded) -> None:
        while encoded:
            done = 1
            with self._reporting(records[0]):
                done = self._append_first(records, encoded)
            records, encoded = records[done:], encoded[done:]

    def _append_first(self, records: _Records, encoded: _Encoded) -> int:
        """Append the first records of ``encoded``, and return how many are done: written or reported."""
        if self._lock_file.held or self._is_special:
            self._emit_slow_path(records[0], encoded[0])
            return 1
        joined = b"".join(encoded)
        written, end = self._append_joined(records[0], joined) if self._can_share_lock() else (0, 0)
        if written == len(joined):
            return len(encoded)
        if not written:
            self._append_each(records[:_MAX_EXCLUSIVE_RECORDS], encoded[:_MAX_EXCLUSIVE_RECORDS])
            return min(len(encoded), _MAX_EXCLUSIVE_RECORDS)
        done = 0
        while written >= len(encoded[done]):
            written -= len(encoded[done])
            done += 1
        with self._reporting(records[done]):
            self._emit_slow_path(records[done], encoded[done], written, end)
        return done + 1

    def _append_joined(self, record: logging.LogRecord, data: bytes) -> tuple[int, int]:
        """Append ``data``, which begins with ``record``; return the bytes written and their end offset.

        Nothing is written if the exclusive lock is needed.
        """
        problems: list[Exception] = []
        with self._lock_file.hold(exclusive=False, timeout=self._lock_timeout) as problem:
            span = self._try_check_state(record, data, problems, exclusive=False) if problem is None else None
            if span is None:
                return 0, 0  # A failure occurs again on the next attempt, and is reported then.
            torn = self._write(record, data, span, problems)
        self._report("append", record, problems)
        return (len(data), 0) if torn is None else (torn.end - torn.start, torn.end)

    def _append_each(self, records: _Records, encoded: _Encoded) -> None:
        """Append the records one by one under the exclusive lock."""
        problems: list[Exception] = []
        with self._lock_file.hold(exclusive=True, timeout=self._lock_timeout) as problem:
            try:
                for record, data in zip(records, encoded, strict=True):
                    with self._reporting(record):
                        self._append_exclusively(record, data, None, problem, problems)
            finally:
                if not self._keeps_file_open() and raw_file(self.stream) is not None:
                    self._close_stream()
        self._report("append", records[0], problems)
        self._finish_rollover(records[0])

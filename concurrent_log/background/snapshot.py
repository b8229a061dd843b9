"""Snapshots: records that no longer change, which another thread or process can write later."""

import logging
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Any

from concurrent_log.background.exact_snapshot import (
    HANDLER_NUMBERS,
    LOGGED_AT,
    RECORD,
    TEXTS,
    Snapshot,
    can_merge,
    take_exact_snapshot,
)
from concurrent_log.background.frozen_values import ATOMS
from concurrent_log.background.target_texts import Texts, forget_exception_text
from concurrent_log.internal.record_classes import standard_message

LogRecord = logging.LogRecord  # looked up for each record
_STANDARD_ATTRIBUTES = len(vars(logging.makeLogRecord({})))


def take_snapshot(
    record: logging.LogRecord,
    handlers: Sequence[logging.Handler],
    handler_numbers: tuple[int, ...] | None = None,
    is_shared: bool = False,
    has_standard_texts: bool = False,
) -> Snapshot | None:
    """Return a copy of ``record``, which gives the same texts later as the record gives now.

    The message is merged and the exception is formatted, unless a formatter of the program may need their parts.

    Args:
        record: The record that was logged.
        handlers: The handlers that write.
        handler_numbers: The indexes of the handlers that accept the record; None means all handlers.
        is_shared: Further handlers get the record after these. The caller then calls `forget_exception_text`.
        has_standard_texts: What `Targets.have_standard_texts` returns for the handlers.

    Returns:
        The snapshot, or None if no handler can format the record.
    """
    # In one function: it runs for each record.
    values: Snapshot | None = None
    if type(record) is LogRecord and LogRecord.getMessage is standard_message and not record.exc_info:
        args = record.args
        if type(record.msg) is not str:
            pass
        elif not args and not is_shared:
            values = record.__dict__.copy()
        elif has_standard_texts:
            # A copy without the arguments has nothing that the garbage collector must follow, and it does not look at
            # it again. Thousands of others in the queue make it interrupt the logging calls.
            message = record.msg % args if args else record.msg
            try:
                record.args = None
                values = record.__dict__.copy()
            finally:
                record.args = args
            values["msg"] = message
        elif not is_shared and type(args) is tuple and ATOMS.issuperset(map(type, args)) and can_merge(record):
            values = record.__dict__.copy()
        if values is not None and len(values) > _STANDARD_ATTRIBUTES and not _has_plain_extras(values):
            values = None
    if values is None:
        try:
            numbers = range(len(handlers)) if handler_numbers is None else handler_numbers
            values = take_exact_snapshot(record, handlers, numbers, is_shared=is_shared)
        finally:
            if not is_shared:
                forget_exception_text(record)
        if values is None:
            return None
    values[LOGGED_AT] = monotonic()
    if handler_numbers is not None:
        values.setdefault(HANDLER_NUMBERS, handler_numbers)
    return values


def _has_plain_extras(values: Snapshot) -> bool:
    others = [value for value in values.values() if type(value) not in ATOMS]
    return not others or (len(others) == 1 and others[0] is values["args"])


def logged_at(snapshot: Snapshot) -> float:
    """Return the time of the logging call, by `time.monotonic`."""
    return snapshot[LOGGED_AT]  # type: ignore[no-any-return]


def select_for_handler(number: int, snapshots: Sequence[Snapshot]) -> Sequence[Snapshot]:
    """Return the snapshots that the handler with the index ``number`` has to write."""
    return [each for each in snapshots if HANDLER_NUMBERS not in each or number in each[HANDLER_NUMBERS]]


def texts_for_handler(number: int, snapshots: Sequence[Snapshot]) -> Texts:
    """Return the texts that were formatted in the logging call, by the ``id`` of the attributes of their record."""
    return {
        id(vars(each[RECORD]) if RECORD in each else each): each[TEXTS][number]
        for each in snapshots
        if TEXTS in each and number in each[TEXTS]
    }


class RestoredRecords(Sequence[logging.LogRecord]):
    """The records of snapshots, created on access: fewer live objects for the garbage collector."""

    def __init__(self, snapshots: Sequence[Snapshot]) -> None:
        self._snapshots = snapshots

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._snapshots)

    def __getitem__(self, key: Any) -> Any:
        """Return one record, which shares its attributes with the snapshot, or a slice of the records."""
        return RestoredRecords(self._snapshots[key]) if isinstance(key, slice) else _restore(self._snapshots[key])

    def __iter__(self) -> Iterator[logging.LogRecord]:
        """Return an iterator over the records."""
        return map(_restore, self._snapshots)


def _restore(snapshot: Snapshot) -> logging.LogRecord:
    if RECORD in snapshot:
        return snapshot[RECORD]  # type: ignore[no-any-return]
    snapshot.pop(LOGGED_AT, None)
    snapshot.pop(HANDLER_NUMBERS, None)
    snapshot.pop(TEXTS, None)
    record = logging.LogRecord.__new__(logging.LogRecord)
    record.__dict__ = snapshot
    return record

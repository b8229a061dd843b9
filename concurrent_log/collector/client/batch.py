"""A batch: the records of one request, sent again under the same id until the server has stored them."""

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from concurrent_log.collector.client.losses import Loss

LARGEST_BATCH = 4 * 2**20  # bytes of records; a single record may be larger
DIVIDE, SETTLE = "divide", "settle"
_GZIP_LEVEL = 1  # Higher levels cost three times the time and save a tenth of the size.


@dataclass
class OutgoingBatch:
    """Records that are being sent.

    Attributes:
        id: Identifies the batch to the server; it is the same each time the batch is sent.
        common: The fields that all records share, as JSON.
        logs: The records, as JSON; an empty one is the place of a record that a spool has lost.
        losses: The records lost before this batch; they are reported with its first part.
        parts: The parts that are not settled, as pairs of start and stop; the last pair is sent next. A batch that is
            too large, or that contains a bad record, is divided here.
        place: The place of the batch in a spool.
        note: Called at each step of dividing and settling, so that a process can continue after a crash.
        shortened: For each record, the lengths that its texts were shortened to, in order. Each shortening changes
            the id of the part, because the record is no longer the same.
        failures: The number of unexpected errors while this batch was sent.
    """

    id: str
    common: bytes
    logs: list[bytes]
    losses: list[Loss] = field(default_factory=list)
    parts: list[tuple[int, int]] = field(default_factory=list)
    place: Any = None
    note: Callable[[str], None] = lambda step: None
    shortened: dict[int, list[int]] = field(default_factory=dict)
    failures: int = 0

    def __post_init__(self) -> None:
        self.parts = [(0, len(self.logs))]

    def pending(self) -> int:
        """Return the number of records that are not settled."""
        return sum(self.count(start, stop) for start, stop in self.parts)

    def count(self, start: int, stop: int) -> int:
        """Return the number of records in a part, without empty ones."""
        return sum(map(bool, self.logs[start:stop]))

    def divide(self) -> None:
        """Replace the next part by its two halves."""
        self.note(DIVIDE)
        self._halve()

    def pop(self) -> tuple[int, int]:
        """Settle the next part and return it."""
        self.note(SETTLE)
        return self.parts.pop()

    def repeat(self, steps: Sequence[str]) -> None:
        """Divide and settle again as before a crash."""
        for step in steps:
            if self.parts and step == SETTLE:
                self.parts.pop()
            elif self.parts:
                self._halve()

    def _halve(self) -> None:
        start, stop = self.parts.pop()
        middle = (start + stop) // 2
        self.parts += [(middle, stop), (start, middle)]

    def part(self) -> list[bytes]:
        """Return the records of the next part, shortened if necessary."""
        start, stop = self.parts[-1]
        lengths = self.shortened.get(start)
        return [shorten(self.logs[start], lengths[-1])] if lengths else self.logs[start:stop]

    def part_id(self) -> str:
        """Return the id of the next part."""
        start, stop = self.parts[-1]
        lengths = self.shortened.get(start, ())
        return self._id_of(start, stop, *lengths[-1:])

    def larger_ids(self) -> list[str]:
        """Return the ids of all batches that the next part was divided or shortened from, the whole batch first.

        A server that has stored one of these has stored the part.
        """
        start, stop = self.parts[-1]
        first, last = 0, len(self.logs)
        ids = []
        while last - first > max(1, stop - start):
            ids.append(self._id_of(first, last))
            middle = (first + last) // 2
            first, last = (first, middle) if stop <= middle else (middle, last)
        lengths = self.shortened.get(start, ())
        if lengths:
            ids.append(self._id_of(start, stop))
        return ids + [self._id_of(start, stop, length) for length in lengths[:-1]]

    def _id_of(self, start: int, stop: int, *length: int) -> str:
        if (start, stop, *length) == (0, len(self.logs)):
            return self.id
        return f"{self.id}:{'-'.join(map(str, (start, stop, *length)))}"


def build_body(batch: OutgoingBatch, client: bytes) -> bytes:
    """Return the body of the request for the next part of ``batch``."""
    head = b'{"batch_id":%b,"client":%b,"common":%b,' % (_json(batch.part_id()), client, batch.common)
    if larger := batch.larger_ids():
        head += b'"part_of":%b,' % _json(larger)
    if batch.parts[-1][0] == 0 and batch.losses:
        head += b'"dropped":%b,' % _json([loss._asdict() for loss in batch.losses])
    return b'%b"logs":[%b]}' % (head, b",".join(filter(None, batch.part())))


def compress(body: bytes) -> bytes:
    """Return ``body`` in gzip format."""
    return gzip.compress(body, _GZIP_LEVEL, mtime=0)


def shorten(record: bytes, longest: int) -> bytes:
    """Return a record with its texts cut to ``longest`` characters; each cut text ends with the number of the rest."""
    entry = msgspec.json.decode(record)
    return msgspec.json.encode({name: _shorten_value(value, longest) for name, value in entry.items()})


def _shorten_value(value: Any, longest: int) -> Any:
    if isinstance(value, (dict, list)):
        encoded = msgspec.json.encode(value)
        value = encoded.decode() if len(encoded) > longest else value
    if isinstance(value, str) and len(value) > longest:
        return f"{value[:longest]}… [{len(value) - longest:,} characters left out]"
    return value


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)

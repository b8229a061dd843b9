"""A batch: the records that go to the server in one request, and come again under the same id."""

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from concurrent_log.collector.client.losses import Drop

LARGEST_BATCH = 4 * 2**20  # bytes of records, unless it is one alone
DIVIDE, SETTLE = "divide", "settle"
_GZIP_LEVEL = 1  # Higher ones cost three times as much for a tenth less.


@dataclass
class Batch:
    """Records on their way.

    Attributes:
        id: What the server knows them by; the same however often they are sent.
        common: What holds for all of them, as JSON.
        logs: The records, as JSON; an empty one stands for one that a spool has lost.
        dropped: What was lost before them; it goes with the first part.
        parts: What is not settled yet, as pairs of where it begins and ends; the last one is the next one. A batch
            that is too large, or has something bad in it, is divided here.
        place: Where a spool has it.
        note: Called with each step of dividing and settling, for who begins with this batch again after a crash.
        shortened: To how many characters the texts of a record were shortened, one time after the other. Each time
            makes its id another one, since it is not the same record any more.
        failures: How often something unexpected happened to it.
    """

    id: str
    common: bytes
    logs: list[bytes]
    dropped: list[Drop] = field(default_factory=list)
    parts: list[tuple[int, int]] = field(default_factory=list)
    place: Any = None
    note: Callable[[str], None] = lambda step: None
    shortened: dict[int, list[int]] = field(default_factory=dict)
    failures: int = 0

    def __post_init__(self) -> None:
        self.parts = [(0, len(self.logs))]

    def left(self) -> int:
        """Return how many records are not settled."""
        return sum(self.count(start, stop) for start, stop in self.parts)

    def count(self, start: int, stop: int) -> int:
        """Return how many records there are in a part; empty ones are none."""
        return sum(map(bool, self.logs[start:stop]))

    def divide(self) -> None:
        """Let the halves of the next part go one after the other."""
        self.note(DIVIDE)
        self._halve()

    def pop(self) -> tuple[int, int]:
        """Return the next part, which is settled."""
        self.note(SETTLE)
        return self.parts.pop()

    def repeat(self, steps: Sequence[str]) -> None:
        """Divide and settle as it was done before a crash."""
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
        """Return the records of the next part, as they are to be sent."""
        start, stop = self.parts[-1]
        lengths = self.shortened.get(start)
        return [shortened(self.logs[start], lengths[-1])] if lengths else self.logs[start:stop]

    def part_id(self) -> str:
        """Return the id of the next part."""
        start, stop = self.parts[-1]
        lengths = self.shortened.get(start, ())
        return self._id_of(start, stop, *lengths[-1:])

    def larger(self) -> list[str]:
        """Return the ids of all that the next part was divided from, and shortened from, the whole first.

        A server that has stored one of these has stored the part.
        """
        start, stop = self.parts[-1]
        first, last = 0, len(self.logs)
        found = []
        while last - first > max(1, stop - start):
            found.append(self._id_of(first, last))
            middle = (first + last) // 2
            first, last = (first, middle) if stop <= middle else (middle, last)
        lengths = self.shortened.get(start, ())
        if lengths:
            found.append(self._id_of(start, stop))
        return found + [self._id_of(start, stop, longest) for longest in lengths[:-1]]

    def _id_of(self, start: int, stop: int, *length: int) -> str:
        if (start, stop, *length) == (0, len(self.logs)):
            return self.id
        return f"{self.id}:{'-'.join(map(str, (start, stop, *length)))}"


def body_of(batch: Batch, client: bytes) -> bytes:
    """Return the body of the request for the next part of ``batch``."""
    head = b'{"batch_id":%b,"client":%b,"common":%b,' % (_json(batch.part_id()), client, batch.common)
    if larger := batch.larger():
        head += b'"part_of":%b,' % _json(larger)
    if batch.parts[-1][0] == 0 and batch.dropped:
        head += b'"dropped":%b,' % _json(drops(batch.dropped))
    return b'%b"logs":[%b]}' % (head, b",".join(filter(None, batch.part())))


def compressed(body: bytes) -> bytes:
    """Return ``body`` as gzip has it."""
    return gzip.compress(body, _GZIP_LEVEL, mtime=0)


def shortened(record: bytes, longest: int) -> bytes:
    """Return a record whose texts have ``longest`` characters at most; how many are missing is said."""
    entry = msgspec.json.decode(record)
    return msgspec.json.encode({name: _short(value, longest) for name, value in entry.items()})


def _short(value: Any, longest: int) -> Any:
    if isinstance(value, (dict, list)):
        value = msgspec.json.encode(value).decode() if len(msgspec.json.encode(value)) > longest else value
    if isinstance(value, str) and len(value) > longest:
        return f"{value[:longest]}… [{len(value) - longest:,} characters left out]"
    return value


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)


def drops(dropped: Sequence[Drop]) -> list[dict[str, Any]]:
    """Return what was lost in the wire's names."""
    return [drop._asdict() for drop in dropped]

"""Finds the entries of a Loki request in protobuf (`push.proto` of Loki)."""

import ast
import re
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest.loki.record import common_of, record_of, weight_of
from concurrent_log.collector.server.ingest.memory_budget import MemoryLease, WeightLimit
from concurrent_log.collector.server.ingest.normalize import UndecodableRecord, clean_text
from concurrent_log.collector.server.ingest.protobuf_messages import (
    BYTES,
    INT32,
    INT64,
    OPTIONAL,
    REPEATED,
    STRING,
    message_types,
)

_OUTER_WEIGHT = 8  # bytes of memory for one byte of the request, in the outer levels
_PAIR_WEIGHT = 300  # bytes of memory
_SECOND = 1_000_000_000  # nanoseconds

_PushRequest, _Stream, _Entry, _Timestamp, _Pair = message_types(
    "concurrent_log.loki",
    {
        "PushRequest": {"streams": (1, REPEATED, BYTES)},
        "Stream": {"labels": (1, OPTIONAL, STRING), "entries": (2, REPEATED, BYTES)},
        "Entry": {
            "timestamp": (1, OPTIONAL, BYTES),
            "line": (2, OPTIONAL, STRING),
            "structured_metadata": (3, REPEATED, BYTES),
        },
        "Timestamp": {"seconds": (1, OPTIONAL, INT64), "nanos": (2, OPTIONAL, INT32)},
        "Pair": {"name": (1, OPTIONAL, STRING), "value": (2, OPTIONAL, STRING)},
    },
)
_LABEL = re.compile(r'\s*([a-zA-Z_][\w.:-]*)\s*=\s*("(?:[^"\\\n]|\\.)*")\s*(?:,|$)')
_MAX_LABELS_LENGTH = 100_000  # characters


def read_entries(content: bytes, max_weight: int, lease: MemoryLease) -> Iterator[dict[str, Any] | UndecodableRecord]:
    """Yield the records; raise `Problem` if the body is invalid outside of its entries."""
    limit = WeightLimit(max_weight, lease)
    lease.reserve(_OUTER_WEIGHT * len(content))
    try:
        for part in _PushRequest.FromString(content).streams:
            stream = _Stream.FromString(part)
            common = common_of(clean_text(_parse_labels(stream.labels)))
            limit.add(weight_of(common) * (1 + len(stream.entries)))
            for entry in stream.entries:
                yield _read_entry(common, entry, limit)
    except DecodeError as error:
        raise Problem(400, f"the body is not a push request of Loki in protobuf: {error}"[:300]) from None


def _read_entry(common: dict[str, Any], content: bytes, limit: WeightLimit) -> dict[str, Any] | UndecodableRecord:
    try:
        entry = _Entry.FromString(content)
        time = _Timestamp.FromString(entry.timestamp)
        line, metadata = entry.line, {}
        if entry.structured_metadata:
            limit.add(_PAIR_WEIGHT * len(entry.structured_metadata))
            pairs = map(_Pair.FromString, entry.structured_metadata)
            metadata = clean_text({pair.name: pair.value for pair in pairs})
        return record_of(
            common, time.seconds * _SECOND + time.nanos, clean_text(line) if "\0" in line else line, metadata, limit
        )
    except DecodeError as error:
        return UndecodableRecord(f"the entry is not one of Loki: {error}"[:200])


def _parse_labels(text: str) -> dict[str, str]:
    """Return labels written as ``{name="value", …}``; the values have the escapes of Go, which Python has, too."""
    inner = text.strip().removeprefix("{").removesuffix("}").rstrip()
    found: dict[str, str] = {}
    position = 0
    while position < len(inner):
        label = _LABEL.match(inner, position)
        if label is None or len(inner) > _MAX_LABELS_LENGTH:
            raise Problem(400, f'the labels must be written as {{name="value"}}, not {text[:100]!r}')
        try:
            found[label[1]] = str(ast.literal_eval(label[2]))
        except (ValueError, SyntaxError):
            found[label[1]] = label[2][1:-1]
        position = label.end()
    return found

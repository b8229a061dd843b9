"""Finds the entries of a Loki request in JSON."""

from collections.abc import Iterator
from typing import Any

import msgspec

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest.json_text import estimate_weight
from concurrent_log.collector.server.ingest.loki.record import common_of, record_of, weight_of
from concurrent_log.collector.server.ingest.memory_budget import MemoryLease, WeightLimit
from concurrent_log.collector.server.ingest.normalize import UndecodableRecord, clean_text


class _Stream(msgspec.Struct):
    stream: dict[str, Any] = {}
    values: list[msgspec.Raw] = []


class _Push(msgspec.Struct):
    streams: list[_Stream]


class _Entry(msgspec.Struct, array_like=True):
    time: int | str
    line: str
    metadata: dict[str, Any] | None = None


_decode_push = msgspec.json.Decoder(_Push).decode
_decode_entry = msgspec.json.Decoder(_Entry).decode
_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_entries(content: bytes, max_weight: int, lease: MemoryLease) -> Iterator[dict[str, Any] | UndecodableRecord]:
    """Yield the records; raise `Problem` if the body is invalid outside of its entries."""
    limit = WeightLimit(max_weight, lease)
    limit.add(estimate_weight(content, max_weight))
    has_nul = b"\\u0000" in content
    try:
        push = _decode_push(content)
    except _ERRORS as error:
        raise Problem(400, f"the body is not a push request of Loki in JSON: {error}"[:300]) from None
    for stream in push.streams:
        common = common_of(clean_text(stream.stream))
        limit.add(weight_of(common) * len(stream.values))
        for value in stream.values:
            yield _read_entry(common, bytes(value), limit, has_nul=has_nul)


def _read_entry(
    common: dict[str, Any], content: bytes, limit: WeightLimit, *, has_nul: bool
) -> dict[str, Any] | UndecodableRecord:
    try:
        entry = _decode_entry(content)
        line, metadata = entry.line, entry.metadata or {}
        if has_nul:
            line, metadata = clean_text(line), clean_text(metadata)
        return record_of(common, int(entry.time), line, metadata, limit)
    except (*_ERRORS, ValueError) as error:
        return UndecodableRecord(f"the entry is not a time in nanoseconds and a line: {error}"[:200])

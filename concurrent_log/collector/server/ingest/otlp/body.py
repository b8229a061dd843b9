"""Makes a batch of an OTLP request."""

from collections.abc import Sequence
from itertools import chain

from concurrent_log.collector.server.ingest.batch_rows import BatchRows, build_rows
from concurrent_log.collector.server.ingest.decoded_body import (
    MAX_REJECTED,
    DecodedBody,
    SendingProgram,
    content_id,
    too_many_invalid,
)
from concurrent_log.collector.server.ingest.memory_budget import MemoryLease
from concurrent_log.collector.server.ingest.normalize import UndecodableRecord
from concurrent_log.collector.server.ingest.otlp import json, protobuf
from concurrent_log.collector.server.ingest.otlp.record import Group
from concurrent_log.collector.store.columns import COLUMNS
from concurrent_log.collector.store.interface import IncomingBatch

_FORM = "OTLP"


def decode_otlp(content: bytes, max_weight: int, lease: MemoryLease, *, is_json: bool, agent: str) -> DecodedBody:
    """Return the batch of a request, or raise `Problem`.

    Senders repeat a request byte by byte, and have no batch id: a digest of the content takes its place, if each record
    has a time. Requests with the same records, and no time, may be different events.

    Args:
        content: The body.
        max_weight: Maximum number of bytes of memory after decoding.
        lease: Reserves the memory.
        is_json: Whether the body is JSON; if not, it is protobuf.
        agent: The name of the program that sends it, for the statistics.
    """
    groups = list((json if is_json else protobuf).read_groups(content, max_weight, lease))
    rows = _merge([build_rows(group.records, group.common()) for group in groups])
    if len(rows.rejected) > MAX_REJECTED:
        raise too_many_invalid()
    batch_id = content_id(content, _FORM) if rows.rows and all(map(_have_times, groups)) else None
    resource = groups[0].resource if groups else {}
    client = SendingProgram(_FORM, agent).client(resource, resource.get("service.instance.id")) if groups else None
    batch = IncomingBatch(rows.rows, batch_id, client, [], [], rows.columns)
    return DecodedBody(batch, rows, sum(len(group.records) for group in groups), len(content))


def _have_times(group: Group) -> bool:
    return all(isinstance(record, UndecodableRecord) or record["created_at"] for record in group.records)


def _merge(parts: Sequence[BatchRows]) -> BatchRows:
    """Return the rows of all parts, with the columns that any of them has."""
    if len(parts) == 1:
        return parts[0]
    used = set(chain.from_iterable(part.columns for part in parts if part.rows))
    merged = BatchRows(columns=[name for name in COLUMNS if name in used] or COLUMNS)
    start = 0
    for part in parts:
        at = {name: position for position, name in enumerate(part.columns)}
        positions = [at.get(name, len(at)) for name in merged.columns]
        merged.rows.extend(tuple([(*row, None)[position] for position in positions]) for row in part.rows)
        merged.indices.extend(start + index for index in part.indices)
        merged.rejected.extend((start + index, reason) for index, reason in part.rejected)
        start += len(part.indices) + len(part.rejected)
    return merged

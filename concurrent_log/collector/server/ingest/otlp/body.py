"""Makes a batch of an OTLP request."""

import hashlib
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest.batch_rows import BatchRows, build_rows
from concurrent_log.collector.server.ingest.json_body import MAX_REJECTED, DecodedBody
from concurrent_log.collector.server.ingest.memory_budget import MemoryLease
from concurrent_log.collector.server.ingest.normalize import UndecodableRecord
from concurrent_log.collector.server.ingest.otlp import json, protobuf
from concurrent_log.collector.server.ingest.otlp.record import Group
from concurrent_log.collector.store.columns import COLUMNS
from concurrent_log.collector.store.interface import Client, IncomingBatch

_MAX_NAME = 200  # characters


def decode_otlp(content: bytes, max_weight: int, lease: MemoryLease, *, is_json: bool, sender: str) -> DecodedBody:
    """Return the batch of a request, or raise `Problem`.

    Senders repeat a request byte by byte, and have no batch id: a digest of the content takes its place, if each record
    has a time. Requests with the same records, and no time, may be different events.

    Args:
        content: The body.
        max_weight: Maximum number of bytes of memory after decoding.
        lease: Reserves the memory.
        is_json: Whether the body is JSON; if not, it is protobuf.
        sender: The name of the sender, for the statistics.
    """
    groups = list((json if is_json else protobuf).read_groups(content, max_weight, lease))
    rows = _merge([build_rows(group.records, group.common()) for group in groups])
    if len(rows.rejected) > MAX_REJECTED:
        raise Problem(400, f"more than {MAX_REJECTED:,} records are invalid")
    batch_id = _digest(content) if rows.rows and all(map(_have_times, groups)) else None
    client = _client(groups[0].resource, sender) if groups else None
    batch = IncomingBatch(rows.rows, batch_id, client, [], [], rows.columns)
    return DecodedBody(batch, rows, sum(len(group.records) for group in groups), len(content))


def _client(resource: Mapping[str, Any], sender: str) -> Client:
    """Return the sender by the attributes that identify a resource."""
    values = [resource.get(name) for name in ("service", "environment", "host", "service.instance.id")]
    service, environment, host, instance = (value[:_MAX_NAME] if isinstance(value, str) else None for value in values)
    place = instance or host or "-"
    return Client(f"otlp:{service or '-'}:{place}"[:_MAX_NAME], sender[:_MAX_NAME], service, environment, host)


def _have_times(group: Group) -> bool:
    return all(isinstance(record, UndecodableRecord) or record["created_at"] for record in group.records)


def _digest(content: bytes) -> str:
    return "otlp-" + hashlib.blake2b(content, digest_size=20).hexdigest()


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

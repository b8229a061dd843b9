"""Decodes a JSON body into a batch; invalid records do not affect the valid ones."""

import codecs
import hashlib
import time
from typing import Any

import msgspec

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest.bare_records import decode_array, decode_lines, decode_single
from concurrent_log.collector.server.ingest.batch_rows import build_rows
from concurrent_log.collector.server.ingest.decoded_body import MAX_REJECTED, DecodedBody
from concurrent_log.collector.server.ingest.json_decoding import (
    Decode,
    decode_each,
    decode_leniently,
    decoder_for,
    reserve_weight,
)
from concurrent_log.collector.server.ingest.json_text import cut_nesting
from concurrent_log.collector.server.ingest.memory_budget import MemoryLease
from concurrent_log.collector.server.ingest.normalize import clean_text
from concurrent_log.collector.server.timestamps import is_credible, parse_timestamp
from concurrent_log.collector.store.interface import Client, IncomingBatch, LossReport

_MAX_ID_LENGTH = 200
_MAX_LARGER_BATCHES = 100
_MAX_LOSSES = 100
_DIGEST_SIZE = 16  # bytes
_LARGE = 1 << 20  # bytes; the records of a larger body are decoded one by one, so that other threads can run


class _Envelope(msgspec.Struct):
    """A body whose records are decoded one by one."""

    logs: list[msgspec.Raw]
    batch_id: Any = None
    part_of: Any = None
    client: Any = None
    common: Any = None
    dropped: Any = None


class _LogsOnly(msgspec.Struct):
    """The records of an envelope, not decoded; everything else is skipped."""

    logs: msgspec.Raw


class _TokenOnly(msgspec.Struct):
    """The token of an envelope; everything else is skipped."""

    logs: msgspec.Raw
    token: Any = None


def decode_body(content: bytes, max_weight: int, lease: MemoryLease, *, agent: str = "") -> DecodedBody:
    """Decode a body: our envelope, or records without one. Raises `Problem`.

    Args:
        content: The body.
        max_weight: Maximum number of bytes of memory after decoding.
        lease: Reserves the memory.
        agent: The name of the program that sends it.
    """
    content = content.removeprefix(codecs.BOM_UTF8)
    if _are_lines(content):
        return decode_lines(content, max_weight, lease, agent=agent)
    reserve_weight(content, max_weight, lease)
    if content.lstrip()[:1] == b"[":
        return decode_array(content, agent)
    found = _decode_json(content)
    if isinstance(found, dict) and "logs" not in found:
        return decode_single(content, found, agent)
    return _read_body(found, content)


def _are_lines(content: bytes) -> bool:
    """Return whether the body has several lines, the first of which is an object: senders may not say so."""
    end = content.find(b"\n")
    if end < 0 or not content.startswith(b"{") or content[end:].isspace():
        return False
    try:
        return type(msgspec.json.decode(content[:end], type=dict[str, msgspec.Raw])) is dict
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def read_token(content: bytes) -> str | None:
    """Return the token in a body that may be from anyone; nothing else of it is decoded if it is valid JSON."""
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        found = msgspec.json.decode(content, type=_TokenOnly).token
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            body = decode_leniently(cut_nesting(content))
        except Problem:
            return None
        found = body.get("token") if isinstance(body, dict) and "logs" in body else None
    return found if isinstance(found, str) else None


def _decode_json(content: bytes) -> Any:
    """Return the decoded body, without text that databases cannot store."""
    decode = decoder_for(content)
    try:
        found = decode(content) if len(content) <= _LARGE else _decode_each(content, decode)
        return clean_text(found) if b"\\u0000" in content else found
    except RecursionError:
        content = cut_nesting(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        envelope = msgspec.json.decode(content, type=_Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return decode_leniently(content)
    return {**clean_text(_members(envelope)), "logs": decode_each(envelope.logs, decode)}


def _decode_each(content: bytes, decode: Decode) -> dict[str, Any]:
    """Decode the records one by one: no call lasts long, so the event loop gets its turn."""
    envelope = msgspec.json.decode(content, type=_Envelope)
    return {**_members(envelope), "logs": [decode(raw) for raw in envelope.logs]}


def _members(envelope: _Envelope) -> dict[str, Any]:
    return {name: getattr(envelope, name) for name in envelope.__struct_fields__}


def _read_body(found: Any, content: bytes) -> DecodedBody:
    if not isinstance(found, dict) or not isinstance(found.get("logs"), list):
        raise Problem(400, 'the body must be an object with a list of records: {"logs": [...]}')
    common = {} if found.get("common") is None else found["common"]
    if not isinstance(common, dict):
        raise Problem(400, "common must be an object, with values for all records")
    batch_id = found.get("batch_id")
    if batch_id is not None and not (isinstance(batch_id, str) and 1 <= len(batch_id) <= _MAX_ID_LENGTH):
        raise Problem(400, f"batch_id must be a string of 1 to {_MAX_ID_LENGTH} characters")
    if sum(type(record) is not dict for record in found["logs"]) > MAX_REJECTED:
        raise Problem(413, f"more than {MAX_REJECTED:,} records are not objects: send less at once")
    rows = build_rows(found["logs"], common)
    client, losses = _read_client(found.get("client"), common), _read_losses(found.get("dropped"))
    part_of = _read_part_of(found.get("part_of"), batch_id)
    digest = None if batch_id is None else _digest_of_records(content)
    batch = IncomingBatch(rows.rows, batch_id, client, losses, part_of, rows.columns, digest)
    return DecodedBody(batch, rows, len(found["logs"]), len(content))


def _digest_of_records(content: bytes) -> bytes | None:
    """Return the digest of the records in an envelope, as they are spelt; None if the body is not valid JSON.

    The other members may differ when a batch is sent again: by another page or process, or with new losses.
    """
    try:
        records = msgspec.json.decode(content, type=_LogsOnly).logs
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return hashlib.blake2b(records, digest_size=_DIGEST_SIZE).digest()


def _read_part_of(found: Any, batch_id: str | None) -> list[str]:
    if found is None:
        return []
    if not isinstance(found, list) or len(found) > _MAX_LARGER_BATCHES or not all(map(_short_text, found)):
        limits = f"at most {_MAX_LARGER_BATCHES} ids, each of 1 to {_MAX_ID_LENGTH} characters"
        raise Problem(400, f"part_of must be a list of {limits}")
    if batch_id is None or len({*found, batch_id}) <= len(found):
        raise Problem(400, "part_of must list the ids of the batches that this one was split from, each once")
    return found


def _read_client(found: Any, common: dict[str, Any]) -> Client | None:
    if found is None:
        return None
    if not isinstance(found, dict) or not _short_text(found.get("id")):
        raise Problem(400, f"client must have an id, a string of 1 to {_MAX_ID_LENGTH} characters")
    fields = [_short_text(common.get(name)) for name in ("service", "environment", "host")]
    return Client(found["id"], _short_text(found.get("name")), *fields)


def _short_text(value: Any) -> str | None:
    return value if isinstance(value, str) and 1 <= len(value) <= _MAX_ID_LENGTH else None


def _read_losses(found: Any) -> list[LossReport]:
    if found is None:
        return []
    if not isinstance(found, list) or len(found) > _MAX_LOSSES:
        raise Problem(400, f"dropped must be a list of at most {_MAX_LOSSES} losses")
    return [_read_loss(each) for each in found]


def _read_loss(found: Any) -> LossReport:
    records = found.get("records") if isinstance(found, dict) else None
    reason = _short_text(found.get("reason")) if isinstance(found, dict) else None
    since = _read_since(found.get("since")) if isinstance(found, dict) else None
    if type(records) is not int or not 0 <= records < 2**63 or reason is None or since is None:
        raise Problem(400, "each entry of dropped must have a reason, a number of records, and a time in since")
    return LossReport(reason, records, since)


def _read_since(value: Any) -> int | None:
    """Return a time; the current time if the clock of the client is wrong; None if the value is no time at all."""
    now, since = time.time_ns() // 1000, parse_timestamp(value)
    if since is not None:
        return since if is_credible(since, now) else now
    return now if isinstance(value, (int, float)) and not isinstance(value, bool) else None

"""Decodes a JSON body into a batch; invalid records do not affect the valid ones."""

import codecs
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest.batch_rows import BatchRows, build_rows
from concurrent_log.collector.server.ingest.json_text import cut_nesting, estimate_weight
from concurrent_log.collector.server.ingest.memory_budget import MemoryLease
from concurrent_log.collector.server.ingest.normalize import UndecodableRecord, clean_text
from concurrent_log.collector.server.timestamps import is_credible, parse_timestamp
from concurrent_log.collector.store.interface import Client, IncomingBatch, LossReport

_MAX_ID_LENGTH = 200
_MAX_LARGER_BATCHES = 100
_MAX_LOSSES = 100
MAX_REJECTED = 10_000  # The response lists each of them.
_LARGE = 1 << 20  # bytes; the records of a larger body are decoded one by one, so that other threads can run

_EXACT_DIGITS = 15  # Every decimal number with at most this number of digits is a float.
_LONG_DECIMAL = re.compile(rb"\d[\d.]{15}\d*[\d.eE]")  # It may be a part of a text, which costs only time.


class _Envelope(msgspec.Struct):
    """A body whose records are decoded one by one."""

    logs: list[msgspec.Raw]
    batch_id: Any = None
    part_of: Any = None
    client: Any = None
    common: Any = None
    dropped: Any = None


class _TokenOnly(msgspec.Struct):
    """The token of a body; everything else is skipped."""

    token: Any = None


@dataclass(frozen=True)
class DecodedBody:
    """A decoded body.

    Attributes:
        batch: The batch.
        rows: Its rows.
        count: The number of records that were sent.
        size: The number of bytes after decompression.
    """

    batch: IncomingBatch
    rows: BatchRows
    count: int
    size: int


_decode: Callable[[bytes | msgspec.Raw], Any] = msgspec.json.Decoder().decode


def decode_body(content: bytes, max_weight: int, lease: MemoryLease) -> DecodedBody:
    """Decode a body, or raise `Problem`.

    Args:
        content: The body.
        max_weight: Maximum number of bytes of memory after decoding.
        lease: Reserves the memory.
    """
    weight = estimate_weight(content, max_weight)
    if weight > max_weight:
        raise Problem(413, "the records need too much memory: send less at once")
    lease.reserve(weight)
    return _read_body(_decode_json(content), len(content))


def read_token(content: bytes) -> str | None:
    """Return the token in a body that may be from anyone; nothing else of it is decoded if it is valid JSON."""
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        found = msgspec.json.decode(content, type=_TokenOnly).token
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            body = _decode_leniently(cut_nesting(content))
        except Problem:
            return None
        found = body.get("token") if isinstance(body, dict) else None
    return found if isinstance(found, str) else None


def _decode_json(content: bytes) -> Any:
    """Return the decoded body, without text that databases cannot store."""
    content = content.removeprefix(codecs.BOM_UTF8)
    decode = _decode_exactly if _LONG_DECIMAL.search(content) else _decode
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
        return _decode_leniently(content)
    return {**clean_text(_members(envelope)), "logs": [_decode_record(bytes(raw)) for raw in envelope.logs]}


def _decode_each(content: bytes, decode: Callable[[bytes | msgspec.Raw], Any]) -> dict[str, Any]:
    """Decode the records one by one: no call lasts long, so the event loop gets its turn."""
    envelope = msgspec.json.decode(content, type=_Envelope)
    return {**_members(envelope), "logs": [decode(raw) for raw in envelope.logs]}


def _members(envelope: _Envelope) -> dict[str, Any]:
    return {name: getattr(envelope, name) for name in envelope.__struct_fields__}


def _decode_record(content: bytes) -> Any:
    try:
        return clean_text(_decode_leniently(content))
    except Problem as problem:
        return UndecodableRecord(problem.detail)


def _decode_leniently(content: bytes) -> Any:
    """Decode the invalid JSON that some encoders write: NaN, lone surrogates, control characters, invalid UTF-8."""
    try:
        text = content.decode("utf-8", "replace")
        found = json.loads(text, strict=False, parse_constant=str, parse_float=_float, parse_int=_int)
        return clean_text(found)
    except RecursionError:
        raise Problem(400, "the JSON is nested too deeply") from None
    except ValueError as error:
        raise Problem(400, f"invalid JSON: {error}") from None


def _float(text: str) -> float | str:
    """Return a number; its text if a float has not all of its digits."""
    number = float(text)
    if abs(number) == float("inf") or (len(text) > _EXACT_DIGITS and not _is_exactly(number, text)):
        return text[:_MAX_ID_LENGTH]
    return number


def _is_exactly(number: float, text: str) -> bool:
    try:
        return Decimal(text) == Decimal(repr(number))
    except InvalidOperation:  # Its exponent is too large for a decimal number.
        return False


_decode_exactly: Callable[[bytes | msgspec.Raw], Any] = msgspec.json.Decoder(float_hook=_float).decode


def _int(text: str) -> int | str:
    return int(text) if len(text) <= 40 else text


def _read_body(found: Any, size: int) -> DecodedBody:
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
    batch = IncomingBatch(rows.rows, batch_id, client, losses, part_of, rows.columns)
    return DecodedBody(batch, rows, len(found["logs"]), size)


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

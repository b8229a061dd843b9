"""The bytes of a body as records: decompressed within limits, and decoded as far as it goes."""

import codecs
import json
import re
import zlib
from dataclasses import dataclass
from typing import Any

import msgspec

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest.batch_rows import Rows, rows_of
from concurrent_log.collector.server.ingest.memory_budget import Lease
from concurrent_log.collector.server.ingest.normalize import Unreadable, cleaned
from concurrent_log.collector.server.timestamps import microseconds_of
from concurrent_log.collector.store import Batch, Client, Drop

_AT_ONCE = 1 << 18  # bytes that are decompressed in one step
_MOST_MEMBERS = 1000  # of a gzip stream
_LONGEST_ID = 200
_MOST_LARGER = 100
_TOKENS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[][{}]', re.DOTALL)
_DEEPEST = 100  # objects and lists within each other that are decoded
_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_MOST_DROPS = 100
_MOST_REJECTED = 10_000  # since each is named in the answer

# What the parts of JSON come to in memory: decoded, and as a row.
_OF_OBJECT, _OF_LIST, _OF_VALUE = 640, 64, 60

WBITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_decode = msgspec.json.Decoder().decode


class _Envelope(msgspec.Struct):
    """A body whose records are decoded one by one."""

    logs: list[msgspec.Raw]
    batch_id: Any = None
    part_of: Any = None
    client: Any = None
    common: Any = None
    dropped: Any = None
    token: Any = None


@dataclass(frozen=True)
class Body:
    """What a body says."""

    batch: Batch
    rows: Rows
    count: int
    token: str | None


def read(chunks: list[bytes], encoding: str, largest: int, heaviest: int, lease: Lease) -> Body:
    """Return what a body says, or raise `Problem`.

    Args:
        chunks: The body as it came; they are taken out of the list.
        encoding: The ``Content-Encoding``, one of `WBITS`, or empty.
        largest: Bytes that it may have after decompression.
        heaviest: Bytes that it may come to in memory.
        lease: Holds what comes to be in memory.
    """
    if encoding:
        content = _decompressed(chunks, WBITS[encoding], largest, lease)
    else:
        content = b"".join(chunks)
        chunks.clear()
    weight = weight_of(content, heaviest)
    if weight > heaviest:
        raise Problem(413, "the records come to too much in memory: send less at once")
    lease.hold(weight)
    return _understood(_decoded(content))


def _decompressed(chunks: list[bytes], wbits: int, largest: int, lease: Lease) -> bytes:
    """Return the bytes, of any number of members; none beyond ``largest`` is ever made."""
    parts: list[bytes] = []
    size, members, decompressor = 0, 1, zlib.decompressobj(wbits)
    chunks.reverse()
    try:
        while chunks:
            part, made = chunks.pop(), b""
            while part or (len(made) == _AT_ONCE and not decompressor.eof):
                if decompressor.eof:
                    decompressor, members = zlib.decompressobj(wbits), members + 1
                made = decompressor.decompress(part, _AT_ONCE)
                part = decompressor.unconsumed_tail or decompressor.unused_data
                size += len(made)
                if size > largest or members > _MOST_MEMBERS:
                    raise Problem(413, f"the body has more than {largest:,} bytes when decompressed: send less at once")
                lease.hold(len(made))
                parts.append(made)
    except zlib.error as error:
        raise Problem(400, f"the body is not compressed as it says: {error}") from None
    if not decompressor.eof:
        raise Problem(400, "the compressed body ends too early")
    return b"".join(parts)


def weight_of(content: bytes, heaviest: int) -> int:
    """Return about how many bytes ``content`` comes to when decoded, without decoding it."""
    weight = _rough_weight(content)
    if weight > heaviest:
        # It may be text with many commas.
        weight = len(content) + _rough_weight(_STRINGS.sub(b'""', content))
    return weight


def _rough_weight(content: bytes) -> int:
    values = content.count(b",") + content.count(b":")
    return len(content) + _OF_OBJECT * content.count(b"{") + _OF_LIST * content.count(b"[") + _OF_VALUE * values


def _decoded(content: bytes) -> Any:
    """Return what the body is, in which nothing is left that no database takes as text."""
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        found = _decode(content)
        return cleaned(found) if b"\\u0000" in content else found
    except RecursionError:
        content = _shallow(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        envelope = msgspec.json.decode(content, type=_Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decoded_tolerantly(content)
    found = {name: getattr(envelope, name) for name in envelope.__struct_fields__}
    return {**cleaned(found), "logs": [_record(bytes(raw)) for raw in envelope.logs]}


def _shallow(content: bytes) -> bytes:
    """Return JSON in which objects and lists that no decoder goes down to are null."""
    parts, depth, begin = [], 0, 0
    for token in _TOKENS.finditer(content):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(token[0], 0)
        if depth == _DEEPEST + 1 and token[0] in b"[{":
            parts += [content[begin : token.start()], b"null"]
        if depth == _DEEPEST and token[0] in b"]}":
            begin = token.end()
    return b"".join([*parts, content[begin:]])


def _record(content: bytes) -> Any:
    try:
        return cleaned(_decoded_tolerantly(content))
    except Problem as problem:
        return Unreadable(problem.detail)


def _decoded_tolerantly(content: bytes) -> Any:
    """Decode what other encoders make of JSON: NaN, lone surrogates, control characters, wrong UTF-8."""
    try:
        text = content.decode("utf-8", "replace")
        found = json.loads(text, strict=False, parse_constant=str, parse_float=_float, parse_int=_int)
        return cleaned(found)
    except RecursionError:
        raise Problem(400, "it is nested too deeply") from None
    except ValueError as error:
        raise Problem(400, f"it is no JSON: {error}") from None


def _float(text: str) -> float | str:
    number = float(text)
    return number if abs(number) != float("inf") else text[:_LONGEST_ID]


def _int(text: str) -> int | str:
    return int(text) if len(text) <= 40 else text


def _understood(found: Any) -> Body:
    if not isinstance(found, dict) or not isinstance(found.get("logs"), list):
        raise Problem(400, 'the body is an object with a list of records: {"logs": [...]}')
    common = {} if found.get("common") is None else found["common"]
    if not isinstance(common, dict):
        raise Problem(400, "common is an object, with what holds for all records")
    batch_id = found.get("batch_id")
    if batch_id is not None and not (isinstance(batch_id, str) and 1 <= len(batch_id) <= _LONGEST_ID):
        raise Problem(400, f"batch_id is a text of 1 to {_LONGEST_ID} characters")
    if sum(type(record) is not dict for record in found["logs"]) > _MOST_REJECTED:
        raise Problem(413, f"more than {_MOST_REJECTED:,} of the records are none: send less at once")
    rows = rows_of(found["logs"], common)
    client, drops = _client(found.get("client"), common), _drops(found.get("dropped"))
    part_of = _part_of(found.get("part_of"), batch_id)
    batch = Batch(rows.rows, batch_id, client, drops, part_of, rows.columns)
    token = found.get("token")
    return Body(batch, rows, len(found["logs"]), token if isinstance(token, str) else None)


def _part_of(found: Any, batch_id: str | None) -> list[str]:
    if found is None:
        return []
    if not isinstance(found, list) or len(found) > _MOST_LARGER or not all(map(_short, found)):
        raise Problem(400, f"part_of is a list of at most {_MOST_LARGER} ids, each of 1 to {_LONGEST_ID} characters")
    if batch_id is None or len({*found, batch_id}) <= len(found):
        raise Problem(400, "part_of has the ids of what the batch was divided from, each once, and batch_id is another")
    return found


def _client(found: Any, common: dict[str, Any]) -> Client | None:
    if found is None:
        return None
    if not isinstance(found, dict) or not _short(found.get("id")):
        raise Problem(400, f"client has an id, a text of 1 to {_LONGEST_ID} characters")
    about = [_short(common.get(name)) for name in ("service", "environment", "host")]
    return Client(found["id"], _short(found.get("name")), *about)


def _short(value: Any) -> str | None:
    return value if isinstance(value, str) and 1 <= len(value) <= _LONGEST_ID else None


def _drops(found: Any) -> list[Drop]:
    if found is None:
        return []
    if not isinstance(found, list) or len(found) > _MOST_DROPS:
        raise Problem(400, f"dropped is a list of at most {_MOST_DROPS} losses")
    return [_drop(each) for each in found]


def _drop(found: Any) -> Drop:
    records = found.get("records") if isinstance(found, dict) else None
    reason = _short(found.get("reason")) if isinstance(found, dict) else None
    since = microseconds_of(found.get("since")) if isinstance(found, dict) else None
    if type(records) is not int or not 0 <= records < 2**63 or reason is None or since is None:
        raise Problem(400, "each of dropped has a reason, a number of records, and since when")
    return Drop(reason, records, since)

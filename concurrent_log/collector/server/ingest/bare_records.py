"""Decodes JSON without our envelope: lines, an array, or a single record."""

import codecs
from collections.abc import Iterator
from typing import Any

import msgspec

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest.decoded_body import (
    DecodedBody,
    SendingProgram,
    body_of_records,
    until_too_many_invalid,
)
from concurrent_log.collector.server.ingest.json_decoding import (
    decode_each,
    decode_leniently,
    decode_record,
    decoder_for,
    reserve_weight,
)
from concurrent_log.collector.server.ingest.json_text import cut_nesting
from concurrent_log.collector.server.ingest.memory_budget import MemoryLease
from concurrent_log.collector.server.ingest.normalize import MESSAGE_NAMES, TIME_NAMES

LINE_TYPES = frozenset(
    f"application/{name}" for name in ("x-ndjson", "ndjson", "jsonl", "x-jsonl", "jsonlines", "x-jsonlines", "json-seq")
)
_RECORD_NAMES = frozenset({"level", *MESSAGE_NAMES, *TIME_NAMES})
_SEPARATOR = b"\x1e"  # before each line of application/json-seq (RFC 7464)


def decode_lines(content: bytes, max_weight: int, lease: MemoryLease, *, agent: str) -> DecodedBody:
    """Return the batch of records in lines, or raise `Problem`. An invalid line affects no other."""
    reserve_weight(content, max_weight, lease, values=content.count(b"\n"))
    decode = decoder_for(content)
    records = until_too_many_invalid(decode_record(line, decode) for line in lines_of(content))
    return body_of_records(content, records, SendingProgram("NDJSON", agent))


def decode_array(content: bytes, agent: str) -> DecodedBody:
    """Return the batch of records in an array, or raise `Problem`."""
    try:
        parts = msgspec.json.decode(content, type=list[msgspec.Raw])
        records = decode_each(parts, decoder_for(content))
    except (msgspec.DecodeError, RecursionError):
        records = decode_leniently(cut_nesting(content))
    return body_of_records(content, records, SendingProgram("JSON", agent))


def decode_single(content: bytes, record: dict[str, Any], agent: str) -> DecodedBody:
    """Return the batch of one record, or raise `Problem` if an object is none."""
    if all(type(record.get(name, [])) is list for name in _RECORD_NAMES):  # such as {"log": [...]}, a misspelt "logs"
        message = 'the body must be records with a message, or an object with a list of them: {"logs": [...]}'
        raise Problem(400, message)
    return body_of_records(content, [record], SendingProgram("JSON", agent))


def lines_of(content: bytes) -> Iterator[bytes]:
    """Yield the lines that are not empty, without a list of all of them."""
    begin = len(codecs.BOM_UTF8) if content.startswith(codecs.BOM_UTF8) else 0
    while begin < len(content):
        end = content.find(b"\n", begin)
        end = len(content) if end < 0 else end
        line = content[begin:end].strip().removeprefix(_SEPARATOR)
        if line:
            yield line
        begin = end + 1

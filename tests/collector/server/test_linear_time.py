"""Whatever parses text from outside takes linear time: twice the text takes twice the time, not four times."""

import contextlib
import gzip
import time
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("msgspec", reason="msgspec is not installed: pip install msgspec")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from concurrent_log.collector.client.middleware import _TRACE_ID, _TRACEPARENT
from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest import bare_records, elasticsearch, json_body
from concurrent_log.collector.server.ingest.decompression import decompress
from concurrent_log.collector.server.ingest.json_text import cut_nesting, estimate_weight
from concurrent_log.collector.server.ingest.levels import parse_level
from concurrent_log.collector.server.ingest.loki.protobuf import _parse_labels
from concurrent_log.collector.server.ingest.memory_budget import MemoryBudget
from concurrent_log.collector.server.query.downloads import csv_rows
from concurrent_log.collector.server.query.language.errors import QueryError
from concurrent_log.collector.server.query.language.parser import parse
from concurrent_log.collector.server.timestamps import parse_timestamp
from concurrent_log.collector.store.message_templates import message_template
from concurrent_log.collector.store.reader import RecordPage
from concurrent_log.health.redaction import redact

_FACTOR = 4
_LIMIT = 8  # times the processor time for `_FACTOR` times the text: linear is 4, quadratic is 16
_SMALLEST = 0.001  # seconds; a shorter time says nothing about growth
_LARGEST_SIZE = 1 << 17


def growth(parse: Callable[[Any], object], text_of: Callable[[int], Any]) -> float:
    """Return how many times as much processor time a text of `_FACTOR` times the size takes.

    The smaller of two steps counts, because a step may also pass a limit, beyond which a parser does more or less.
    """
    size = 1 << 10
    while (first := _processor_time(parse, text_of(size))) < _SMALLEST and size < _LARGEST_SIZE:
        size *= 2
    second = _processor_time(parse, text_of(_FACTOR * size))
    third = _processor_time(parse, text_of(_FACTOR**2 * size))
    return min(second / max(first, _SMALLEST), third / max(second, _SMALLEST))


def _processor_time(parse: Callable[[Any], object], text: Any) -> float:
    def once() -> float:
        begin = time.thread_time()
        with contextlib.suppress(Problem, ValueError):
            parse(text)
        return time.thread_time() - begin

    return min(once() for _ in range(2))


def decode(content: bytes, encoding: str = "") -> object:
    """Decode a body with the limits of the server, except that on its size."""
    with MemoryBudget(1 << 32, 1).lease() as lease:
        chunks = [content]
        text = decompress(chunks, encoding, 1 << 26, lease) if encoding else content
        return json_body.decode_body(text, 1 << 27, lease)


def decode_lines(content: bytes) -> object:
    """Decode a body of lines with the limits of the server, except that on its size."""
    with MemoryBudget(1 << 32, 1).lease() as lease:
        return bare_records.decode_lines(content, 1 << 30, lease, agent="tests")


def decode_bulk(content: bytes) -> object:
    """Decode a body of Elasticsearch with the limits of the server, except that on its size."""
    with MemoryBudget(1 << 32, 1).lease() as lease:
        return elasticsearch._Bulk(None, "tests").decode(content, 1 << 30, lease)


# Each in two copies: as it is, and after nesting that no decoder accepts, which makes the server scan the text itself.
_HOSTILE_JSON = {
    "escaped quotation marks, never closed": b'\\"',
    "escaped backslashes, never closed": b"\\\\",
    "backslashes, never closed": b"\\",
    "quotation marks": b'"',
    "quotation marks and escapes": b'"\\',
    "brackets": b"[",
    "brackets in quotation marks": b'"[',
    "closing brackets": b"]}",
    "digits": b"1",
    "fraction": b"0.1",
    "records": b'{"a":1},',
    "records with lone surrogates": b'{"message":"\\ud800"},',
    "records that are invalid": b'{"a":NaN,"b":"\x01"},',
    "invalid UTF-8": b"\xff",
    "spaces": b" ",
}


@pytest.mark.parametrize("unit", _HOSTILE_JSON.values(), ids=list(_HOSTILE_JSON))
@pytest.mark.parametrize(
    "begin",
    [b"", b'{"logs":[', b'{"logs":[' + b"[" * 2000, b'[{"message":1},'],
    ids=["bare", "in logs", "nested", "in an array"],
)
def test_bodies_are_decoded_in_linear_time(begin: bytes, unit: bytes) -> None:
    """A body without an end once took 47 seconds for 64 KiB."""
    assert growth(decode, lambda size: begin + b'"' + unit * (size // len(unit))) < _LIMIT


_HOSTILE_LINES = {
    "empty lines": b"\n",
    "numbers": b"1\n",
    "objects": b'{"a":1}\n',
    "lines that are invalid": b'{"a\n',
    "lines with NaN": b'{"a":NaN}\n',
    "separators": b"\x1e\n",
}


@pytest.mark.parametrize("unit", {**_HOSTILE_JSON, **_HOSTILE_LINES}.values(), ids=[*_HOSTILE_JSON, *_HOSTILE_LINES])
@pytest.mark.parametrize("begin", [b'{"a":1}\n"', b"[" * 2000], ids=["text", "nested"])
def test_lines_are_decoded_in_linear_time(begin: bytes, unit: bytes) -> None:
    """Lines of any content, also one that has no end."""
    assert growth(decode_lines, lambda size: begin + unit * (size // len(unit))) < _LIMIT


_HOSTILE_BULK = {
    "actions": b'{"index":{}}\n{"log":{"level":1}}\n',
    "invalid documents": b'{"index":{}}\n{\n',
    "fields in long names": b'{"index":{}}\n{"log":{"' + b"x" * 500 + b'":1}}\n',
}


@pytest.mark.parametrize("unit", {**_HOSTILE_JSON, **_HOSTILE_BULK}.values(), ids=[*_HOSTILE_JSON, *_HOSTILE_BULK])
@pytest.mark.parametrize("begin", [b"", b'{"index":{}}\n{"log":{"'], ids=["actions", "document"])
def test_bulk_is_decoded_in_linear_time(begin: bytes, unit: bytes) -> None:
    """Actions and documents of any content."""
    assert growth(decode_bulk, lambda size: begin + unit * (size // len(unit))) < _LIMIT


@pytest.mark.parametrize("unit", ['a="b",', '"', "\\", " ", "a", "=", ",", '\\"'])
@pytest.mark.parametrize("begin", ["{", '{a="', "{a=", "{a "])
def test_labels_are_parsed_in_linear_time(begin: str, unit: str) -> None:
    """Labels of Loki, also some without an end."""
    assert growth(_parse_labels, lambda size: begin + unit * (size // len(unit))) < _LIMIT


@pytest.mark.parametrize("unit", _HOSTILE_JSON.values(), ids=list(_HOSTILE_JSON))
@pytest.mark.parametrize("scan", [cut_nesting, lambda content: estimate_weight(content, 0), json_body.read_token])
def test_scans_take_linear_time(scan: Callable[[bytes], object], unit: bytes) -> None:
    """Each step by itself is linear, whatever the steps before it let through."""
    assert growth(scan, lambda size: b'"' + unit * (size // len(unit))) < _LIMIT


_MEMBER = gzip.compress(b"")


@pytest.mark.parametrize(
    "member",
    [_MEMBER, gzip.compress(b'"\\' * 100), _MEMBER + b"\0" * 10],
    ids=["empty", "unclosed string", "zeros between"],
)
def test_bodies_are_decompressed_in_linear_time(member: bytes) -> None:
    """A body may have many members, each with little in it."""
    assert growth(lambda content: decode(content, "gzip"), lambda size: member * (size // len(member))) < _LIMIT


def _parse(text: str) -> None:
    with contextlib.suppress(QueryError):
        parse(text)


_PARSERS: dict[str, Callable[[str], object]] = {
    "timestamp": parse_timestamp,
    "level": parse_level,
    "template of a message": message_template,
    "query": _parse,
    "cell of a CSV file": lambda text: csv_rows(RecordPage([{"message": text}], None)),
    "reason of an error": redact,
    "trace id": _TRACE_ID.fullmatch,
    "trace parent": _TRACEPARENT.fullmatch,
}
_HOSTILE_TEXT = [
    "1",
    " ",
    "\t\0",
    '"',
    "'a",
    "a.",
    "@a",
    "a@",
    "::",
    "f:",
    "a:",
    "-",
    "0-",
    "1.",
    "://",
    "<*>",
    "=",
    "\\",
    "(",
]


@pytest.mark.parametrize("parser", _PARSERS.values(), ids=list(_PARSERS))
def test_text_is_parsed_in_linear_time(parser: Callable[[str], object]) -> None:
    """Every pattern that sees a message, a parameter or a header is linear, or sees only the start of it."""
    for unit in _HOSTILE_TEXT:
        assert growth(parser, lambda size, unit=unit: unit * (size // len(unit))) < _LIMIT, unit

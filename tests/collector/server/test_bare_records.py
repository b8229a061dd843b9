"""``POST /logs`` also takes lines, arrays and single records, without our envelope, and stores each once."""

import json
from typing import Any

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from hypothesis import given
from hypothesis import strategies as st

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest.bare_records import LINE_TYPES, decode_lines
from concurrent_log.collector.server.ingest.decoded_body import DecodedBody
from concurrent_log.collector.server.ingest.json_body import decode_body, read_token
from concurrent_log.collector.server.ingest.memory_budget import MemoryBudget
from support.collector_server import Server

_TIME = "2026-01-12T06:40:01.250Z"
_RECORDS: list[dict[str, Any]] = [
    {"@timestamp": _TIME, "level": "ERROR", "message": "one", "service": "shop", "host": "web-1"},
    {"@timestamp": _TIME, "msg": "two", "number": 2},
]


def _lines(records: list[Any]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def _decode(content: bytes, *, is_lines: bool = False, max_weight: int = 128 << 20) -> DecodedBody:
    with MemoryBudget(4 * max_weight, 1).lease() as lease:
        return (decode_lines if is_lines else decode_body)(content, max_weight, lease, agent="tests")


def _messages(body: DecodedBody) -> list[Any]:
    at = body.rows.columns.index("message")
    return [row[at] for row in body.rows.rows]


_BODIES = {
    "lines": (_lines(_RECORDS), "application/x-ndjson"),
    "lines without their type": (_lines(_RECORDS), "application/x-www-form-urlencoded"),
    "array": (json.dumps(_RECORDS).encode(), "application/json"),
}


@pytest.mark.parametrize(("body", "media_type"), _BODIES.values(), ids=list(_BODIES))
def test_records_without_an_envelope_are_stored_once(server: Server, body: bytes, media_type: str) -> None:
    """The records are stored, also if the same body comes again."""
    answers = [server.ask("POST", "/logs", body, content_type=media_type) for _ in range(2)]

    assert [(status, found["count"], found["stored"], found["duplicate"]) for status, found, _ in answers] == [
        (200, 2, 2, False),
        (200, 2, 0, True),
    ]
    assert server.select("SELECT level, message, service FROM logs ORDER BY message") == [
        ("ERROR", "one", "shop"),
        ("INFO", "two", None),
    ]


def test_sender_of_lines_is_among_the_clients(server: Server) -> None:
    """The server knows which program sends, for which service, and in which format."""
    records = [{**record, "service": "till"} for record in _RECORDS]
    server.ask("POST", "/logs", _lines(records), content_type="application/x-ndjson", user_agent="Vector/1")

    assert server.select("SELECT id, name, service FROM clients") == [
        ("ndjson:till:web-1", "Vector/1 (NDJSON)", "till")
    ]


def test_single_record_is_stored(server: Server) -> None:
    """An object with a message, a level or a time is a record, if it is no envelope."""
    status, found, _ = server.ask("POST", "/logs", b'{"message": "one", "level": "WARN"}')

    assert (status, found["stored"]) == (200, 1)
    assert server.select("SELECT level, message FROM logs") == [("WARN", "one")]


def test_invalid_lines_are_rejected_by_themselves() -> None:
    """The index of each invalid line counts the lines that are not empty."""
    body = _decode(b'{"message":"a"}\n\n{"message":\n7\r\n  {"message":"b"}  \n{"message":"c"}', is_lines=True)

    assert (_messages(body), body.count) == (["a", "b", "c"], 5)
    assert [index for index, _ in body.rows.rejected] == [1, 2]
    assert body.rows.rejected[0][1].startswith("invalid JSON")


def test_too_many_invalid_lines_are_refused() -> None:
    """A response lists all rejected lines, so there is a limit."""
    for line in (b"{\n", b"7\n"):
        with pytest.raises(Problem, match="10,000 records are invalid"):
            _decode(line * 10_001, is_lines=True)


@pytest.mark.parametrize("content", [b"\n" * 2_000_000, b"{}\n" * 100_000, b'{"a":[' + b"[]," * 1_000_000])
def test_lines_that_need_too_much_memory_are_refused(content: bytes) -> None:
    """The memory is estimated before anything is decoded."""
    with pytest.raises(Problem, match="too much memory"):
        _decode(content, is_lines=True, max_weight=8 << 20)


@pytest.mark.parametrize(
    ("records", "is_known"),
    [
        ([{"message": "a", "ts": 1768200001.25}], True),
        ([{"message": "a", "ts": 1768200001.25}, {"message": "b", "created_at": 1768200001}], True),
        ([{"message": "a", "ts": 1768200001.25}, {"message": "b"}], False),
        ([{"message": "a", "date": 1768200001}], False),
        ([], False),
    ],
)
def test_content_is_known_again_by_its_times(records: list[dict[str, Any]], is_known: bool) -> None:
    """Two equal requests without times, or with whole seconds only, may be different events: both are stored."""
    ids = {_decode(_lines(records), is_lines=True).batch.batch_id for _ in range(2)}

    assert (None not in ids, len(ids)) == (is_known, 1)


def test_first_line_shows_that_there_are_lines() -> None:
    """An indented object is one document; a first line that is a whole object is one of several records."""
    indented = json.dumps({"logs": _RECORDS}, indent=1).encode()

    assert _messages(_decode(indented)) == ["one", "two"]
    assert _messages(_decode(b"\xef\xbb\xbf" + _lines(_RECORDS))) == ["one", "two"]
    assert _messages(_decode(b'\x1e{"message":"one"}\n\x1e{"message":"two"}\n', is_lines=True)) == ["one", "two"]
    assert "application/json" not in LINE_TYPES


def test_array_with_invalid_json_is_decoded_leniently() -> None:
    """As in an envelope, NaN and lone surrogates affect no other record."""
    body = _decode(b'[{"message":"a","n":NaN},{"message":"b\\ud800"},7,{"message":"c\\u0000"}]')

    assert _messages(body) == ["a", "b\ufffd", "c\ufffd"]
    assert body.rows.rejected == [(2, "a record must be an object, not a number")]


def test_only_an_envelope_may_contain_the_key() -> None:
    """A key in a record would be stored with it."""
    assert read_token(b'{"message": "a", "token": "secret"}') is None
    assert read_token(b'{"logs": [], "token": "secret"}') == "secret"


_values = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.floats(allow_nan=False, width=32)


@given(st.lists(st.dictionaries(st.text(max_size=20), _values, max_size=4), max_size=12))
def test_lines_array_and_envelope_give_the_same_rows(records: list[dict[str, Any]]) -> None:
    """Every record becomes the same row, however it is sent."""
    for record in records:
        record["created_at"] = 1768200001.25
    envelope = _decode(json.dumps({"logs": records}).encode())
    array = _decode(json.dumps(records).encode())
    lines = _decode(_lines(records), is_lines=True)

    assert envelope.rows == array.rows == lines.rows

"""Loki's push format: each entry becomes a record, stored once, from JSON and from protobuf with snappy."""

import functools
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")
cramjam = pytest.importorskip("cramjam", reason="cramjam is not installed: pip install cramjam")

from hypothesis import given
from hypothesis import strategies as st

from collector.server.conftest import TOKEN, StartServer
from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest.decoded_body import DecodedBody
from concurrent_log.collector.server.ingest.loki import json as loki_json
from concurrent_log.collector.server.ingest.loki import protobuf
from concurrent_log.collector.server.ingest.loki.endpoint import PATH, decode_push
from concurrent_log.collector.server.ingest.memory_budget import MemoryBudget
from support.collector_server import Server

_TIME = 1_768_200_001_250_000_000  # nanoseconds
_JSON, _PROTOBUF = "application/json", "application/x-protobuf"

Entry = tuple[int, str, dict[str, str]]


def _as_json(labels: dict[str, str], entries: list[Entry]) -> bytes:
    values = [[str(time), line, *([metadata] if metadata else [])] for time, line, metadata in entries]
    return json.dumps({"streams": [{"stream": labels, "values": values}]}).encode()


def _as_protobuf(labels: dict[str, str], entries: list[Entry]) -> bytes:
    return bytes(protobuf._PushRequest(streams=[_stream(labels, entries)]).SerializeToString())


def _stream(labels: dict[str, str], entries: list[Entry]) -> bytes:
    text = "{" + ", ".join(f"{name}={json.dumps(value)}" for name, value in labels.items()) + "}"
    parts = [
        protobuf._Entry(
            timestamp=protobuf._Timestamp(seconds=time // 10**9, nanos=time % 10**9).SerializeToString(),
            line=line,
            structured_metadata=[
                protobuf._Pair(name=name, value=value).SerializeToString() for name, value in metadata.items()
            ],
        ).SerializeToString()
        for time, line, metadata in entries
    ]
    return bytes(protobuf._Stream(labels=text, entries=parts).SerializeToString())


def _compressed(content: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(content))


def _decode(content: bytes, *, is_json: bool = True, max_weight: int = 128 << 20) -> DecodedBody:
    read = loki_json.read_entries if is_json else protobuf.read_entries
    with MemoryBudget(4 * max_weight, 1).lease() as lease:
        return functools.partial(decode_push, read_entries=read, agent="tests")(content, max_weight, lease)


def _records(body: DecodedBody) -> list[dict[str, Any]]:
    found = [dict(zip(body.rows.columns, row, strict=True)) for row in body.rows.rows]
    for record in found:
        record.update(json.loads(record.pop("attributes", None) or "{}"))
    return [{name: value for name, value in record.items() if value is not None} for record in found]


_LABELS = {"service_name": "shop", "level": "error", "team": "orders", "hostname": "web-1"}
_ENTRIES: list[Entry] = [(_TIME, "one", {}), (_TIME + 1000, "two", {"trace_id": "00ab", "customer": "Ada"})]
_BODIES = {
    "JSON": (_as_json(_LABELS, _ENTRIES), {"content_type": _JSON}),
    "gzip": (gzip.compress(_as_json(_LABELS, _ENTRIES)), {"content_type": _JSON, "content_encoding": "gzip"}),
    "protobuf": (_compressed(_as_protobuf(_LABELS, _ENTRIES)), {"content_type": _PROTOBUF}),
    "snappy": (
        _compressed(_as_protobuf(_LABELS, _ENTRIES)),
        {"content_type": _PROTOBUF, "content_encoding": "snappy"},
    ),
}


@pytest.mark.parametrize(("body", "headers"), _BODIES.values(), ids=list(_BODIES))
def test_entries_are_stored_once(server: Server, body: bytes, headers: dict[str, str]) -> None:
    """The records are stored, also if the same body comes again; labels and metadata are columns and attributes."""
    for _ in range(2):
        assert server.ask("POST", PATH, body, **headers)[:2] == (204, "")
    rows = server.select("SELECT created_at, level, message, service, host, trace_id FROM logs ORDER BY created_at")

    assert [row[1:] for row in rows] == [
        ("ERROR", "one", "shop", "web-1", None),
        ("ERROR", "two", "shop", "web-1", "00ab"),
    ]
    [attributes] = server.select("SELECT attributes FROM logs WHERE message = 'two'")
    assert json.loads(attributes[0]) == {"team": "orders", "customer": "Ada"}


def test_sender_is_among_the_clients(server: Server) -> None:
    """The server knows which program sends, for which service, and in which format."""
    body, headers = _BODIES["JSON"]
    server.ask("POST", PATH, body, **headers, user_agent="promtail/3")

    assert server.select("SELECT name, service FROM clients") == [("promtail/3 (Loki)", "shop")]


def test_invalid_entries_are_rejected_by_themselves(server: Server) -> None:
    """Loki says so with a 400, which senders do not repeat; the other entries are stored."""
    values = [[str(_TIME), "one"], ["yesterday", "two"], 7]
    status, text, _ = server.ask("POST", PATH, json.dumps({"streams": [{"stream": {}, "values": values}]}).encode())

    assert (status, server.count()) == (400, 1)
    assert text.startswith("2 of 3 entries are rejected: entry 1: the entry is not a time in nanoseconds and a line")


@pytest.mark.parametrize(
    ("body", "media_type", "reason"),
    [
        (b"{", _JSON, "not a push request of Loki in JSON"),
        (b"{}", _JSON, "not a push request of Loki in JSON"),
        (b"", _PROTOBUF, "not compressed with snappy"),
        (b"\xff\xff\xff\xff\x0fabc", _PROTOBUF, "more than 16,777,216 bytes after decompression"),
        (b"\x10abc", _PROTOBUF, "not compressed with snappy"),
        (_compressed(b"\x0a\x05ab"), _PROTOBUF, "not a push request of Loki in protobuf"),
        (_compressed(protobuf._PushRequest(streams=[b"\x0a\x03a=b"]).SerializeToString()), _PROTOBUF, "the labels"),
    ],
)
def test_invalid_body_is_refused(sqlite_server: Server, body: bytes, media_type: str, reason: str) -> None:
    """The error is text."""
    status, text, _ = sqlite_server.ask("POST", PATH, body, content_type=media_type)

    assert status in (400, 413)
    assert reason in text


def test_format_can_be_disabled(start: StartServer, tmp_path: Path) -> None:
    """Without the format, its route does not exist."""
    server = start(str(tmp_path / "logs.sqlite3"), "--disable-format", "loki")

    assert server.ask("POST", PATH, _BODIES["JSON"][0], content_type=_JSON)[0] == 404


def test_request_without_a_key_is_refused(guarded_server: Server) -> None:
    """A key is sent as for all other requests."""
    body, headers = _BODIES["protobuf"]

    assert guarded_server.ask("POST", PATH, body, **headers)[0] == 401
    assert guarded_server.ask("POST", PATH, body, **headers, authorization=f"Bearer {TOKEN}")[0] == 204


def test_fields_of_a_line_are_fields_of_the_record() -> None:
    """A line of JSON with a message is a record of its own; what the labels say differently is kept."""
    line = json.dumps({"level": 50, "time": 1, "msg": "failed", "order": 17, "team": "payments"})
    [record] = _records(_decode(_as_json(_LABELS, [(_TIME, line, {})])))

    assert (record["message"], record["level"], record["order"]) == ("failed", "ERROR", 17)
    assert (record["team"], record["line.team"]) == ("orders", "payments")
    assert "line.level" not in record


@pytest.mark.parametrize("line", ['{"a": 1}', '{"msg": 7}', '{"msg": "a"', "{", '"a"', '{"msg":' + "[" * 5000])
def test_other_lines_are_messages(line: str) -> None:
    """A line that is no JSON, or has no message, is the message."""
    [record] = _records(_decode(_as_json({}, [(_TIME, line, {})])))

    assert (record["message"], record["level"]) == (line, "INFO")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"job": "cron", "app": "shop"}, {"service": "shop", "job": "cron"}),
        ({"job": "cron"}, {"service": "cron"}),
        ({"service": "shop", "service_name": "till"}, {"service": "shop", "service_name": "till"}),
        ({"env": "live", "severity": "warn"}, {"environment": "live", "level": "WARN"}),
        ({"message": "a", "created_at": "b"}, {"label.message": "a", "label.created_at": "b"}),
    ],
)
def test_labels_fill_columns(labels: dict[str, str], expected: dict[str, str]) -> None:
    """A column has several usual names; a label that finds its column filled is an attribute."""
    [record] = _records(_decode(_as_json(labels, [(_TIME, "one", {})])))
    del record["created_at"], record["level_number"]

    assert record == {"message": "one", "level": "INFO", **expected}


@pytest.mark.parametrize(("time", "is_known"), [(_TIME, True), (0, False)])
def test_body_is_known_again_by_its_times(time: int, is_known: bool) -> None:
    """To Loki, equal entries with the same time are one; without a time, they may be different events."""
    assert (_decode(_as_json({}, [(time, "one", {})])).batch.batch_id is not None) == is_known


_MANY_PAIRS = protobuf._PushRequest(
    streams=[protobuf._Stream(entries=[b"\x1a\x00" * 500_000]).SerializeToString()]
).SerializeToString()
_MANY: dict[str, str] = {f"label{number}": "x" for number in range(1000)}


@pytest.mark.parametrize(
    ("content", "is_json"),
    [
        (b'{"streams":[{"values":[' + b"1," * 500_000 + b"1]}]}", True),
        (b'{"streams":[' + b"{}," * 100_000 + b"{}]}", True),
        (_as_json(_MANY, [(_TIME, "one", {})] * 1000), True),
        (_as_json({"a": "x" * 100_000}, [(_TIME, "one", {})] * 1000), True),
        (_as_json({}, [(_TIME, '{"msg": "", "a": [' + "[]," * 300_000 + "1]}", {})]), True),
        (bytes(protobuf._PushRequest(streams=[b"\x12\x00" * 500_000]).SerializeToString()), False),
        (b"\x0a\x00" * 500_000, False),
        (_as_protobuf(_MANY, [(_TIME, "one", {})] * 1000), False),
        (_MANY_PAIRS, False),
    ],
)
def test_entries_that_need_too_much_memory_are_refused(content: bytes, is_json: bool) -> None:
    """Labels count for each of their entries, and the fields of a line by their number."""
    with pytest.raises(Problem, match="too much memory"):
        _decode(content, is_json=is_json, max_weight=8 << 20)


def test_too_many_invalid_entries_are_refused() -> None:
    """A response counts all of them, and decoding each takes time."""
    with pytest.raises(Problem, match="10,000 records are invalid"):
        _decode(b'{"streams":[{"values":[' + b"1," * 10_001 + b"1]}]}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", {}),
        ('{a="b"}', {"a": "b"}),
        ('{ a = "b, c=\\"d\\"" , e.f="g}" }', {"a": 'b, c="d"', "e.f": "g}"}),
        ('{a="\\u00e9\\n\\x41"}', {"a": "é\nA"}),
    ],
)
def test_labels_are_parsed(text: str, expected: dict[str, str]) -> None:
    """Values are quoted as in Go."""
    assert protobuf._parse_labels(text) == expected


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_names = st.sampled_from(["level", "service", "job", "message", "team", "trace_id"])
_labels = st.dictionaries(_names, _texts, max_size=4)
_entries = st.lists(st.tuples(st.just(_TIME), _texts | st.just('{"msg": "a", "team": 7}'), _labels), max_size=12)


@given(_labels, _entries)
def test_json_and_protobuf_give_the_same_rows(labels: dict[str, str], entries: list[Entry]) -> None:
    """Every entry becomes the same row, however it is sent."""
    assert _decode(_as_json(labels, entries)).rows == _decode(_as_protobuf(labels, entries), is_json=False).rows

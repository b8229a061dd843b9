"""Requests of OpenTelemetry become rows: the whole data model, in protobuf and in JSON, within limits on memory."""

import base64
import json
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")
pytest.importorskip(
    "opentelemetry.proto", reason="opentelemetry-proto is not installed: pip install opentelemetry-proto"
)

from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest.decoded_body import DecodedBody
from concurrent_log.collector.server.ingest.memory_budget import MemoryBudget
from concurrent_log.collector.server.ingest.otlp.body import decode_otlp

_MAX_WEIGHT = 128 << 20
_TIME = 1_768_200_001_250_000_000  # nanoseconds since 1970


def _value(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=map(_value, value)))
    if isinstance(value, dict):
        return AnyValue(kvlist_value=KeyValueList(values=_pairs(value)))
    return AnyValue(string_value=value) if value is not None else AnyValue()


def _pairs(values: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in values.items()]


def _request(*records: LogRecord, resource: dict[str, Any] | None = None) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest(resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=records)])])
    request.resource_logs[0].resource.attributes.extend(_pairs(resource or {}))
    return request


def _record(body: Any = "order accepted", **fields: Any) -> LogRecord:
    attributes = _pairs(fields.pop("attributes", {}))
    return LogRecord(body=_value(body), attributes=attributes, **{"time_unix_nano": _TIME, **fields})


def _to_json(request: ExportLogsServiceRequest) -> bytes:
    """Return the request in OTLP's JSON: that of protobuf, but for the ids, which are in hexadecimal."""
    found = MessageToDict(request, use_integers_for_enums=True)
    for resource_logs in found.get("resourceLogs", []):
        for scope_logs in resource_logs.get("scopeLogs", []):
            for record in scope_logs.get("logRecords", []):
                for name in ("traceId", "spanId"):
                    if name in record:
                        record[name] = base64.b64decode(record[name]).hex()
    return json.dumps(found).encode()


def _decode(content: bytes, *, is_json: bool = False, max_weight: int = _MAX_WEIGHT) -> DecodedBody:
    with MemoryBudget(4 * max_weight, 1).lease() as lease:
        return decode_otlp(content, max_weight, lease, is_json=is_json, agent="tests")


def _rows(body: DecodedBody) -> list[dict[str, Any]]:
    """Return the rows by column, without empty ones, and with decoded attributes."""
    rows = [dict(zip(body.rows.columns, row, strict=True)) for row in body.rows.rows]
    for row in rows:
        row["attributes"] = json.loads(row.get("attributes") or "{}")
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def _row(record: LogRecord, resource: dict[str, Any] | None = None) -> dict[str, Any]:
    [row] = _rows(_decode(_request(record, resource=resource).SerializeToString()))
    return row


def test_attributes_of_the_conventions_fill_columns() -> None:
    """The later names of the semantic conventions, and the earlier ones, fill the columns."""
    later = {"code.function.name": "pay", "code.file.path": "/a.py", "code.line.number": 7, "user.id": "u"}
    earlier = {"code.function": "pay", "code.filepath": "/a.py", "code.lineno": 7, "enduser.id": "u"}

    first, second = (_row(_record(attributes=each)) for each in (later, earlier))

    assert (first["function_name"], first["file_path"], first["line_number"], first["user_id"]) == (
        "pay",
        "/a.py",
        7,
        "u",
    )
    assert second == first


def test_both_names_of_an_attribute_are_kept() -> None:
    """Where an SDK sends both names, the first one fills the column, and the other one stays an attribute."""
    row = _row(_record(attributes={"code.filepath": "/old.py", "code.file.path": "/new.py"}))

    assert (row["file_path"], row["attributes"]) == ("/old.py", {"code.file.path": "/new.py"})


def test_resource_and_scope_are_stored_with_each_record() -> None:
    """The service, its version and its place fill columns; the other attributes of the resource are attributes."""
    resource = {
        "service.name": "shop",
        "service.version": "1.2",
        "host.name": "web-1",
        "process.pid": 7,
        "pod": "p",
    }
    request = _request(_record(), _record("paid"), resource=resource)
    request.resource_logs[0].scope_logs[0].scope.name = "shop.orders"
    request.resource_logs[0].scope_logs[0].scope.version = "3"

    rows = _rows(_decode(request.SerializeToString()))

    assert [row["message"] for row in rows] == ["order accepted", "paid"]
    for row in rows:
        columns = (row["service"], row["service_version"], row["host"], row["process_id"], row["logger"])
        assert columns == ("shop", "1.2", "web-1", 7, "shop.orders")
        assert row["attributes"] == {"pod": "p", "scope.version": "3"}


def test_service_that_the_program_did_not_name_is_empty() -> None:
    """An SDK sends ``unknown_service:python`` if the program names no service."""
    assert "service" not in _row(_record(), {"service.name": "unknown_service:python"})


@pytest.mark.parametrize(
    ("number", "text", "level", "attributes"),
    [
        (9, "INFO", "INFO", {}),
        (9, "Information", "INFO", {}),
        (13, "", "WARN", {}),
        (18, "SEVERE", "ERROR", {"severity_number": 18}),
        (0, "warning", "WARN", {}),
        (0, "audit", "INFO", {"severity_text": "audit"}),
        (0, "", "INFO", {}),
        (24, "panic", "FATAL", {"severity_number": 24}),
        (99, "ERROR", "ERROR", {"severity_number": 99}),
    ],
)
def test_severity(number: int, text: str, level: str, attributes: dict[str, Any]) -> None:
    """The number gives the level, or the text if there is no number; what they say besides is kept."""
    row = _row(_record(severity_number=number, severity_text=text))

    assert (row["level"], row["attributes"]) == (level, attributes)


def test_time_of_observation_replaces_a_missing_time() -> None:
    """A record without a time has the time at which it was observed."""
    assert _row(_record(time_unix_nano=0, observed_time_unix_nano=_TIME))["created_at"] == _TIME // 1000


def test_ids_flags_and_event_name() -> None:
    """The ids are in hexadecimal; ids of zeros only are none."""
    row = _row(_record(trace_id=bytes(range(16)), span_id=bytes(range(8)), flags=1, event_name="order.paid"))
    empty = _row(_record(trace_id=bytes(16), span_id=bytes(8)))

    assert (row["trace_id"], row["span_id"]) == ("000102030405060708090a0b0c0d0e0f", "0001020304050607")
    assert row["attributes"] == {"trace_flags": 1, "event_name": "order.paid"}
    assert not {"trace_id", "span_id"} & set(empty)


def test_exception() -> None:
    """The type and the stack trace fill columns; a record without a body has the exception's message."""
    attributes = {"exception.type": "KeyError", "exception.message": "'x'", "exception.stacktrace": "Traceback …"}
    row = _row(_record(None, attributes=attributes))

    assert (row["error_type"], row["stack_trace"], row["message"]) == ("KeyError", "Traceback …", "'x'")


def test_body_that_is_a_map_has_searchable_members_and_a_readable_message() -> None:
    """The members of the body are attributes; one of them is the message, or else all of them as JSON."""
    event = _row(_record({"event": "order paid", "amount": 12.5, "user": {"id": 7}}))
    other = _row(_record({"amount": 3}))

    assert (event["message"], event["attributes"]["amount"], event["attributes"]["user"]) == (
        "order paid",
        12.5,
        {"id": 7},
    )
    assert (other["message"], other["attributes"]) == ('{"amount":3}', {"amount": 3})


@pytest.mark.parametrize(
    ("body", "message"), [(7, "7"), (True, "true"), ([1, "a"], '[1,"a"]'), (b"\1\2", "AQI="), (None, ""), ("", "")]
)
def test_body_of_any_kind_is_text(body: Any, message: str) -> None:
    """A body that is no string is written as JSON; bytes are in base64."""
    assert _row(_record(body))["message"] == message


def test_attribute_does_not_replace_what_the_record_says_itself() -> None:
    """Attributes with the names of the level, the time and the message get other names."""
    row = _row(_record(attributes={"level": "silly", "message": "other", "created_at": "then", "sequence": "first"}))

    assert (row["level"], row["message"], row["created_at"]) == ("INFO", "order accepted", _TIME // 1000)
    assert set(row["attributes"]) == {f"attributes.{name}" for name in ("level", "message", "created_at", "sequence")}


def test_text_that_databases_cannot_store_is_replaced() -> None:
    """NUL characters become U+FFFD, wherever they are, in both formats."""
    record = _record("a\0b", attributes={"k\0": "v\0", "list": ["x\0"]}, severity_text="\0", event_name="e\0")
    request = _request(record)

    for content, is_json in ((request.SerializeToString(), False), (_to_json(request), True)):
        text = json.dumps(_rows(_decode(content, is_json=is_json)), ensure_ascii=False)
        assert "\\u0000" not in text
        assert "a\ufffdb" in text
        assert "v\ufffd" in text


def test_resources_of_one_request_are_stored_in_one_batch() -> None:
    """The rows of two resources with different columns are in the order of the request."""
    request = _request(_record("one", attributes={"user.id": "u"}), resource={"service.name": "shop"})
    request.MergeFrom(_request(_record("two", trace_id=b"\1" * 16), resource={"host.name": "web-1"}))

    rows = _rows(_decode(request.SerializeToString()))

    assert [(row["message"], row.get("service"), row.get("host"), row.get("user_id")) for row in rows] == [
        ("one", "shop", None, "u"),
        ("two", None, "web-1", None),
    ]


def test_invalid_record_affects_no_other() -> None:
    """A record that is no ``LogRecord`` is rejected by its index."""
    scope_logs = ScopeLogs(log_records=[_record("one"), _record("three")]).SerializeToString()
    first, second = (b"\x12" + bytes([len(each)]) + each for each in (_record("one").SerializeToString(), b"\xff\xff"))
    assert scope_logs.startswith(first)
    content = first + second + scope_logs[len(first) :]
    body = _decode(_enclose(_enclose(content, 2), 1))

    assert [row["message"] for row in _rows(body)] == ["one", "three"]
    assert [index for index, _ in body.rows.rejected] == [1]
    assert body.rows.indices == [0, 2]


def _enclose(content: bytes, number: int) -> bytes:
    """Return ``content`` as the field ``number`` of a message."""
    length, size = len(content), b""
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + content


@pytest.mark.parametrize("content", [b"\xff", b'{"logs": []}', b"\x0a\x05abc"])
def test_body_that_is_no_request_is_refused(content: bytes) -> None:
    """A body that is not OpenTelemetry's in protobuf gets 400."""
    with pytest.raises(Problem) as caught:
        _decode(content)

    assert caught.value.status == 400


@pytest.mark.parametrize("content", [b"[]", b"{", b'{"resourceLogs": 3}', b'{"resourceLogs": [[]]}', b"\xff"])
def test_body_that_is_no_json_request_is_refused(content: bytes) -> None:
    """A body that is not OpenTelemetry's in JSON gets 400."""
    with pytest.raises(Problem) as caught:
        _decode(content, is_json=True)

    assert caught.value.status == 400


def test_json_takes_numbers_as_text_and_ignores_unknown_members() -> None:
    """64-bit integers may be text, and later versions may add members."""
    record = {
        "timeUnixNano": str(_TIME),
        "severityNumber": 17,
        "body": {"stringValue": "failed"},
        "traceId": "5B8EFFF798038103D269B633813FC60C",
        "attributes": [
            {"key": "n", "value": {"intValue": "9007199254740993"}},
            {"key": "x", "value": {"doubleValue": "NaN"}},
            {"key": "later", "value": {"laterValue": 1}},
        ],
        "later": {"a": [1]},
    }
    request = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record], "later": 1}], "schemaUrl": "x"}], "later": 2}

    [row] = _rows(_decode(json.dumps(request).encode(), is_json=True))

    assert (row["created_at"], row["level"], row["message"]) == (_TIME // 1000, "ERROR", "failed")
    assert row["attributes"]["n"] == 9007199254740993
    assert row["trace_id"].lower() == "5b8efff798038103d269b633813fc60c"


def test_repeated_request_has_the_same_batch_id() -> None:
    """A digest of the content is the batch id; without the time of each record there is none."""
    request = _request(_record("one"), _record("two"))
    with_unknown_time = _request(_record("one"), _record("two", time_unix_nano=0))

    first, second = (_decode(request.SerializeToString()).batch.batch_id for _ in range(2))

    assert first == second
    assert first is not None
    assert _decode(_request(_record("one")).SerializeToString()).batch.batch_id != first
    assert _decode(with_unknown_time.SerializeToString()).batch.batch_id is None


def test_empty_request_has_no_records() -> None:
    """Senders may send an empty request to find out whether the server is there."""
    for content, is_json in ((b"", False), (b"{}", True)):
        body = _decode(content, is_json=is_json)
        assert (body.count, list(body.rows.rows), body.batch.batch_id) == (0, [], None)


_MILLION = 1_000_000


@pytest.mark.parametrize(
    "content",
    [
        _enclose(_enclose(b"\x12\0" * _MILLION, 2), 1),
        _enclose(b"\x12\0" * _MILLION, 1),
        b"\x0a\0" * _MILLION,
        _enclose(_enclose(_enclose(b"\x32\0" * _MILLION, 2), 2), 1),
    ],
    ids=["records", "scopes", "resources", "attributes"],
)
def test_request_that_needs_too_much_memory_is_refused(content: bytes) -> None:
    """A request of two megabytes may have a million empty messages."""
    with pytest.raises(Problem) as caught:
        _decode(content, max_weight=32 << 20)

    assert caught.value.status == 413


def test_values_in_one_large_value_are_limited() -> None:
    """Two bytes make an empty value in a list; there may be a hundred thousand in the large values of a request."""
    content = _enclose(_enclose(_enclose(b"\x0a\0" * _MILLION, 5), 2), 6)  # an attribute whose value is a list
    body = _decode(_enclose(_enclose(_enclose(content, 2), 2), 1))

    assert body.rows.rejected == [(0, "the record is not a LogRecord: the request has more than 100,000 values")]


def test_long_text_is_stored() -> None:
    """A long message or stack trace is no large number of values."""
    row = _row(_record("x" * 5_000_000, attributes={"exception.stacktrace": "y" * 1_000_000}))

    assert (len(row["message"]), len(row["stack_trace"])) == (5_000_000, 1_000_000)


_scalars = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.binary(max_size=8),
    st.none(),
)
_keys = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10),
    st.sampled_from(
        ["code.function", "code.function.name", "user.id", "message", "level", "exception.type", "thread.name"]
    ),
)
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_keys, inner, max_size=3)),
    max_leaves=8,
)
_records = st.builds(
    _record,
    body=_values,
    attributes=st.dictionaries(_keys, _values, max_size=5),
    time_unix_nano=st.integers(0, 2**63),
    observed_time_unix_nano=st.integers(0, 2**63),
    severity_number=st.integers(0, 24),
    severity_text=st.sampled_from(["", "INFO", "warn", "audit"]),
    trace_id=st.sampled_from([b"", bytes(16), bytes(range(16))]),
    flags=st.integers(0, 2**32 - 1),
    event_name=st.sampled_from(["", "paid"]),
)


@settings(max_examples=200, deadline=None)
@given(records=st.lists(_records, min_size=1, max_size=10), resource=st.dictionaries(_keys, _values, max_size=3))
def test_json_and_protobuf_give_the_same_rows(records: list[LogRecord], resource: dict[str, Any]) -> None:
    """Any request gives the same rows in both formats, and none of its records is rejected."""
    request = _request(*records, resource=resource)

    first = _decode(request.SerializeToString())
    second = _decode(_to_json(request), is_json=True)

    assert first.rows.rejected == second.rows.rejected == []
    assert first.count == len(records)
    for one, other in zip(_rows(first), _rows(second), strict=True):
        one.pop("created_at")  # A record without a time has that of its arrival.
        other.pop("created_at")
        assert one == other

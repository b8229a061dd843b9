"""A record from any logging system becomes a row, and little of it is lost."""

import json
import math
import time
from collections.abc import Sequence
from itertools import chain, product
from typing import Any

import pytest

pytest.importorskip("msgspec", reason="msgspec is not installed: pip install msgspec")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from hypothesis import given
from hypothesis import strategies as st

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest import json_body
from concurrent_log.collector.server.ingest.batch_rows import build_rows
from concurrent_log.collector.server.ingest.decoded_body import DecodedBody
from concurrent_log.collector.server.ingest.json_text import estimate_weight
from concurrent_log.collector.server.ingest.levels import parse_level
from concurrent_log.collector.server.ingest.memory_budget import MemoryBudget
from concurrent_log.collector.server.ingest.normalize import MAX_DEPTH, MAX_KEY_LENGTH, MAX_TEXT_LENGTH, clean_text
from concurrent_log.collector.server.timestamps import parse_timestamp
from concurrent_log.collector.store.columns import COLUMNS, FLOATS, INTEGERS, LEVELS, RecordRow

_NOW = 1_768_230_000_000_000
_NOON = 1_768_219_200_000_000  # 2026-01-12T12:00:00Z


def columns(row: RecordRow, names: Sequence[str]) -> dict[str, Any]:
    """Return the values of a row by column."""
    found = {name: value for name, value in zip(names, row, strict=True) if value is not None}
    if "attributes" in found:
        found["attributes"] = json.loads(found["attributes"], parse_constant=pytest.fail)
    return found


def normalize(record: dict[str, Any], **common: Any) -> dict[str, Any]:
    """Return the row of one record, by column."""
    rows = build_rows([record], common, _NOW)
    assert not rows.rejected
    return columns(rows.rows[0], rows.columns)


def read(content: bytes) -> DecodedBody:
    """Decode a body, with generous limits."""
    with MemoryBudget(1 << 30, 1).lease() as lease:
        return json_body.decode_body(content, 1 << 28, lease)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((name, name) for name in LEVELS),
        *((name.lower(), name) for name in LEVELS),
        *((name.capitalize(), name) for name in LEVELS),
        ("WARNING", "WARN"),
        ("CRITICAL", "FATAL"),
        ("NOTSET", "TRACE"),
        ("exception", "ERROR"),
        (" Info ", "INFO"),
        *zip(range(8), ["FATAL", "FATAL", "FATAL", "ERROR", "WARN", "INFO", "INFO", "DEBUG"], strict=True),
        *zip(
            ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"],
            ["FATAL", "FATAL", "FATAL", "ERROR", "WARN", "INFO", "INFO", "DEBUG"],
            strict=True,
        ),
        (10, "DEBUG"),
        (20, "INFO"),
        (30, "WARN"),
        (40, "ERROR"),
        (50, "FATAL"),
        (8, "TRACE"),
        (25, "INFO"),
        (35.0, "WARN"),
        (1000, "FATAL"),
        ("30", "WARN"),
        ("INFO2", "INFO"),
        ("Error4", "ERROR"),
        ("SEVERE", "ERROR"),
        ("Verbose", "TRACE"),
        ("W", "WARN"),
    ],
)
def test_level_names_and_numbers(value: Any, expected: str) -> None:
    """Names in any case, and the numbers of Python and of syslog, are known."""
    assert parse_level(value) == (expected, LEVELS[expected])
    found = normalize({"level": value})
    assert (found["level"], found["level_number"]) == (expected, LEVELS[expected])


@pytest.mark.parametrize("strange", ["", "loud", True, -1, [], {}, "9" * 5000, math.pi * -1])
def test_unknown_level_becomes_an_attribute(strange: Any) -> None:
    """The level is INFO, and the original value is an attribute."""
    found = normalize({"level": strange})

    assert (found["level"], found["attributes"]) == ("INFO", {"level": strange})


@pytest.mark.parametrize("number", range(10, 70, 10))
def test_pino_levels(number: int) -> None:
    """A record with ``msg`` and ``time`` is from pino or bunyan, where 30 is info; both fields are used."""
    found = normalize({"level": number, "msg": "hello", "time": 1768200001250, "pid": 7, "hostname": "web-1"})

    assert found["level"] == list(LEVELS)[number // 10 - 1]
    assert (found["message"], found["created_at"]) == ("hello", 1_768_200_001_250_000)
    assert found["attributes"] == {"time": 1768200001250, "pid": 7, "hostname": "web-1"}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"severity": "warning"}, "WARN"),
        ({"severity": 3}, "ERROR"),
        ({"levelname": "CRITICAL"}, "FATAL"),
        ({"severityText": "DEBUG3"}, "DEBUG"),
        *(({"severityNumber": number}, list(LEVELS)[(number - 1) // 4]) for number in range(1, 25)),
        ({"severity_number": 17}, "ERROR"),
        ({"severity_number": 25}, "INFO"),
        ({"severity": "odd", "levelname": "ERROR"}, "ERROR"),
        ({}, "INFO"),
        ({"level": "DEBUG", "severity": "error"}, "DEBUG"),
    ],
)
def test_level_under_another_name(record: dict[str, Any], expected: str) -> None:
    """Without ``level``, other names are tried, such as OpenTelemetry's; the field remains an attribute."""
    found = normalize(record)

    assert (found["level"], found["level_number"]) == (expected, LEVELS[expected])
    assert found.get("attributes", {}) == {name: value for name, value in record.items() if name != "level"}


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-12T12:00:00Z",
        "2026-01-12 12:00:00",
        "2026-01-12T12:00",
        "2026-01-12t12:00:00z",
        "2026-01-12T12:00:00.000",
        "2026-01-12T12:00:00.000000000Z",
        "2026-01-12 12:00:00,000",
        "2026-01-12T13:00:00+01:00",
        "2026-01-12T13:00:00+0100",
        "2026-01-12T13:00:00+01",
        "2026-01-12T06:30:00-05:30",
        "2026-01-12 12:00:00 UTC",
        " 2026-01-12 12:00:00 +00:00 ",
        "1768219200",
        "1768219200.0",
        "1768219200000",
        "1768219200000000000",
        1768219200,
        1768219200.0,
        1768219200000,
        1768219200000.0,
        1768219200000000,
        1768219200000000000,
    ],
)
def test_time_formats(text: Any) -> None:
    """ISO 8601 with and without a time zone, and numbers in each unit, are parsed."""
    assert parse_timestamp(text) == _NOON
    assert normalize({"created_at": text}) == {"created_at": _NOON, "level": "INFO", "level_number": 20}


@pytest.mark.parametrize(
    ("value", "microseconds"),
    [
        ("2026-01-12T12:00:00.1234567Z", _NOON + 123_456),
        ("2026-01-12T12:00:00.5", _NOON + 500_000),
        ("2026-01-12T12:00:60Z", _NOON + 59_000_000),
        (1768219200.123456, _NOON + 123_456),
        (1768219200123.456, _NOON + 123_456),
        (1768219200123456, _NOON + 123_456),
        (1768219200123456789, _NOON + 123_456),
        (0, 0),
        (0.5, 500_000),
    ],
)
def test_times_keep_their_microseconds(value: Any, microseconds: int) -> None:
    """Every unit is parsed with the precision of a microsecond."""
    assert parse_timestamp(value) == microseconds


@pytest.mark.parametrize(
    "strange",
    [
        "",
        "now",
        "12:00",
        "2026-13-01T00:00",
        "2026-02-30T00:00",
        "2026-01-12T12:00:00+99:99",
        "9999-12-31T00:00",
        "0001-01-01T00:00+01:00",
        -1,
        -1.5,
        1e300,
        10**25,
        True,
        [],
        {"a": 1},
        "\uff11\uff12",
    ],
)
def test_invalid_time_becomes_an_attribute(strange: Any) -> None:
    """The time is now, and the original value is an attribute."""
    found = normalize({"created_at": strange})

    assert found["created_at"] == _NOW
    assert found["attributes"]["created_at"] == (str(strange) if strange == 10**25 else strange)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2199-01-01T00:00:00Z", "2199-01-01T00:00:00.000000Z"),
        (_NOW / 1e6 + 3600, "2026-01-12T16:00:00.000000Z"),
        (_NOW // 1000 + 61_000, "2026-01-12T15:01:01.000000Z"),
        (0, "1970-01-01T00:00:00.000000Z"),
        (1.5, "1970-01-01T00:00:01.500000Z"),
        ("1980-01-06T00:07:00Z", "1980-01-06T00:07:00.000000Z"),
    ],
)
@pytest.mark.parametrize("name", ["created_at", "timestamp", "ts"])
@pytest.mark.parametrize("count", [1, 20])
def test_record_with_a_wrong_clock_has_the_time_of_its_arrival(given: Any, shown: str, name: str, count: int) -> None:
    """A clock is in the future, or was never set. The record is marked, and the others of the batch are unchanged."""
    wrong = {name: given, "level": "INFO", "message": "x"}
    right = {"created_at": _NOON / 1e6, "level": "INFO", "message": "y"}
    rows = build_rows([*[wrong] * count, *[right] * count], {}, _NOW)
    found = [columns(row, rows.columns) for row in rows.rows]

    assert {(row["created_at"], row["attributes"]["wrong_clock"]) for row in found[:count]} == {(_NOW, shown)}
    assert [row["created_at"] for row in found[count:]] == [_NOON] * count
    assert "attributes" not in found[-1]


def test_clock_that_is_slightly_ahead_is_believed() -> None:
    """Clocks of machines differ a little."""
    ahead = _NOW / 1e6 + 30

    assert normalize({"created_at": ahead})["created_at"] == _NOW + 30_000_000


@pytest.mark.parametrize("count", [1, 20])
@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("1597483647123456789", 1597483647123456789),
        ("18446744073709551616", "18446744073709551616"),
        ("0.1234567890123456789012", "0.1234567890123456789012"),
        ("12345678901234567.25", "12345678901234567.25"),
        ("0.30000000000000004", 0.30000000000000004),
        ("1e400", "1e400"),
        ("1e-99999999999999999999", "1e-99999999999999999999"),
        ("-0.0", "-0.0"),
        ("NaN", "NaN"),
        ("[-0.0, 1.0]", ["-0.0", 1.0]),
    ],
)
def test_numbers_keep_their_digits(sent: str, stored: Any, count: int) -> None:
    """A number that a database would change becomes text with the same digits."""
    record = f'{{"created_at":1768219200.5,"level":"INFO","message":"x","n":{sent}}}'
    body = read(f'{{"logs":[{",".join([record] * count)}]}}'.encode())
    found = columns(body.batch.rows[-1], body.batch.columns)

    assert repr(found["attributes"]) == repr({"n": stored})
    assert found["created_at"] == _NOON + 500_000


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"event": "login", "user": 7, "trace_id": "4bf9"}, ("login", "4bf9", {"user": 7})),
        ({"text": "login", "level": "loud"}, ("login", None, {"message.level": "loud"})),
        ({"event": "a", "message": "b"}, ("a", None, {"message.message": "b"})),
        ({"user": {"id": 7}}, ('{"user":{"id":7}}', None, {"user": {"id": 7}})),
        ({}, ("{}", None, None)),
    ],
)
def test_members_of_a_message_that_is_an_object_are_fields(message: Any, expected: Any) -> None:
    """Its text is the message; the rest can be searched for."""
    found = normalize({"message": message, "level": "INFO"})

    assert found["level"] == "INFO"
    assert (found["message"], found.get("trace_id"), found.get("attributes")) == expected


@pytest.mark.parametrize("name", ["msg", "body"])
def test_object_under_another_name_of_the_message(name: str) -> None:
    """OpenTelemetry's body may be an object."""
    found = normalize({name: {"event": "login", "user": 7, "trace_id": "4bf9"}})

    assert (found["message"], found["trace_id"], found["attributes"]) == ("login", "4bf9", {"user": 7})


@pytest.mark.parametrize("level", ["\x1b[32minfo\x1b[39m", "\x1b[1;32m INFO \x1b[0m"])
def test_coloured_level_is_the_level(level: str) -> None:
    """Winston and others may send the escape codes of a terminal."""
    assert normalize({"level": level, "message": "x"}) == {
        "created_at": _NOW,
        "level": "INFO",
        "level_number": 20,
        "message": "x",
    }


@pytest.mark.parametrize("since", [-5.5, 0, 1.5, 9e9, 1e300])
def test_loss_reported_with_a_wrong_clock_is_counted(since: float) -> None:
    """It must not make the server refuse the batch."""
    before = time.time_ns() // 1000
    body = read(json.dumps({"logs": [], "dropped": [{"reason": "x", "records": 1, "since": since}]}).encode())

    assert before <= body.batch.losses[0].since <= time.time_ns() // 1000


@pytest.mark.parametrize("alias", ["timestamp", "@timestamp", "time", "ts", "timeUnixNano"])
def test_time_under_another_name(alias: str) -> None:
    """Without ``created_at``, other names are tried; if the value is invalid, the time is now."""
    assert normalize({alias: "2026-01-12T12:00:00Z"})["created_at"] == _NOON
    assert normalize({alias: "a while"}) == {
        "created_at": _NOW,
        "level": "INFO",
        "level_number": 20,
        "attributes": {alias: "a while"},
    }


@pytest.mark.parametrize("alias", ["msg", "short_message", "body", "log"])
def test_message_under_another_name(alias: str) -> None:
    """Without ``message``, other names are tried."""
    assert normalize({alias: "hello"})["message"] == "hello"
    assert normalize({alias: {"a": 1}})["message"] == '{"a":1}'
    assert normalize({alias: "x", "message": "hello"})["attributes"] == {alias: "x"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (123, "123"),
        (1.5, "1.5"),
        (True, "true"),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        ([], "[]"),
        ("", ""),
        (None, None),
    ],
)
def test_text_columns_accept_any_value(value: Any, text: str | None) -> None:
    """Other values become text, as in JSON; null leaves the column empty."""
    for column in ("message", "user_id", "service", "stack_trace"):
        assert normalize({column: value}).get(column) == text


@pytest.mark.parametrize(
    ("value", "number"),
    [(7, 7), ("7", 7), (" 7 ", 7), (7.0, 7), (-(2**63), -(2**63)), (2**63 - 1, 2**63 - 1)],
)
def test_integer_columns(value: Any, number: int) -> None:
    """An integer may be text, or a float without a fraction."""
    for column in ("process_id", "line_number", "sequence"):
        assert normalize({column: value})[column] == number


@pytest.mark.parametrize("value", ["x", 7.5, True, 2**63, [7], "7.5", 1e300])
def test_invalid_integer_becomes_an_attribute(value: Any) -> None:
    """The column is empty, and the value is an attribute."""
    found = normalize({"line_number": value})

    assert "line_number" not in found
    assert found["attributes"]["line_number"] == (str(value) if value == 2**63 else value)


@pytest.mark.parametrize(("value", "number"), [(7, 7.0), (7.25, 7.25), ("7.25", 7.25), (10**30, None), ("much", None)])
def test_duration_column(value: Any, number: float | None) -> None:
    """A duration is a number, or text; any other value is an attribute."""
    found = normalize({"duration_ms": value})

    assert found.get("duration_ms") == number
    assert ("attributes" in found) == (number is None)


def test_other_fields_become_attributes() -> None:
    """Flat fields, and the members of ``metadata`` and ``attributes``; duplicate names lose no value."""
    found = normalize(
        {"action": "login", "n": None, "level_number": 99, "metadata": {"action": "x", "b": 1}, "attributes": {"c": 2}},
        shard=1,
        metadata={"d": 3},
    )

    assert found["attributes"] == {
        "action": "login",
        "n": None,
        "metadata.action": "x",
        "b": 1,
        "c": 2,
        "d": 3,
        "shard": 1,
    }
    assert found["level_number"] == 20
    assert normalize({"metadata": "text"})["attributes"] == {"metadata": "text"}


def test_record_overrides_common_values() -> None:
    """A record's own values replace the common ones; null does not."""
    found = normalize({"service": "till", "host": None, "level": "ERROR"}, service="shop", host="web-1", level="DEBUG")

    assert (found["service"], found["host"], found["level"]) == ("till", "web-1", "ERROR")
    assert normalize({}, level="debug", created_at="2026-01-12T12:00:00Z") == {
        "created_at": _NOON,
        "level": "DEBUG",
        "level_number": 10,
    }


def test_long_values_and_keys_are_limited() -> None:
    """A text column has at most 500 characters, and the whole value is an attribute; long columns have no limit."""
    long = "é" * 100_000
    found = normalize({"service": long, "message": long, "stack_trace": long, "k" * 1000: 1, "a": {"k" * 1000: 1}})

    assert found["service"] == long[:MAX_TEXT_LENGTH]
    assert found["message"] == found["stack_trace"] == long
    assert found["attributes"] == {"service": long, "k" * MAX_KEY_LENGTH: 1, "a": {"k" * MAX_KEY_LENGTH: 1}}


def test_deep_values_are_cut() -> None:
    """Nested lists are cut at a maximum depth."""
    value: list[Any] = []
    for _ in range(MAX_DEPTH + 5):
        value = [value]
    found = normalize({"a": value})["attributes"]["a"]
    for _ in range(MAX_DEPTH):
        (found,) = found

    assert found == "…"


def test_numbers_that_databases_cannot_store() -> None:
    """Numbers beyond 64 bits, infinity and NaN become text."""
    found = read(b'{"logs": [{"a": NaN, "b": -Infinity, "c": 1e999, "d": 12345678901234567890123, "e": [1e999]}]}')

    assert columns(found.batch.rows[0], found.batch.columns)["attributes"] == {
        "a": "NaN",
        "b": "-Infinity",
        "c": "1e999",
        "d": "12345678901234567890123",
        "e": ["1e999"],
    }


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        (b'"a\\u0000b"', "a\ufffdb"),
        (b'"a\\ud800b"', "a\ufffdb"),
        (b'"\\udc00\\ud800"', "\ufffd\ufffd"),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"a\x00b"', "a\ufffdb"),
        (b'"a\x01\nb"', "a\x01\nb"),
        (b'"a\xffb"', "a\ufffdb"),
        (b'"a\xed\xa0\x80b"', "a\ufffd\ufffd\ufffdb"),
        ('"grüße"'.encode(), "grüße"),
    ],
)
def test_text_that_databases_cannot_store(written: bytes, stored: str) -> None:
    """NUL, lone surrogates and invalid UTF-8 are replaced in columns, attributes and keys; other records are intact."""
    record = b'{"message": %s, "service": %s, "x": [%s], %s: 1}' % (written, written, written, written)
    batch = read(b'\xef\xbb\xbf{"logs": [{"message": "one"}, %s]}' % record).batch
    one, found = (columns(row, batch.columns) for row in batch.rows)

    assert one["message"] == "one"
    assert (found["message"], found["service"]) == (stored, stored)
    assert found["attributes"] == {"x": [stored], stored: 1}


def test_invalid_json_rejects_the_body() -> None:
    """If the end of a record is unclear, the whole body is invalid."""
    with pytest.raises(Problem, match="invalid JSON"):
        read(b'{"logs": [{"a": 1}, {"a": }, {"a": 2}]}')


def test_weight_of_text_is_its_length() -> None:
    """Commas and braces in strings do not count as values and objects."""
    text = b'{"logs": [{"message": "' + b'{,[\\"' * 10_000 + b'"}]}'

    assert estimate_weight(text, 100_000) < 2 * len(text)
    assert estimate_weight(b'{"logs": [' + b"{}," * 10_000 + b"{}]}", 100_000) > 6_000_000


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)
_keys = st.sampled_from([*COLUMNS, "metadata", "msg", "time", "severity", "severityNumber"]) | st.text()


@given(
    st.lists(st.dictionaries(_keys, _json, max_size=8) | _json, max_size=5), st.dictionaries(_keys, _json, max_size=3)
)
def test_any_json_becomes_valid_rows(records: list[Any], common: dict[str, Any]) -> None:
    """Every object becomes a row with the right types; every other value is rejected, with its index."""
    content = json.dumps({"logs": records, "common": common}).encode()
    body = read(content)

    assert body.rows.indices == [index for index, record in enumerate(records) if isinstance(record, dict)]
    assert [index for index, _ in body.rows.rejected] == [
        index for index, record in enumerate(records) if not isinstance(record, dict)
    ]
    for row in body.batch.rows:
        for name, value in zip(body.batch.columns, row, strict=True):
            if name in INTEGERS:
                assert value is None or (type(value) is int and -(2**63) <= value < 2**63)
            elif name in FLOATS:
                assert value is None or (type(value) is float and math.isfinite(value))
            elif value is not None:
                assert "\0" not in value
                value.encode("utf-8")
        assert None not in row[:3]
        attributes = columns(row, body.batch.columns).get("attributes", {})
        assert isinstance(attributes, dict)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        (
            "created_at",
            [1.7e9, 2.5, -1.0, 1e12, 1e30, 7, 4e9, "2026-01-12T12:00:00Z", "2199-01-01T00:00", "soon", None],
        ),
        ("level", ["INFO", "warning", 40, "loud", None, [], True]),
        ("message", ["", "%s", "é" * (MAX_TEXT_LENGTH + 1), 7, None]),
        ("service", ["shop", "", "é" * (MAX_TEXT_LENGTH + 1), 7, True, [], None]),
        ("stack_trace", ["é" * (MAX_TEXT_LENGTH + 1), {}, None]),
        ("line_number", [1, -(2**63), 2**63, 1.0, 1.5, True, "7", None]),
        ("duration_ms", [1, 1.5, 2**63, -(2.0**70), True, "7", None]),
        ("n", [1, 1.5, 2**63, -(2.0**70), True, "7", None, [2**63], {"a": 1}]),
        ("customer", ["Ada", "a\nb\u2028\r", "100 %s", "é" * (MAX_TEXT_LENGTH + 1), 1, None]),
        ("100 %s", ["a", 1]),
        ("k" * (MAX_KEY_LENGTH + 1), ["a", 1]),
        ("level_number", [1, "1"]),
        ("metadata", ["a", {"n": 1}]),
        ("attributes", ["a", {"n": 1}]),
        ("msg", ["a", 1]),
    ],
)
@pytest.mark.parametrize("odd", [{}, {"message": None}, {"level": "loud"}])
def test_building_by_column_equals_building_by_record(key: str, values: list[Any], odd: dict[str, Any]) -> None:
    """Records with the same keys get the same rows as one by one, also with unusual values among them."""
    plain = {"created_at": 1_768_200_001.5, "level": "INFO", "message": "hello", "customer": "Ada"}
    for common, value in product(({}, {key: values[0], "service": "shop", "n": 9, "100 %d": "%d"}), values):
        alike = [*[values[0]] * 10, value], [value] * 10
        records = [{**plain, key: each} for each in chain(*alike)] + [{**plain, **odd, "else": 1}] * 10
        for some in (records[:11], records[11:]):
            rows = build_rows([*some, None], common, _NOW)
            found = [columns(row, rows.columns) for row in rows.rows]

            assert repr(found) == repr([normalize(record, **common) for record in some])


@pytest.mark.parametrize("count", [12, 99])
def test_rows_are_in_the_order_of_the_records(count: int) -> None:
    """The order of the rows does not depend on the keys of the records."""
    plain = {"created_at": 1_768_200_001.5, "level": "INFO"}
    records = [{**plain, "message": str(n), **dict.fromkeys("abc"[: n % 3])} for n in range(count)]
    rows = build_rows([None, *records], {}, _NOW)

    assert [columns(row, rows.columns)["message"] for row in rows.rows] == [str(number) for number in range(count)]
    assert rows.indices == list(range(1, count + 1))


@given(_json)
def test_cleaning_is_idempotent(value: Any) -> None:
    """Cleaning a clean value does not change it."""
    once = clean_text(value)

    assert repr(clean_text(once)) == repr(once)

"""A record of any dialect becomes a row, and as little as possible of it is lost."""

import json
import math
from collections.abc import Sequence
from itertools import chain, product
from typing import Any

import pytest

pytest.importorskip("msgspec", reason="msgspec is not installed: pip install 'concurrent_log[server]'")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install 'concurrent_log[server]'")

from hypothesis import given
from hypothesis import strategies as st

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest import json_body as decoding
from concurrent_log.collector.server.ingest.batch_rows import rows_of
from concurrent_log.collector.server.ingest.levels import level_of
from concurrent_log.collector.server.ingest.memory_budget import Budget
from concurrent_log.collector.server.ingest.normalize import DEEPEST, LONGEST, LONGEST_KEY, cleaned
from concurrent_log.collector.server.timestamps import microseconds_of
from concurrent_log.collector.store import COLUMNS, FLOATS, INTEGERS, LEVELS, Row

_NOW = 1_768_200_000_000_000
_NOON = 1_768_219_200_000_000  # 2026-01-12T12:00:00Z


def columns(row: Row, names: Sequence[str]) -> dict[str, Any]:
    """Return what a row has, by column."""
    found = {name: value for name, value in zip(names, row, strict=True) if value is not None}
    if "attributes" in found:
        found["attributes"] = json.loads(found["attributes"], parse_constant=pytest.fail)
    return found


def normalised(record: dict[str, Any], **common: Any) -> dict[str, Any]:
    """Return what one record has as a row, by column."""
    rows = rows_of([record], common, _NOW)
    assert not rows.rejected
    return columns(rows.rows[0], rows.columns)


def read(content: bytes) -> decoding.Body:
    """Return what a body says, without tight limits."""
    with Budget(1 << 30, 1).lease() as lease:
        return decoding.read([content], "", 1 << 24, 1 << 28, lease)


@pytest.mark.parametrize(
    ("dialect", "ours"),
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
def test_levels_of_every_dialect(dialect: Any, ours: str) -> None:
    """Names in any case, and the numbers of Python and of syslog."""
    assert level_of(dialect) == (ours, LEVELS[ours])
    found = normalised({"level": dialect})
    assert (found["level"], found["level_number"]) == (ours, LEVELS[ours])


@pytest.mark.parametrize("strange", ["", "loud", True, -1, [], {}, "9" * 5000, math.pi * -1])
def test_a_level_that_is_none_is_kept(strange: Any) -> None:
    """It is INFO, and what it was is among the attributes."""
    found = normalised({"level": strange})

    assert (found["level"], found["attributes"]) == ("INFO", {"level": strange})


@pytest.mark.parametrize("number", range(10, 70, 10))
def test_levels_of_pino(number: int) -> None:
    """A record with ``msg`` and ``time`` is of pino or bunyan, whose 30 is info; its message and its time count."""
    found = normalised({"level": number, "msg": "hello", "time": 1768200001250, "pid": 7, "hostname": "web-1"})

    assert found["level"] == list(LEVELS)[number // 10 - 1]
    assert (found["message"], found["created_at"]) == ("hello", 1_768_200_001_250_000)
    assert found["attributes"] == {"time": 1768200001250, "pid": 7, "hostname": "web-1"}


@pytest.mark.parametrize(
    ("record", "ours"),
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
def test_levels_under_other_names(record: dict[str, Any], ours: str) -> None:
    """Where a record has no level, it may have one by another name, such as OpenTelemetry's; that stays."""
    found = normalised(record)

    assert (found["level"], found["level_number"]) == (ours, LEVELS[ours])
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
def test_times_of_every_dialect(text: Any) -> None:
    """ISO 8601 with and without a zone, and numbers of each unit."""
    assert microseconds_of(text) == _NOON
    assert normalised({"created_at": text}) == {"created_at": _NOON, "level": "INFO", "level_number": 20}


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
    """No unit loses what a microsecond can tell."""
    assert microseconds_of(value) == microseconds


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
def test_a_time_that_is_none_is_kept(strange: Any) -> None:
    """It is now, and what it was is among the attributes."""
    found = normalised({"created_at": strange})

    assert found["created_at"] == _NOW
    assert found["attributes"]["created_at"] == (str(strange) if strange == 10**25 else strange)


@pytest.mark.parametrize("alias", ["timestamp", "@timestamp", "time", "ts", "timeUnixNano"])
def test_times_under_other_names(alias: str) -> None:
    """Where a record has no ``created_at``, it may have a time by another name; if that is none, it is now."""
    assert normalised({alias: "2026-01-12T12:00:00Z"})["created_at"] == _NOON
    assert normalised({alias: "a while"}) == {
        "created_at": _NOW,
        "level": "INFO",
        "level_number": 20,
        "attributes": {alias: "a while"},
    }


@pytest.mark.parametrize("alias", ["msg", "short_message", "body"])
def test_messages_under_other_names(alias: str) -> None:
    """Where a record has no message, it may have one by another name."""
    assert normalised({alias: "hello"})["message"] == "hello"
    assert normalised({alias: {"a": 1}})["message"] == '{"a":1}'
    assert normalised({alias: "x", "message": "hello"})["attributes"] == {alias: "x"}


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
def test_columns_of_text_take_anything(value: Any, text: str | None) -> None:
    """What is no text becomes text, as JSON writes it; null says nothing."""
    for column in ("message", "user_id", "service", "stack_trace"):
        assert normalised({column: value}).get(column) == text


@pytest.mark.parametrize(
    ("value", "number"),
    [(7, 7), ("7", 7), (" 7 ", 7), (7.0, 7), (-(2**63), -(2**63)), (2**63 - 1, 2**63 - 1)],
)
def test_columns_of_integers(value: Any, number: int) -> None:
    """Also as text, and as a float that is whole."""
    for column in ("process_id", "line_number", "sequence"):
        assert normalised({column: value})[column] == number


@pytest.mark.parametrize("value", ["x", 7.5, True, 2**63, [7], "7.5", 1e300])
def test_what_is_no_integer_is_kept(value: Any) -> None:
    """The column is empty, and the value is among the attributes."""
    found = normalised({"line_number": value})

    assert "line_number" not in found
    assert found["attributes"]["line_number"] == (str(value) if value == 2**63 else value)


@pytest.mark.parametrize(("value", "number"), [(7, 7.0), (7.25, 7.25), ("7.25", 7.25), (10**30, None), ("much", None)])
def test_the_column_of_a_duration(value: Any, number: float | None) -> None:
    """A number, also as text; what is none is among the attributes."""
    found = normalised({"duration_ms": value})

    assert found.get("duration_ms") == number
    assert ("attributes" in found) == (number is None)


def test_everything_else_becomes_an_attribute() -> None:
    """Flat fields, and what stands in ``metadata`` and ``attributes``; nothing of the same name is lost."""
    found = normalised(
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
    assert normalised({"metadata": "text"})["attributes"] == {"metadata": "text"}


def test_what_is_common_yields() -> None:
    """A record says otherwise for itself, but null says nothing."""
    found = normalised({"service": "till", "host": None, "level": "ERROR"}, service="shop", host="web-1", level="DEBUG")

    assert (found["service"], found["host"], found["level"]) == ("till", "web-1", "ERROR")
    assert normalised({}, level="debug", created_at="2026-01-12T12:00:00Z") == {
        "created_at": _NOON,
        "level": "DEBUG",
        "level_number": 10,
    }


def test_long_values_and_keys_are_limited() -> None:
    """A short column takes 500 characters, and all of it is an attribute; message and stack trace are whole."""
    long = "é" * 100_000
    found = normalised({"service": long, "message": long, "stack_trace": long, "k" * 1000: 1, "a": {"k" * 1000: 1}})

    assert found["service"] == long[:LONGEST]
    assert found["message"] == found["stack_trace"] == long
    assert found["attributes"] == {"service": long, "k" * LONGEST_KEY: 1, "a": {"k" * LONGEST_KEY: 1}}


def test_deep_values_are_cut() -> None:
    """Lists within lists end somewhere."""
    value: list[Any] = []
    for _ in range(DEEPEST + 5):
        value = [value]
    found = normalised({"a": value})["attributes"]["a"]
    for _ in range(DEEPEST):
        (found,) = found

    assert found == "…"


def test_numbers_that_databases_do_not_take() -> None:
    """Beyond 64 bits, or none at all: as text."""
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
def test_text_that_databases_do_not_take(written: bytes, stored: str) -> None:
    """NUL, lone surrogates and wrong UTF-8 are replaced, in columns, attributes and keys, and cost no other record."""
    record = b'{"message": %s, "service": %s, "x": [%s], %s: 1}' % (written, written, written, written)
    batch = read(b'\xef\xbb\xbf{"logs": [{"message": "one"}, %s]}' % record).batch
    one, found = (columns(row, batch.columns) for row in batch.rows)

    assert one["message"] == "one"
    assert (found["message"], found["service"]) == (stored, stored)
    assert found["attributes"] == {"x": [stored], stored: 1}


def test_one_record_that_is_no_json_costs_all() -> None:
    """Where it is not clear where a record ends, the body is no JSON."""
    with pytest.raises(Problem, match="it is no JSON"):
        read(b'{"logs": [{"a": 1}, {"a": }, {"a": 2}]}')


def test_the_weight_of_text_is_its_length() -> None:
    """Commas and braces within text are not mistaken for records."""
    text = b'{"logs": [{"message": "' + b'{,[\\"' * 10_000 + b'"}]}'

    assert decoding.weight_of(text, 100_000) < 2 * len(text)
    assert decoding.weight_of(b'{"logs": [' + b"{}," * 10_000 + b"{}]}", 100_000) > 6_000_000


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)
_keys = st.sampled_from([*COLUMNS, "metadata", "msg", "time", "severity", "severityNumber"]) | st.text()


@given(
    st.lists(st.dictionaries(_keys, _json, max_size=8) | _json, max_size=5), st.dictionaries(_keys, _json, max_size=3)
)
def test_any_json_makes_rows_that_databases_take(records: list[Any], common: dict[str, Any]) -> None:
    """Every object makes a row of the right types; everything else is rejected by its index."""
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
        ("created_at", [2.5, -1.0, 1e12, 1e30, 7, "2026-01-12T12:00:00Z", "soon", None]),
        ("level", ["INFO", "warning", 40, "loud", None, [], True]),
        ("message", ["", "%s", "é" * (LONGEST + 1), 7, None]),
        ("service", ["shop", "", "é" * (LONGEST + 1), 7, True, [], None]),
        ("stack_trace", ["é" * (LONGEST + 1), {}, None]),
        ("line_number", [1, -(2**63), 2**63, 1.0, 1.5, True, "7", None]),
        ("duration_ms", [1, 1.5, 2**63, -(2.0**70), True, "7", None]),
        ("n", [1, 1.5, 2**63, -(2.0**70), True, "7", None, [2**63], {"a": 1}]),
        ("customer", ["Ada", "a\nb\u2028\r", "100 %s", "é" * (LONGEST + 1), 1, None]),
        ("100 %s", ["a", 1]),
        ("k" * (LONGEST_KEY + 1), ["a", 1]),
        ("level_number", [1, "1"]),
        ("metadata", ["a", {"n": 1}]),
        ("attributes", ["a", {"n": 1}]),
        ("msg", ["a", 1]),
    ],
)
@pytest.mark.parametrize("odd", [{}, {"message": None}, {"level": "loud"}])
def test_records_that_look_alike_are_made_the_same_rows(key: str, values: list[Any], odd: dict[str, Any]) -> None:
    """What is done column by column comes out as it does one by one, with whatever strange value among them."""
    plain = {"created_at": 1.5, "level": "INFO", "message": "hello", "customer": "Ada"}
    for common, value in product(({}, {key: values[0], "service": "shop", "n": 9, "100 %d": "%d"}), values):
        alike = [*[values[0]] * 10, value], [value] * 10
        records = [{**plain, key: each} for each in chain(*alike)] + [{**plain, **odd, "else": 1}] * 10
        for some in (records[:11], records[11:]):
            rows = rows_of([*some, None], common, _NOW)
            found = [columns(row, rows.columns) for row in rows.rows]

            assert repr(found) == repr([normalised(record, **common) for record in some])


@pytest.mark.parametrize("count", [12, 99])
def test_records_that_look_alike_keep_their_places(count: int) -> None:
    """Rows are in the order of the records, whatever these look like, and how many of them look alike."""
    plain = {"created_at": 1.5, "level": "INFO"}
    records = [{**plain, "message": str(n), **dict.fromkeys("abc"[: n % 3])} for n in range(count)]
    rows = rows_of([None, *records], {}, _NOW)

    assert [columns(row, rows.columns)["message"] for row in rows.rows] == [str(number) for number in range(count)]
    assert rows.indices == list(range(1, count + 1))


@given(_json)
def test_cleaning_leaves_what_is_clean(value: Any) -> None:
    """What comes out is never changed by being cleaned again."""
    once = cleaned(value)

    assert repr(cleaned(once)) == repr(once)

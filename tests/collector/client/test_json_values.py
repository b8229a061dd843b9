"""Conversion of any value to JSON, and of `logging` records to entries."""

import dataclasses
import datetime
import decimal
import enum
import json
import logging
import math
import pathlib
import sys
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("msgspec")

from concurrent_log.collector.client.json_values import encode_entry, freeze
from concurrent_log.collector.client.record import level_of, record_to_entry


class _Colour(enum.Enum):
    RED = "red"


class _Number(enum.IntEnum):
    ONE = 1


@dataclasses.dataclass
class _Point:
    x: int
    y: Any


class _Unprintable:
    def __repr__(self) -> str:
        raise ValueError("no")


class _Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


def _circle() -> list[Any]:
    circle: list[Any] = [1]
    circle.append(circle)
    return circle


def _deep() -> list[Any]:
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    return deep


def sent(**values: Any) -> Any:
    """Return the entry of these values as the server receives it."""
    freeze(values)
    return json.loads(encode_entry(values), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (5, 5),
        (1.5, 1.5),
        ("text", "text"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        ({"a": math.nan}, {"a": "nan"}),
        (2**63 - 1, 2**63 - 1),
        (1e300, 1e300),
        (2**70, str(2**70)),
        ([2**70], [str(2**70)]),
        (datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc), "2026-01-02T03:04:05+00:00"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.timedelta(seconds=5), "datetime.timedelta(seconds=5)"),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (pathlib.PurePosixPath("/tmp/a"), "/tmp/a"),
        (b"caf\xc3\xa9 \xff", "café \\xff"),
        (bytearray(b"a"), "a"),
        ({1}, [1]),
        (frozenset(["a"]), ["a"]),
        ((1, (2, [3])), [1, [2, [3]]]),
        ({(1, 2): 3, None: 4, 5: 6, _Colour.RED: 7}, {"(1, 2)": 3, "None": 4, "5": 6, "red": 7}),
        (_Colour.RED, "red"),
        (_Number.ONE, 1),
        (_Point(1, {2}), {"x": 1, "y": [2]}),
        (_Text("as it is"), "as it is"),
        ("\ud800 half", "\\ud800 half"),
        ({"\ud800": "\udfff"}, {"\\ud800": "\\udfff"}),
        (ValueError("bad"), "ValueError: bad"),
        (_Unprintable(), "<_Unprintable: cannot be converted: ValueError>"),
        ([_Unprintable()], ["<_Unprintable: cannot be converted: ValueError>"]),
        (_circle(), [1, "<the same list again>"]),
        (1j, "1j"),
        (int, "<class 'int'>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_value_becomes_json(value: object, expected: object) -> None:
    """Every value is converted; a single datetime ends the worker thread of log-collector-async."""
    assert sent(value=value, other="kept") == {"value": expected, "other": "kept"}


def test_huge_number_is_hexadecimal() -> None:
    """Python limits the number of decimal digits."""
    assert sent(value=[10**10_000])["value"] == [hex(10**10_000)]


def test_deep_structure_is_cut() -> None:
    """A structure may be deeper than the recursion limit."""
    assert "deeper than 20 levels" in json.dumps(sent(value=_deep()))


def test_large_structure_is_cut_with_the_number_of_items() -> None:
    """A logging call must not copy a million items."""
    value = sent(value=list(range(100_000)))["value"]

    assert len(value) == 10_001
    assert value[-1] == "… 90,000 more"


def test_generator_is_not_consumed() -> None:
    """The program still needs it."""
    generator = (number for number in range(3))
    sent(value=generator)

    assert list(generator) == [0, 1, 2]


def test_container_is_copied_at_the_call() -> None:
    """A later change by the program has no effect."""
    cart = {"items": [1]}
    entry: dict[str, Any] = {"cart": cart}
    freeze(entry)
    cart["items"].append(2)

    assert json.loads(encode_entry(entry)) == {"cart": {"items": [1]}}


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary() | st.datetimes()
    | st.decimals() | st.uuids() | st.complex_numbers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()) | st.integers() | st.none(), inner)
    | st.tuples(inner, inner),
    max_leaves=20,
)  # fmt: skip


# Neither the time of an example nor that of its generation is tested.
_FOR_BUSY_MACHINES = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
_ENTRIES = st.dictionaries(st.text(st.characters()), _ANY)


def assert_one_line_of_json(entry: dict[str, Any]) -> None:
    """Check that ``entry`` is encoded without an error, as one line of JSON."""
    keys = len(entry)
    freeze(entry)
    encoded = encode_entry(entry)

    assert b"\n" not in encoded
    assert len(json.loads(encoded, parse_constant=lambda name: pytest.fail(name))) <= keys
    encoded.decode()


@settings(_FOR_BUSY_MACHINES, max_examples=20)
@given(_ENTRIES)
def test_any_entry_becomes_one_line_of_json(entry: dict[str, Any]) -> None:
    """No value raises, and the result is always JSON."""
    assert_one_line_of_json(entry)


@pytest.mark.slow
@settings(_FOR_BUSY_MACHINES)
@given(_ENTRIES)
def test_many_entries_become_one_line_of_json_each(entry: dict[str, Any]) -> None:
    """The same with the usual number of examples."""
    assert_one_line_of_json(entry)


def entry(record: logging.LogRecord) -> dict[str, Any]:
    """Return a record as the server receives it, without the fields of the process."""
    found = record_to_entry(record, {"process_id": record.process, "process_name": record.processName})
    freeze(found)
    return json.loads(encode_entry(found))  # type: ignore[no-any-return]


def record(message: object = "message", *args: object, level: int = logging.INFO, **extra: object) -> logging.LogRecord:
    """Return a record of the standard library."""
    return logging.getLogger("app").makeRecord("app", level, "/a/b.py", 7, message, args, None, "work", extra)


def test_record_has_the_place_of_the_call() -> None:
    """The entry contains the function, the file and the line."""
    made = entry(record("order %s", 17))

    assert made["message"] == "order 17"
    assert (made["logger"], made["function_name"], made["file_path"], made["line_number"]) == (
        "app",
        "work",
        "/a/b.py",
        7,
    )
    assert made["level"] == "INFO"
    assert made["thread_name"] == "MainThread"


def test_extras_are_attributes_or_columns_of_the_same_name() -> None:
    """An extra cannot change a field of the record."""
    made = entry(record(customer="Ada", trace_id="t1", level=logging.INFO, sequence=5, created_at="never"))

    assert (made["customer"], made["trace_id"]) == ("Ada", "t1")
    assert made["attributes"] == {"sequence": 5, "created_at": "never"}
    assert made["created_at"] > 1e9


def test_extra_with_attributes_is_merged() -> None:
    """Two field names of the protocol contain a dictionary of attributes."""
    assert entry(record(metadata={"a": 1}, logger="mine"))["attributes"] == {"a": 1, "logger": "mine"}


def test_exception_has_its_type_and_its_trace() -> None:
    """A record of `logger.exception` has both fields."""
    try:
        raise KeyError("missing")
    except KeyError:
        made = logging.getLogger("app").makeRecord("app", 40, "f", 1, "failed", (), sys.exc_info())
    found = entry(made)

    assert found["error_type"] == "KeyError"
    assert found["stack_trace"].startswith("Traceback (most recent call last)")
    assert found["stack_trace"].endswith("KeyError: 'missing'")


def test_message_that_does_not_match_its_arguments_is_sent() -> None:
    """The message contains the format, the arguments and the error."""
    assert entry(record("%d items", "many"))["message"].startswith("%d items ('many',) [TypeError: ")


@pytest.mark.parametrize(
    ("number", "level"),
    [
        (5, "TRACE"),
        (10, "DEBUG"),
        (15, "DEBUG"),
        (20, "INFO"),
        (30, "WARN"),
        (40, "ERROR"),
        (50, "FATAL"),
        (99, "FATAL"),
    ],
)
def test_level_is_one_of_the_protocol(number: int, level: str) -> None:
    """Each number has a level of the protocol."""
    assert level_of(number) == level
    assert entry(record(level=number))["level"] == level


def test_custom_level_keeps_its_name() -> None:
    """The name is an attribute."""
    logging.addLevelName(25, "NOTICE")

    assert entry(record(level=25))["level_name"] == "NOTICE"
    assert "level_name" not in entry(record(level=20))

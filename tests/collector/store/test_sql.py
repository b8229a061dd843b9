"""Query parameters become filters, and filters become SQL; these tests need no database."""

import re
import time

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from concurrent_log.collector.server.query.language.parser import parse
from concurrent_log.collector.server.query.parameters import FilterParameters, PageParameters, describe_validation_error
from concurrent_log.collector.store.postgres.dialect import PostgresDialect
from concurrent_log.collector.store.sql import statements
from concurrent_log.collector.store.sql.dialect import Dialect
from concurrent_log.collector.store.sql.filters import Comparison, Filters, RecordKey
from concurrent_log.collector.store.sql.histogram_steps import choose_step
from concurrent_log.collector.store.sql.text_pattern import TextPattern, fold
from concurrent_log.collector.store.sqlite.dialect import SqliteDialect

_SECOND = 1_000_000
_HOUR = 3600 * _SECOND


def filters_of(**parameters: object) -> Filters:
    """Return the filters for the parameters of a URL."""
    return FilterParameters.model_validate(parameters).filters(())


def error_message(**parameters: object) -> str:
    """Return the error message for invalid parameters."""
    with pytest.raises(ValidationError) as caught:
        PageParameters.model_validate(parameters)
    return describe_validation_error([{**error, "loc": ("query", *error["loc"])} for error in caught.value.errors()])


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1768200001", 1_768_200_001_000_000),
        ("1768200001.25", 1_768_200_001_250_000),
        ("1768200001.123456789", 1_768_200_001_123_456),
        ("9999999999", 9_999_999_999_000_000),
        ("1970-01-01T01:00+02:00", 0),
        ("2024-02-29", 1_709_164_800_000_000),
        ("2026-01-12", 1_768_176_000_000_000),
        ("2026-01-12T06:40", 1_768_200_000_000_000),
        ("2026-01-12T06:40:01.25Z", 1_768_200_001_250_000),
        ("2026-01-12 06:40:01.250000", 1_768_200_001_250_000),
        ("2026-01-12T08:40:01.25+02:00", 1_768_200_001_250_000),
        ("2026-01-12T08:40:01.25 02:00", 1_768_200_001_250_000),
        ("2026-01-12T04:10:01.25-02:30", 1_768_200_001_250_000),
    ],
)
def test_time_is_parsed(text: str, microseconds: int) -> None:
    """A time is in ISO 8601 or in seconds since 1970; the + of a time zone may have become a space in the URL."""
    assert filters_of(since=text) == Filters(since=microseconds)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7200), ("7d", 604_800), ("1w", 604_800)]
)
def test_relative_time_is_before_now(text: str, seconds: int) -> None:
    """A number with a unit is a time before now."""
    before = time.time_ns() // 1000
    since = filters_of(since=text).since
    after = time.time_ns() // 1000

    assert since is not None
    assert before <= since + seconds * _SECOND <= after


def test_relative_time_is_1970_at_the_earliest() -> None:
    """A relative time before 1970 becomes 1970, because no record is older."""
    assert filters_of(since="999999w").since == 0


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        ({"since": "yesterday"}, "since: 'yesterday' is not a time: use ISO 8601, seconds since 1970, or how long ago"),
        ({"until": "2026-02-30"}, "until: '2026-02-30' is not a time: use ISO 8601"),
        ({"level": "LOUD"}, "level: 'LOUD' is not a level: use one of TRACE, DEBUG, INFO, WARN, ERROR, FATAL"),
        ({"where": ["customer"]}, "where: 'customer' is not a condition: use key=value or key!=value"),
        ({"where": ["!=x"]}, "where: '!=x' is not a condition"),
        ({"cursor": "x"}, "cursor: 'x' is not a cursor of this server: use `next` unchanged, or omit it"),
        ({"limit": "0"}, "limit is '0': input should be greater than or equal to 1"),
        ({"order": "up"}, "order is 'up': input should be 'desc' or 'asc'"),
        ({"levle": "INFO"}, "there is no parameter 'levle': use since, until, level, service, "),
        ({"q": "x" * 1001}, f"q: '{'x' * 99}... has 1001 characters: use at most 1000"),
        ({"q": "status>"}, 'q: character 8: a value is missing: for records without a value, use key=""'),
        ({"where": ["x" * 1001]}, f"where: '{'x' * 99}... has 1001 characters: use at most 1000"),
        ({"service": ["x"] * 51}, "service is ["),
    ],
)
def test_invalid_parameter_has_a_one_line_message(parameters: dict[str, object], line: str) -> None:
    """The line names the parameter, the value and the remedy."""
    message = error_message(**parameters)

    assert message.startswith(line)
    assert "\n" not in message
    assert len(message) < 300


@pytest.mark.parametrize("text", ["INFO", "info"])
def test_level_is_parsed(text: str) -> None:
    """A level may be in upper or lower case."""
    assert filters_of(level=text) == Filters(level=20)


@pytest.mark.parametrize(
    ("text", "comparison"),
    [
        ("customer=Ada", Comparison("customer", "Ada")),
        ("customer!=Ada", Comparison("customer", "Ada", is_equal=False)),
        ("formula=a=b", Comparison("formula", "a=b")),
        ("empty=", Comparison("empty", "")),
        ("what?!!=x", Comparison("what?!", "x", is_equal=False)),
    ],
)
def test_condition_is_parsed(text: str, comparison: Comparison) -> None:
    """The first = separates the key from the value."""
    assert filters_of(where=[text]).where == (comparison,)


@pytest.mark.parametrize("key", [RecordKey(12, 34), RecordKey(12, 34, 5), RecordKey(12, 34, -(2**63 - 1))])
def test_cursor_is_a_record_key(key: RecordKey) -> None:
    """A cursor is the key of a record: the record's id, and its number in its process if it has one."""
    parameters = PageParameters.model_validate({"cursor": key.cursor})

    assert parameters.cursor == key


@pytest.mark.parametrize("dialect", [PostgresDialect(), SqliteDialect()])
def test_user_text_is_never_part_of_the_sql(dialect: Dialect) -> None:
    """All text from users becomes an argument."""
    evil = "'; DROP TABLE logs; --"
    filters = Filters(
        service=(evil,),
        environment=(evil,),
        host=(evil,),
        trace_id=evil,
        expression=parse(f'"{evil}" OR "{evil}"="{evil}" OR "{evil}"~"{evil}" OR has:"{evil}" OR message="{evil}"'),
        where=(Comparison("message", evil), Comparison(evil, evil), Comparison(evil, "", is_equal=False)),
    )
    for statement in (
        statements.select_page(dialect, filters, limit=1, newest_first=True, after=None),
        statements.select_page(
            dialect, filters, limit=1, newest_first=True, after=None, columns=statements.GROUPING_COLUMNS
        ),
        statements.count_values(dialect, filters, "host", limit=1),
        statements.count_by_step(dialect, filters, 0, 1),
    ):
        assert "DROP" not in statement.sql
        assert "DROP" in repr(statement.arguments)


def test_page_of_a_service_scans_each_level() -> None:
    """There is one index scan for each service and level, so that no scan reads other records."""
    filters = Filters(service=("a", "b"), level=40)
    statement = statements.select_page(SqliteDialect(), filters, limit=10, newest_first=True, after=None)

    assert re.findall(r"service = \?(\d) AND level_number = (\d+)", statement.sql) == [
        ("1", "40"),
        ("1", "50"),
        ("2", "40"),
        ("2", "50"),
    ]


@given(st.text())
def test_wildcards_are_escaped(text: str) -> None:
    """A LIKE pattern matches the wildcards in the text literally."""
    pattern = TextPattern.containing(text).like

    assert re.sub(r"\\(.)", r"\1", pattern[1:-1], flags=re.DOTALL) == text
    assert not re.search(r"(?<!\\)(?:\\\\)*[%_]", pattern[1:-1])


@given(st.text(), st.text())
def test_folding_does_not_depend_on_context(before: str, after: str) -> None:
    """Each letter is folded by itself, so a term that a text contains is found in any longer text."""
    assert fold(before) + fold(after) == fold(before + after)


@given(st.integers(0, 10**16), st.integers(1, 10**16), st.integers(1, 1000))
def test_steps_cover_the_range(since: int, length: int, most: int) -> None:
    """The steps do not exceed the maximum, begin at a multiple of the step, and just cover the range."""
    step, start, number = choose_step(since, since + length, most)

    assert 1 <= number <= most
    assert start % step == 0
    assert start <= since < start + step
    assert start + number * step >= since + length > start + (number - 1) * step


@pytest.mark.parametrize(
    ("hours", "buckets", "seconds"),
    [(1, 60, 60), (24, 60, 1800), (24 * 7, 60, 10_800), (0.25, 60, 15), (24 * 365, 60, 604_800)],
)
def test_step_is_a_round_number(hours: float, buckets: int, seconds: int) -> None:
    """An hour in 60 steps has steps of a minute, a day steps of half an hour."""
    assert choose_step(0, int(hours * _HOUR), buckets)[0] == seconds * _SECOND

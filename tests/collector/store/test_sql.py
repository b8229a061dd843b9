"""What people ask for becomes the right filters, and the right SQL: nothing here needs a database."""

import re
import time

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from concurrent_log.collector.server.query.parameters import Asked, AskedPage, what_is_wrong
from concurrent_log.collector.store.sql import statements as query
from concurrent_log.collector.store.sql.dialects import PostgresDialect, SqliteDialect, fold, like_pattern
from concurrent_log.collector.store.sql.statements import Comparison, Filters, Place

_SECOND = 1_000_000
_HOUR = 3600 * _SECOND


def asked(**parameters: object) -> Filters:
    """Return the filters of the parameters of a URL."""
    return Asked.model_validate(parameters).filters()


def problem(**parameters: object) -> str:
    """Return the line that says what is wrong with the parameters."""
    with pytest.raises(ValidationError) as caught:
        AskedPage.model_validate(parameters)
    return what_is_wrong([{**error, "loc": ("query", *error["loc"])} for error in caught.value.errors()])


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
def test_time_is_understood(text: str, microseconds: int) -> None:
    """A time is in ISO 8601 or in seconds since 1970; a + of the zone may have become a blank in the URL."""
    assert asked(since=text) == Filters(since=microseconds)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7200), ("7d", 604_800), ("1w", 604_800)]
)
def test_relative_time_is_before_now(text: str, seconds: int) -> None:
    """A number with a unit is how long ago."""
    before = time.time_ns() // 1000
    since = asked(since=text).since
    after = time.time_ns() // 1000

    assert since is not None
    assert before <= since + seconds * _SECOND <= after


def test_relative_time_does_not_go_beyond_the_beginning() -> None:
    """However long ago, it is 1970 at the earliest, before which there is no record."""
    assert asked(since="999999w").since == 0


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        ({"since": "yesterday"}, "since: 'yesterday' is no time: use ISO 8601, seconds since 1970, or how long ago"),
        ({"until": "2026-02-30"}, "until: '2026-02-30' is no time: use ISO 8601"),
        ({"level": "LOUD"}, "level: 'LOUD' is no level: use one of TRACE, DEBUG, INFO, WARN, ERROR, FATAL"),
        ({"where": ["customer"]}, "where: 'customer' is no condition: use key=value or key!=value"),
        ({"where": ["!=x"]}, "where: '!=x' is no condition"),
        ({"cursor": "x"}, "cursor: 'x' was not given by this server: use it as it came, or leave it out"),
        ({"limit": "0"}, "limit is '0': input should be greater than or equal to 1"),
        ({"order": "up"}, "order is 'up': input should be 'desc' or 'asc'"),
        ({"levle": "INFO"}, "there is no parameter 'levle': use since, until, level, service, "),
        ({"q": "x" * 1001}, f"q is '{'x' * 99}...: string should have at most 1000 characters"),
        ({"where": ["x" * 1001]}, f"where: '{'x' * 99}... has 1001 characters: use at most 1000"),
        ({"service": ["x"] * 51}, "service is ["),
    ],
)
def test_wrong_parameter_is_told_in_one_line(parameters: dict[str, object], line: str) -> None:
    """The line says what is wrong, the value, and what would be right."""
    told = problem(**parameters)

    assert told.startswith(line)
    assert "\n" not in told
    assert len(told) < 300


@pytest.mark.parametrize("text", ["INFO", "info"])
def test_level_is_understood(text: str) -> None:
    """A level is written in upper or lower case."""
    assert asked(level=text) == Filters(level=20)


def test_terms_are_words_and_quoted_text() -> None:
    """Words stand for themselves, what is in double quotes is one, and a lonely quote is a character."""
    assert asked(q='order "not found" 404 "').terms == ("order", "not found", "404", '"')


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
def test_condition_is_understood(text: str, comparison: Comparison) -> None:
    """The first = parts the key from the value."""
    assert asked(where=[text]).where == (comparison,)


def test_cursor_is_a_place() -> None:
    """A cursor is the place of a record, as its id is."""
    parameters = AskedPage.model_validate({"cursor": str(Place(12, 34))})

    assert parameters.cursor == Place(12, 34)


@pytest.mark.parametrize("dialect", [PostgresDialect(), SqliteDialect()])
def test_text_never_is_part_of_the_sql(dialect: query.Dialect) -> None:
    """Whatever people write becomes an argument."""
    evil = "'; DROP TABLE logs; --"
    filters = Filters(
        service=(evil,),
        environment=(evil,),
        host=(evil,),
        trace_id=evil,
        terms=(evil,),
        where=(Comparison("message", evil), Comparison(evil, evil), Comparison(evil, "", is_equal=False)),
    )
    for statement in (
        query.page(dialect, filters, limit=1, newest_first=True, after=None),
        query.page(dialect, filters, limit=1, newest_first=True, after=None, columns=query.GROUPED),
        query.values(dialect, filters, "host", limit=1),
        query.histogram(dialect, filters, 0, 1),
    ):
        assert "DROP" not in statement.sql
        assert "DROP" in repr(statement.arguments)


def test_page_of_a_service_looks_at_each_level() -> None:
    """One look into the index for each service and level, so that none reads what it does not need."""
    filters = Filters(service=("a", "b"), level=40)
    statement = query.page(SqliteDialect(), filters, limit=10, newest_first=True, after=None)

    assert re.findall(r"service = \?(\d) AND level_number = (\d+)", statement.sql) == [
        ("1", "40"),
        ("1", "50"),
        ("2", "40"),
        ("2", "50"),
    ]


@given(st.text())
def test_wildcards_are_escaped(text: str) -> None:
    """Every wildcard of LIKE that is in the text stands for itself."""
    pattern = like_pattern(text)

    assert re.sub(r"\\(.)", r"\1", pattern[1:-1], flags=re.DOTALL) == text
    assert not re.search(r"(?<!\\)(?:\\\\)*[%_]", pattern[1:-1])


@given(st.text(), st.text())
def test_folding_goes_letter_by_letter(before: str, after: str) -> None:
    """What is found in a text is found in any longer one, whatever letters are beside it."""
    assert fold(before) + fold(after) == fold(before + after)


@given(st.integers(0, 10**16), st.integers(1, 10**16), st.integers(1, 1000))
def test_steps_cover_the_range(since: int, length: int, most: int) -> None:
    """The steps are no more than asked for, begin at a multiple, and cover all of the range and little else."""
    step, start, number = query.choose_step(since, since + length, most)

    assert 1 <= number <= most
    assert start % step == 0
    assert start <= since < start + step
    assert start + number * step >= since + length > start + (number - 1) * step


@pytest.mark.parametrize(
    ("hours", "buckets", "seconds"),
    [(1, 60, 60), (24, 60, 1800), (24 * 7, 60, 10_800), (0.25, 60, 15), (24 * 365, 60, 604_800)],
)
def test_step_is_one_that_people_use(hours: float, buckets: int, seconds: int) -> None:
    """An hour in 60 steps has minutes, a day half hours."""
    assert query.choose_step(0, int(hours * _HOUR), buckets)[0] == seconds * _SECOND

"""The conditions of queries find on both databases what plain Python finds."""

import asyncio
import json
import random
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from collector.store.test_reader import opened
from concurrent_log.collector.server.query.language.parser import parse
from concurrent_log.collector.store.columns import COLUMNS, RecordRow
from concurrent_log.collector.store.sql import regular_expressions
from concurrent_log.collector.store.sql.filters import Filters
from concurrent_log.collector.store.sql.text_pattern import TextPattern, fold, like_function
from support import query_model

_KEYS = [
    "service",
    "HOST",
    "level",
    "message",
    "process_id",
    "duration_ms",
    "customer",
    "N",
    "http.method",
    "tags",
    "x.y",
]
_VALUES = ["shop", "SHOP", "payments", "Ada", "3", "3.0", "0.1", "-7", "true", "Ä", "1*", "*a*", "web?1", "get", "info"]
_WORDS = ["order", "ORDER", "100%", "a_b", "a*b", "ÄRGER", "σίσυφος", "keyerror", "GET", "Ada", "web-1", "жук", "3"]
_EXPRESSIONS = ["^a", "o.der", r"\d+", r"\bweb", "[^a-z]$", "(order|GET)", r"\W", "x{1,2}", "ä", "a$|^$", r"[\w%]+%"]


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _comparison(parts: tuple[str, str, str, bool]) -> str:
    key, sign, value, is_quoted = parts
    if key == "level":
        return f"level{sign}warn"
    return f"{key}{sign}{_quoted(value) if is_quoted else value}"


_leaves = st.one_of(
    st.sampled_from(_WORDS),
    st.sampled_from(_WORDS).map(_quoted),
    st.text(st.characters(exclude_categories=("Cs", "Lu", "Lt", "Lm")), min_size=1, max_size=2).map(_quoted),
    st.tuples(st.sampled_from(_KEYS), st.sampled_from(["=", "!="]), st.sampled_from(_VALUES), st.booleans()).map(
        _comparison
    ),
    st.tuples(
        st.sampled_from(["N", "process_id", "duration_ms", "customer", "level"]),
        st.sampled_from([">", ">=", "<", "<="]),
        st.sampled_from(["3", "0.1", "-7", "2", "9007199254740993"]),
        st.just(False),
    ).map(_comparison),
    st.tuples(st.sampled_from(["message", "customer", "host", "N"]), st.sampled_from(_EXPRESSIONS)).map(
        lambda parts: f"{parts[0]}~{_quoted(parts[1])}"
    ),
    st.sampled_from(_KEYS).map("has:{}".format),
    st.sampled_from(_KEYS).map('{}=""'.format),
)
_queries = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        inner.map("NOT ({})".format),
        st.tuples(inner, inner).map("({0[0]} OR {0[1]})".format),
        st.tuples(inner, inner).map("({0[0]}) {0[1]}".format),
    ),
    max_leaves=5,
)


def _rows(count: int) -> list[RecordRow]:
    rng = random.Random(7)
    rows = []
    for each in query_model.rows(count, seed=3):
        values: dict[str, Any] = dict(zip(COLUMNS, each, strict=True))
        attributes = json.loads(values["attributes"] or "{}")
        attributes |= rng.choice([{}, {"Tags": ["a", "Ada", 3, None, ["x"]]}, {"x": {"Y": "Shop"}}, {"n": "3"}])
        values["attributes"] = json.dumps(attributes) if attributes else None
        values["message"] = values["message"].replace("\u212a", "k")  # Its case is another in PostgreSQL than in RE2.
        values["duration_ms"] = rng.choice([None, 0.5, 12.0, 3.0])
        rows.append(tuple(values[name] for name in COLUMNS))
    return rows


@pytest.mark.parametrize("examples", [150, pytest.param(1000, marks=pytest.mark.slow)])
def test_query_finds_what_plain_python_finds(database: str, examples: int) -> None:
    """Any query of the grammar finds the same records as a loop over all records."""
    rows = _rows(200)
    runner = asyncio.new_event_loop()
    context = opened(database, rows)
    _, reader = runner.run_until_complete(context.__aenter__())
    numbered = sorted((row[0], number + 1, row) for number, row in enumerate(rows))

    @settings(max_examples=examples, deadline=None, phases=[Phase.generate, Phase.shrink], derandomize=True)
    @given(_queries)
    def check(query: str) -> None:
        filters = Filters(expression=parse(query))
        page = runner.run_until_complete(reader.find(filters, limit=1000, newest_first=False))

        found = [int(record["id"].partition("-")[2]) for record in page.records]
        assert found == [number for _, number, row in numbered if query_model.matches(filters, row)]

    try:
        check()
    finally:
        runner.run_until_complete(context.__aexit__(None, None, None))
        runner.close()


@given(st.lists(st.text("ab%_\\*ÄäK", max_size=3), min_size=1, max_size=4), st.text("abAÄä%_\\k\n", max_size=8))
def test_pattern_matches_as_a_regular_expression(parts: list[str], text: str) -> None:
    """LIKE in Python: any text between the parts, and no other wildcard."""
    pattern = TextPattern(tuple(parts))
    lower: Callable[[str], str] = fold if not pattern.is_ascii else lambda each: each.encode().lower().decode()
    expression = ".*".join(re.escape(lower(part)) for part in parts)

    assert like_function(pattern.like)(text) == bool(re.fullmatch(expression, lower(text), re.DOTALL))


_regex_parts = st.sampled_from(
    [
        r"a",
        r"B",
        r"é",
        r".",
        r"^",
        r"$",
        r"|",
        r"(a|b)",
        r"(?:c)",
        r"[ab]",
        r"[^a]",
        r"[]a]",
        r"[a-c\]]",
        r"[\w-]",
        r"[\d-b]",
        r"\d",
        r"\s",
        r"\S",
        r"\W",
        r"\b",
        r"\B",
        r"\.",
        r"\\",
        r"*",
        r"+",
        r"?",
        r"{2}",
        r"{1,}",
        r"+?",
        r"{",
        r"]",
        r"-",
    ]
)


@pytest.mark.parametrize("examples", [100, pytest.param(2000, marks=pytest.mark.slow)])
def test_regular_expressions_mean_the_same_in_postgresql(postgres: str, examples: int) -> None:
    """PostgreSQL finds what RE2 finds."""
    import asyncpg

    runner = asyncio.new_event_loop()
    connection = runner.run_until_complete(asyncpg.connect(postgres))

    @settings(max_examples=examples, deadline=None, phases=[Phase.generate, Phase.shrink], derandomize=True)
    @given(st.lists(_regex_parts, min_size=1, max_size=6).map("".join), st.text("aAbcé.\\ \n-_1", max_size=8))
    def check(expression: str, text: str) -> None:
        try:
            regular_expressions.check(expression)
        except ValueError:
            return
        query = 'SELECT $1 COLLATE "en-x-icu" ~* $2'
        found = runner.run_until_complete(
            connection.fetchval(query, text, regular_expressions.for_postgres(expression))
        )
        assert found == regular_expressions.is_found(expression, text)

    try:
        check()
    finally:
        runner.run_until_complete(connection.close())
        runner.close()


def test_regular_expression_takes_bounded_time(database: str) -> None:
    """An expression that takes other engines years ends, and the server goes on."""
    rows = [query_model.row(message="a" * 5000 + "!")]

    async def check() -> None:
        async with opened(database, rows) as (_, reader):
            for expression in ("(a+)+$", "(a|a)*b", "(a*)*c", "(.*)(.*)(.*)(.*)(.*)(.*)x"):
                filters = Filters(expression=parse(f'message~"{expression}"'))
                assert (await reader.find(filters, limit=10)).records == []

    asyncio.run(check())

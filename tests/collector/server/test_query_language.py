"""The query language: what a text means, and how mistakes are explained."""

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concurrent_log.collector.server.query.language.errors import QueryError
from concurrent_log.collector.server.query.language.parser import parse
from concurrent_log.collector.store.sql.expressions import (
    AllOf,
    AnyOf,
    Expression,
    FieldIs,
    HasField,
    HasText,
    Like,
    Matches,
    Not,
    Ordered,
)
from concurrent_log.collector.store.sql.text_pattern import TextPattern


def text(*parts: str) -> HasText:
    """Return the condition that some text contains the parts."""
    return HasText(TextPattern.containing(*parts))


def like(key: str, *parts: str) -> FieldIs:
    """Return the condition that a field is like a pattern."""
    return FieldIs(key, Like(TextPattern(parts)))


def ordered(key: str, sign: str, number: str) -> FieldIs:
    """Return the condition that a field is such a number."""
    return FieldIs(key, Ordered(sign, Decimal(number)))  # type: ignore[arg-type]


A, B, C = text("a"), text("b"), text("c")
SHOP, PAY = like("service", "shop"), like("service", "pay")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", None),
        ("  \n", None),
        ("a", A),
        ("a b", AllOf((A, B))),
        ("a AND b", AllOf((A, B))),
        ("a OR b c", AnyOf((A, AllOf((B, C))))),
        ("(a OR b) c", AllOf((AnyOf((A, B)), C))),
        ("a OR b AND c", AnyOf((A, AllOf((B, C))))),
        ("NOT a b", AllOf((Not(A), B))),
        ("-(a b)", Not(AllOf((A, B)))),
        ("NOT -a", Not(Not(A))),
        ("a or b", AllOf((A, text("or"), B))),
        ("ANDROID", text("ANDROID")),
        ("- a", AllOf((text("-"), A))),
        ('"a b"', text("a b")),
        (r'"a \"b\" \\ \d"', text('a "b" \\ \\d')),
        ("time*out", text("time", "out")),
        ('"time*out"', text("time*out")),
        ("*", HasText(TextPattern.containing())),
        ("http://web-1:8080/x?a=b", text("http://web-1:8080/x?a=b")),
        ("12:30:05", text("12:30:05")),
        ("std::vector", text("std::vector")),
        ("error: x", AllOf((text("error:"), text("x")))),
        ("a->b", text("a->b")),
        ("f(a)", AllOf((text("f"), A))),
        ("localhost:8080", AnyOf((ordered("localhost", "=", "8080"), text("localhost:8080")))),
        ("service:shop", SHOP),
        ("a:(b, c)", AnyOf((like("a", "b"), like("a", "c")))),
        ('a:"b c"', like("a", "b c")),
        ("Service=shop", SHOP),
        ("service = shop", SHOP),
        ("service=(shop, pay)", AnyOf((SHOP, PAY))),
        ("service=shop a service=pay", AllOf((AnyOf((SHOP, PAY)), A))),
        ("service=shop AND service=pay", AllOf((SHOP, PAY))),
        ("service!=shop service!=pay", AllOf((Not(SHOP), Not(PAY)))),
        ("service!=(shop, pay)", Not(AnyOf((SHOP, PAY)))),
        ("-service=shop", Not(SHOP)),
        ("level=error", ordered("level_number", "=", "40")),
        ("level>=Warning", ordered("level_number", ">=", "30")),
        ("level=err*", like("level", "err", "")),
        ("status=404", ordered("status", "=", "404")),
        ("status=-1.50", ordered("status", "=", "-1.50")),
        ("status=007", like("status", "007")),
        ('status="404"', like("status", "404")),
        ("status=4*", like("status", "4", "")),
        ("status=*", HasField("status")),
        ('status=""', Not(HasField("status"))),
        ("duration_ms > 500", ordered("duration_ms", ">", "500")),
        ("created_at>=1970-01-02", ordered("created_at", ">=", "86400000000")),
        ("has:Trace_ID", HasField("trace_id")),
        ("-has:x.y", Not(HasField("x.y"))),
        ('has:"x y"', HasField("x y")),
        ('"x y"=1', ordered("x y", "=", "1")),
        ("@timestamp=x", like("@timestamp", "x")),
        ("ключ=Ä", like("ключ", "Ä")),
        ("path=/a,b", like("path", "/a,b")),
        ("message~time.?out", FieldIs("message", Matches("time.?out"))),
        (r'message!~"(a|b)\d"', Not(FieldIs("message", Matches(r"(a|b)\d")))),
        ("attributes=x", like("attributes", "x")),
    ],
)
def test_query_means(query: str, expected: Expression | None) -> None:
    """Each form of the language has one meaning."""
    assert parse(query) == expected


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("a=", "character 3: a value is missing"),
        ("a b>=", "character 6: a value is missing"),
        ("a=(", "character 4: the query ends too early"),
        ("a=(b", "character 5: a parenthesis is not closed"),
        ("(a", "character 3: a parenthesis is not closed"),
        ("a)", "character 2: the parenthesis closes nothing"),
        ("a ()", "character 4: there is nothing between the parentheses"),
        ("a OR", "character 5: the query ends too early"),
        ('a "b', "character 3: the quotation mark is not closed"),
        ("a==b", "character 3: '=b' is not expected here"),
        ("level=eror", "character 7: 'eror' is not a level: use one of TRACE"),
        ("level>x", "character 7: 'x' is not a level"),
        ("a>b", "character 3: 'b' is not a number"),
        ("created_at>soon", "character 12: 'soon' is not a time: use ISO 8601"),
        ('a~"("', "character 3: it is no regular expression: missing )"),
        ('a~"(?i)b"', "character 3: (? is not allowed"),
        (r"a~\pL", "character 3: \\p is not allowed here"),
        ("a~[[:alpha:]]", "character 3: [: is not allowed"),
        ("a~b{1000}", "character 3: {1000} is too many repetitions"),
        ("a " * 251, "character 501: the query has more than 250 conditions"),
        ("(" * 40 + "a" + ")" * 40, "character 1: more than 30 parentheses or negations"),
        ("-" * 500 + "a", "character 1: more than 30 parentheses or negations"),
    ],
)
def test_mistake_is_explained(query: str, reason: str) -> None:
    """The error names the place, what is wrong there, and the remedy."""
    with pytest.raises(QueryError) as error:
        parse(query)

    assert str(error.value).startswith(reason)
    assert "\n" not in str(error.value)


_pieces = st.sampled_from(
    [
        *[
            "(",
            ")",
            '"',
            "=",
            "!=",
            "~",
            ">",
            ":",
            ",",
            "-",
            "*",
            "\\",
            "[",
            "{9}",
            "has:",
            "level",
            "created_at",
            "1",
            "ä",
            "//",
            "@",
            ".",
            "a",
        ],
        " ",
        "AND ",
        "OR ",
        "NOT ",
        "\0",
        "\n",
    ]
)


@given(st.text(max_size=50) | st.lists(_pieces, max_size=30).map("".join))
def test_any_text_is_a_query_or_a_mistake(query: str) -> None:
    """No text causes another exception."""
    with contextlib.suppress(QueryError):
        parse(query)

"""Records that say the same are counted together, the same ones in both stores, however many there are."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")

from hypothesis import given
from hypothesis import strategies as st

from concurrent_log.collector.store import COLUMNS, Row
from concurrent_log.collector.store import message_groups as grouping
from concurrent_log.collector.store import message_templates as templates
from concurrent_log.collector.store.message_groups import Grouping
from concurrent_log.collector.store.message_templates import LONGEST, READ, template_of
from concurrent_log.collector.store.reader import Reader, TooMany, TooSlow, iso
from concurrent_log.collector.store.sql.statements import Comparison, Filters
from support import query_model

_EVERYTHING = 1000  # groups


@pytest.mark.parametrize(
    ("message", "template"),
    [
        ("order 1023 received", "order <*> received"),
        ("GET /products/17 200", "GET /products/<*> <*>"),
        ("took 12ms, 3.5 s and -7 ms", "took <*>ms, <*> s and <*> ms"),
        ("took    5 ms", "took <*> ms"),
        ("2nd of 1,234 at 5MiB/s", "<*>nd of <*> at <*>MiB/s"),
        ("at 2026-01-12T06:40:00.123Z", "at <*>"),
        ("from 10.0.0.1:8080 or fe80::1:2, not a::b", "from <*> or <*>, not a::b"),
        ("id 4bf92f35-77b3-4da6-a3ce-929d0e0e4736", "id <*>"),
        ("id beefbeef-beef-beef-beef-beefbeefbeef", "id <*>"),
        ("commit 2904e62 at 0x7f3c, request 8fK2mQ9", "commit <*> at <*>, request <*>"),
        ("worker3 on web-1 has PEAR_12", "worker<*> on web-<*> has PEAR_<*>"),
        ("[1, 2, 3]", "[<*>]"),
        ("KeyError: 'customer'", "KeyError: <*>"),
        ('no file "a b.txt" in `here`', "no file <*> in <*>"),
        ("don't say 'it isn''t' or can't", "don't say <*> or can't"),
        ('{"user": "Ada", "n": 3,"x" : "1"}', '{"user": <*>, "n": <*>,"x" : <*>}'),
        ("mail to ada.l+x@example.co.uk sent", "mail to <*> sent"),
        ("the page is in the cache", "the page is in the cache"),
        ("two\n  lines", "two\n  lines"),
        ("\u0663 Fehler für \u00c4rger42 \U0001f600", "<*> Fehler für \u00c4rger<*> \U0001f600"),
        ("literally <*> and %s", "literally <*> and %s"),
        ('a "quote without an end', 'a "quote without an end'),
        ("", ""),
    ],
)
def test_what_varies_is_replaced(message: str, template: str) -> None:
    """Numbers, addresses, ids and quoted text become the placeholder; the words, and units, stay."""
    assert template_of(message) == template


@given(
    st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(st.characters(exclude_characters='"\n')),
    st.uuids(),
)  # fmt: skip
def test_values_do_not_matter(number: int, duration: float, text: str, identity: Any) -> None:
    """Whatever the values are, messages of the same words have one template."""
    message = f'order {number} of "{text}" took {duration} ms, id={identity}'

    assert template_of(message[:READ]) == "order <*> of <*> took <*> ms, id=<*>" or len(message) > READ


@given(st.text("a1'\"`<*>@:-,. \t\n{\u00e4", max_size=2 * READ))
def test_what_stays_stands_in_the_message(message: str) -> None:
    """So one finds the records of a group by searching for what its template has between the placeholders."""
    parts = [part.strip() for part in template_of(message).split("<*>")]

    assert all(part in message for part in parts)


@given(st.text())
def test_any_text_has_a_template(text: str) -> None:
    """No text is too strange, and no template longer than it may be."""
    assert len(template_of(text * 30)) <= LONGEST


def test_end_of_a_long_message_does_not_matter() -> None:
    """Huge messages are of one group if they begin alike, also where they are cut within a value or a placeholder."""
    begun = [template_of(f"item {10**digits} is refused: {'word ' * 400}{digits}") for digits in range(40)]
    quoted = [template_of(f'refused: "{letter * 5000}"') for letter in "abc"]
    cut = {template_of("x" * (LONGEST - kept) + f" {'1' * 9} {'y' * 300}") for kept in (2, 3, 4)}

    assert len(set(begun)) == 1
    assert set(quoted) == {"refused: <*>"}
    assert cut == {"x" * (LONGEST - kept) + " " for kept in (2, 3)} | {"x" * (LONGEST - 4) + " <*>"}


_HARD = [
    "a",
    "1 ",
    "1a",
    "_1",
    "'",
    "'a ",
    '"',
    ',"',
    ", '",
    "`",
    "a:",
    ":",
    "abcd:",
    "a.b+",
    "a@",
    "@",
    "ab",
    "a-",
    " ",
]
_HARD += ["<*>", "<*> ", "<*>,", "  1", "-", "beefbeef-", '{"a" ', "\t"]


@pytest.mark.parametrize("text", _HARD)
def test_template_takes_time_in_proportion(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """No text makes it slow: with one that took time by the square of its length, this would take a minute."""
    monkeypatch.setattr(templates, "READ", 200_000)
    begin = time.process_time()
    template_of(text * (200_000 // len(text)) + "!")

    assert time.process_time() - begin < 5


def run(database: str, rows: list[Row], test: Callable[[Reader, Grouping], Awaitable[None]]) -> None:
    """Run ``test`` with what reads from a store that has ``rows``."""
    query_model.with_reader(database, rows, lambda reader: test(reader, Grouping(reader)))


def counted(answer: dict[str, Any]) -> dict[tuple[str, str, str], int]:
    """Return how many records each group has, by what its records have in common."""
    return {(each["level"], each["error_type"], each["message"]): each["count"] for each in answer["groups"]}


def numbered(count: int, message: str = "order {} received", **values: Any) -> list[Row]:
    """Return rows that say the same, a microsecond apart."""
    return [
        query_model.row(created_at=query_model.BEGIN + number, message=message.format(number), **values)
        for number in range(count)
    ]


@pytest.mark.parametrize(
    "filters",
    [
        Filters(),
        Filters(since=query_model.BEGIN + query_model.SPAN // 3, until=query_model.BEGIN + query_model.SPAN // 2),
        Filters(level=40),
        Filters(service=("shop", "payments"), environment=("production",)),
        Filters(host=("web-1",), trace_id="t"),
        Filters(terms=("ÄRGER",)),
        Filters(where=(Comparison("error_type", ""), Comparison("n", "3", is_equal=False))),
    ],
)
def test_groups_count_what_plain_python_counts(database: str, filters: Filters) -> None:
    """With any filters, each group has the records of its level, error type and words, and each record has a group."""
    rows = query_model.rows(900)
    found = [row for row in rows if query_model.matches(filters, row)]
    records = [dict(zip(("created_at", "level"), row, strict=False)) | _texts(row) for row in found]
    expected = Counter((each["level"], each["error_type"], template_of(each["message"])) for each in records)

    async def test(_: Reader, grouping: Grouping) -> None:
        answer = await grouping.answer(filters, _EVERYTHING)

        assert len(found) > 9
        assert counted(answer) == expected
        assert answer["looked_at"] == len(found)
        assert answer["looked_since"] == iso(min(each["created_at"] for each in records))
        assert (answer["is_sample"], answer["others"]) == (False, 0)

    run(database, rows, test)


def _texts(row: Row) -> dict[str, str]:
    return {name: row[COLUMNS.index(name)] or "" for name in ("error_type", "message")}


def test_group_tells_when_and_who(database: str) -> None:
    """A group has its first and last time, its services by how often they said it, and its newest record's id."""
    services = ["shop", "pay", None, "pay", "mail"]
    rows = [
        query_model.row(created_at=query_model.BEGIN + 10 * n, message=f"n {n}", service=name)
        for n, name in enumerate(services)
    ]

    async def test(reader: Reader, grouping: Grouping) -> None:
        answer = await grouping.answer(Filters(), 1)

        assert answer["groups"] == [
            {
                "level": "INFO",
                "error_type": "",
                "message": "n <*>",
                "count": 5,
                "first_seen": iso(query_model.BEGIN),
                "last_seen": iso(query_model.BEGIN + 40),
                "services": ["pay", "mail", "shop"],
                "newest": (await reader.find(Filters(), limit=1)).records[0]["id"],
            }
        ]

    run(database, rows, test)


def test_largest_groups_come_first(database: str) -> None:
    """Of equal ones, the one that was seen last; those beyond the limit are counted."""
    rows = [*numbered(3, "three {}"), *numbered(5, "five {}"), *numbered(4, "also three"), *numbered(1, "one")]
    rows.append(query_model.row(created_at=query_model.BEGIN + 99, message="three 4"))

    async def test(_: Reader, grouping: Grouping) -> None:
        answer = await grouping.answer(Filters(), 3)

        assert [(each["message"], each["count"]) for each in answer["groups"]] == [
            ("five <*>", 5),
            ("three <*>", 4),
            ("also three", 4),
        ]
        assert (answer["others"], answer["looked_at"], answer["is_sample"]) == (1, 14, False)

    run(database, rows, test)


def test_strange_and_huge_messages_are_grouped(database: str) -> None:
    """None and empty are one; markup, emoji and megabytes are text, of which no more than needed is read."""
    texts = [None, "", "<script>alert(1)</script>", "<script>alert(2)</script>", "\U0001f600 7", "\U0001f600 8"]
    huge = [f"{number} {'ä' * 500_000}" for number in range(20)]
    rows = [query_model.row(message=text) for text in [*texts, *huge]]

    async def test(reader: Reader, grouping: Grouping) -> None:
        answer = await grouping.answer(Filters(), _EVERYTHING)
        read = await reader.newest(Filters(), limit=100, after=None, deadline=time.monotonic() + 10)

        assert {template: count for (_, _, template), count in counted(answer).items()} == {
            "": 2,
            "<script>alert(<*>)</script>": 2,
            "\U0001f600 <*>": 2,
            f"<*> {'ä' * (LONGEST - 4)}": 20,
        }
        assert max(len(row[5] or "") for row in read) == READ + 1

    run(database, rows, test)


def test_empty_store_has_no_groups(database: str) -> None:
    """There is nothing, and nothing more."""

    async def test(_: Reader, grouping: Grouping) -> None:
        assert await grouping.answer(Filters(), 10) == {
            "groups": [],
            "looked_at": 0,
            "looked_since": None,
            "is_sample": False,
            "others": 0,
        }

    run(database, [], test)


@pytest.mark.parametrize(("there", "looked_at", "is_sample"), [(699, 699, False), (700, 700, False), (701, 700, True)])
def test_only_the_newest_are_looked_at(
    database: str, monkeypatch: pytest.MonkeyPatch, there: int, looked_at: int, is_sample: bool
) -> None:
    """There is a limit, and the answer says whether there are more records than that."""
    monkeypatch.setattr(grouping, "MOST", 700)
    monkeypatch.setattr(grouping, "_AT_ONCE", 99)

    async def test(_: Reader, grouping: Grouping) -> None:
        answer = await grouping.answer(Filters(), 10)

        assert counted(answer) == {("INFO", "", "order <*> received"): looked_at}
        assert (answer["looked_at"], answer["is_sample"]) == (looked_at, is_sample)
        assert answer["looked_since"] == iso(query_model.BEGIN + there - looked_at)

    run(database, numbered(there), test)


def test_records_of_too_many_groups_are_counted(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all messages differ, the server holds so many groups and no more; those it has are counted on."""
    monkeypatch.setattr(grouping, "_MOST_GROUPS", 3)
    rows = [query_model.row(created_at=query_model.BEGIN - number, message="abcde"[number % 5]) for number in range(50)]

    async def test(_: Reader, grouping: Grouping) -> None:
        answer = await grouping.answer(Filters(), 10)

        assert {template: count for (_, _, template), count in counted(answer).items()} == {"a": 10, "b": 10, "c": 10}
        assert (answer["looked_at"], answer["others"], answer["is_sample"]) == (50, 20, False)

    run(database, rows, test)


@pytest.mark.parametrize("slow_one", [1, 2])
def test_what_was_read_in_time_is_answered(database: str, monkeypatch: pytest.MonkeyPatch, slow_one: int) -> None:
    """Where time is up, the groups of what was read by then come; where that is nothing, the question is too slow."""

    async def test(reader: Reader, grouping: Grouping) -> None:
        rows, asked = reader.rows, []

        async def slow(statement: Any, seconds: float = 10.0) -> list[Row]:
            asked.append(seconds)
            if len(asked) == slow_one:
                raise TooSlow("too slow")
            return await rows(statement, seconds)

        monkeypatch.setattr(reader, "rows", slow)
        # A range of less than a day, so that PostgreSQL is asked once for each part.
        filters = Filters(since=int(time.time() * 1e6) - 1_000_000_000)
        if slow_one == 1:
            with pytest.raises(TooSlow):
                await grouping.answer(filters, 10)
        else:
            answer = await grouping.answer(filters, 10)
            assert (answer["looked_at"], answer["is_sample"]) == (200, True)
        assert all(seconds <= 10 for seconds in asked)

    now = int(time.time() * 1e6)
    run(database, [query_model.row(created_at=now - number, message="same") for number in range(500)], test)


def test_too_many_questions_are_refused(database: str) -> None:
    """Eight are answered at the same time; who asks meanwhile is told to come again, and later is answered."""

    async def test(_: Reader, grouping: Grouping) -> None:
        answers = await asyncio.gather(*(grouping.answer(Filters(), 10) for _ in range(12)), return_exceptions=True)

        assert [type(each) for each in answers] == [dict] * 8 + [TooMany] * 4
        assert (await grouping.answer(Filters(), 10))["looked_at"] == 50

    run(database, numbered(50), test)

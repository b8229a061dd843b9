"""Records with the same message template are grouped, in both databases alike."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")

from hypothesis import given
from hypothesis import strategies as st

from concurrent_log.collector.store import message_groups, message_templates
from concurrent_log.collector.store.columns import COLUMNS, RecordRow
from concurrent_log.collector.store.interface import QueryTimeout, TooManyQueries
from concurrent_log.collector.store.message_groups import MessageGrouping
from concurrent_log.collector.store.message_templates import MAX_LENGTH, READ_LENGTH, message_template
from concurrent_log.collector.store.reader import RecordReader, iso_time
from concurrent_log.collector.store.sql.expressions import HasText
from concurrent_log.collector.store.sql.filters import Comparison, Filters
from concurrent_log.collector.store.sql.text_pattern import TextPattern
from support import query_model

_ALL = 1000  # groups


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
def test_varying_parts_are_replaced(message: str, template: str) -> None:
    """Numbers, addresses, ids and quoted text become the placeholder; words and units stay."""
    assert message_template(message) == template


@given(
    st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(st.characters(exclude_characters='"\n')),
    st.uuids(),
)  # fmt: skip
def test_values_do_not_matter(number: int, duration: float, text: str, identity: Any) -> None:
    """Messages with the same words have the same template, for all values."""
    message = f'order {number} of "{text}" took {duration} ms, id={identity}'

    assert (
        message_template(message[:READ_LENGTH]) == "order <*> of <*> took <*> ms, id=<*>" or len(message) > READ_LENGTH
    )


@given(st.text("a1'\"`<*>@:-,. \t\n{\u00e4", max_size=2 * READ_LENGTH))
def test_fixed_parts_occur_in_the_message(message: str) -> None:
    """A search for the text between the placeholders finds the records of the group."""
    parts = [part.strip() for part in message_template(message).split("<*>")]

    assert all(part in message for part in parts)


@given(st.text())
def test_any_text_has_a_template(text: str) -> None:
    """Any text has a template, of limited length."""
    assert len(message_template(text * 30)) <= MAX_LENGTH


def test_end_of_a_long_message_is_ignored() -> None:
    """Long messages with the same beginning are in one group, even if the cut is within a value or a placeholder."""
    begun = [message_template(f"item {10**digits} is refused: {'word ' * 400}{digits}") for digits in range(40)]
    quoted = [message_template(f'refused: "{letter * 5000}"') for letter in "abc"]
    cut = {message_template("x" * (MAX_LENGTH - kept) + f" {'1' * 9} {'y' * 300}") for kept in (2, 3, 4)}

    assert len(set(begun)) == 1
    assert set(quoted) == {"refused: <*>"}
    assert cut == {"x" * (MAX_LENGTH - kept) + " " for kept in (2, 3)} | {"x" * (MAX_LENGTH - 4) + " <*>"}


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
def test_template_takes_linear_time(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """No text takes quadratic time, which would be a minute here."""
    monkeypatch.setattr(message_templates, "READ_LENGTH", 200_000)
    begin = time.process_time()
    message_template(text * (200_000 // len(text)) + "!")

    assert time.process_time() - begin < 5


def run(database: str, rows: list[RecordRow], test: Callable[[RecordReader, MessageGrouping], Awaitable[None]]) -> None:
    """Run ``test`` with a reader of a store that contains ``rows``."""
    query_model.with_reader(database, rows, lambda reader: test(reader, MessageGrouping(reader)))


def group_counts(answer: dict[str, Any]) -> dict[tuple[str, str, str], int]:
    """Return the number of records of each group, by level, error type and template."""
    return {(each["level"], each["error_type"], each["message"]): each["count"] for each in answer["groups"]}


def numbered(count: int, message: str = "order {} received", **values: Any) -> list[RecordRow]:
    """Return rows with the same template, a microsecond apart."""
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
        Filters(expression=HasText(TextPattern.containing("ÄRGER"))),
        Filters(where=(Comparison("error_type", ""), Comparison("n", "3", is_equal=False))),
    ],
)
def test_groups_count_what_plain_python_counts(database: str, filters: Filters) -> None:
    """With any filters, each record is counted in the group of its level, error type and template."""
    rows = query_model.rows(900)
    found = [row for row in rows if query_model.matches(filters, row)]
    records = [dict(zip(("created_at", "level"), row, strict=False)) | _texts(row) for row in found]
    expected = Counter((each["level"], each["error_type"], message_template(each["message"])) for each in records)

    async def test(_: RecordReader, grouping: MessageGrouping) -> None:
        answer = await grouping.read(filters, _ALL)

        assert len(found) > 9
        assert group_counts(answer) == expected
        assert answer["looked_at"] == len(found)
        assert answer["looked_since"] == iso_time(min(each["created_at"] for each in records))
        assert (answer["is_sample"], answer["others"]) == (False, 0)

    run(database, rows, test)


def _texts(row: RecordRow) -> dict[str, str]:
    return {name: row[COLUMNS.index(name)] or "" for name in ("error_type", "message")}


def test_group_has_times_services_and_newest_record(database: str) -> None:
    """A group has its first and last time, its services by frequency, and the id of its newest record."""
    services = ["shop", "pay", None, "pay", "mail"]
    rows = [
        query_model.row(created_at=query_model.BEGIN + 10 * n, message=f"n {n}", service=name)
        for n, name in enumerate(services)
    ]

    async def test(reader: RecordReader, grouping: MessageGrouping) -> None:
        answer = await grouping.read(Filters(), 1)

        assert answer["groups"] == [
            {
                "level": "INFO",
                "error_type": "",
                "message": "n <*>",
                "count": 5,
                "first_seen": iso_time(query_model.BEGIN),
                "last_seen": iso_time(query_model.BEGIN + 40),
                "services": ["pay", "mail", "shop"],
                "newest": (await reader.find(Filters(), limit=1)).records[0]["id"],
            }
        ]

    run(database, rows, test)


def test_largest_groups_come_first(database: str) -> None:
    """Of groups with equal counts, the one that was seen last is first; groups beyond the limit are counted."""
    rows = [*numbered(3, "three {}"), *numbered(5, "five {}"), *numbered(4, "also three"), *numbered(1, "one")]
    rows.append(query_model.row(created_at=query_model.BEGIN + 99, message="three 4"))

    async def test(_: RecordReader, grouping: MessageGrouping) -> None:
        answer = await grouping.read(Filters(), 3)

        assert [(each["message"], each["count"]) for each in answer["groups"]] == [
            ("five <*>", 5),
            ("three <*>", 4),
            ("also three", 4),
        ]
        assert (answer["others"], answer["looked_at"], answer["is_sample"]) == (1, 14, False)

    run(database, rows, test)


def test_strange_and_huge_messages_are_grouped(database: str) -> None:
    """Empty messages are one group; markup, emoji and megabytes are text, and only its beginning is read."""
    texts = [None, "", "<script>alert(1)</script>", "<script>alert(2)</script>", "\U0001f600 7", "\U0001f600 8"]
    huge = [f"{number} {'ä' * 500_000}" for number in range(20)]
    rows = [query_model.row(message=text) for text in [*texts, *huge]]

    async def test(reader: RecordReader, grouping: MessageGrouping) -> None:
        answer = await grouping.read(Filters(), _ALL)
        read = await reader.newest(Filters(), limit=100, after=None, deadline=time.monotonic() + 10)

        assert {template: count for (_, _, template), count in group_counts(answer).items()} == {
            "": 2,
            "<script>alert(<*>)</script>": 2,
            "\U0001f600 <*>": 2,
            f"<*> {'ä' * (MAX_LENGTH - 4)}": 20,
        }
        assert max(len(row[-1] or "") for row in read) == READ_LENGTH + 1

    run(database, rows, test)


def test_empty_store_has_no_groups(database: str) -> None:
    """The result is empty, and is not a sample."""

    async def test(_: RecordReader, grouping: MessageGrouping) -> None:
        assert await grouping.read(Filters(), 10) == {
            "groups": [],
            "looked_at": 0,
            "looked_since": None,
            "is_sample": False,
            "others": 0,
        }

    run(database, [], test)


@pytest.mark.parametrize(("there", "looked_at", "is_sample"), [(699, 699, False), (700, 700, False), (701, 700, True)])
def test_only_the_newest_records_are_read(
    database: str, monkeypatch: pytest.MonkeyPatch, there: int, looked_at: int, is_sample: bool
) -> None:
    """The number of records is limited, and the result says whether there are more."""
    monkeypatch.setattr(message_groups, "MAX_RECORDS", 700)
    monkeypatch.setattr(message_groups, "_MAX_READ", 99)

    async def test(_: RecordReader, grouping: MessageGrouping) -> None:
        answer = await grouping.read(Filters(), 10)

        assert group_counts(answer) == {("INFO", "", "order <*> received"): looked_at}
        assert (answer["looked_at"], answer["is_sample"]) == (looked_at, is_sample)
        assert answer["looked_since"] == iso_time(query_model.BEGIN + there - looked_at)

    run(database, numbered(there), test)


def test_number_of_groups_is_limited(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If all messages differ, memory holds a limited number of groups; these are counted to the end."""
    monkeypatch.setattr(message_groups, "_MAX_GROUPS", 3)
    rows = [query_model.row(created_at=query_model.BEGIN - number, message="abcde"[number % 5]) for number in range(50)]

    async def test(_: RecordReader, grouping: MessageGrouping) -> None:
        answer = await grouping.read(Filters(), 10)

        assert {template: count for (_, _, template), count in group_counts(answer).items()} == {
            "a": 10,
            "b": 10,
            "c": 10,
        }
        assert (answer["looked_at"], answer["others"], answer["is_sample"]) == (50, 20, False)

    run(database, rows, test)


@pytest.mark.parametrize("slow_one", [1, 2])
def test_timeout_returns_the_groups_so_far(database: str, monkeypatch: pytest.MonkeyPatch, slow_one: int) -> None:
    """After a timeout, the groups of the records read so far are returned; without any record, it raises."""

    async def test(reader: RecordReader, grouping: MessageGrouping) -> None:
        rows, timeouts = reader.rows, []

        async def slow(statement: Any, timeout: float = 10.0) -> list[RecordRow]:
            timeouts.append(timeout)
            if len(timeouts) == slow_one:
                raise QueryTimeout("too slow")
            return await rows(statement, timeout)

        monkeypatch.setattr(reader, "rows", slow)
        # The range is shorter than a day, so that PostgreSQL needs one query for each part.
        filters = Filters(since=int(time.time() * 1e6) - 1_000_000_000)
        if slow_one == 1:
            with pytest.raises(QueryTimeout):
                await grouping.read(filters, 10)
        else:
            answer = await grouping.read(filters, 10)
            assert (answer["looked_at"], answer["is_sample"]) == (200, True)
        assert all(timeout <= 10 for timeout in timeouts)

    now = int(time.time() * 1e6)
    run(database, [query_model.row(created_at=now - number, message="same") for number in range(500)], test)


def test_number_of_requests_is_limited(database: str) -> None:
    """Eight requests run at the same time; a ninth raises `TooManyQueries`, and succeeds later."""

    async def test(_: RecordReader, grouping: MessageGrouping) -> None:
        results = await asyncio.gather(*(grouping.read(Filters(), 10) for _ in range(12)), return_exceptions=True)

        assert [type(each) for each in results] == [dict] * 8 + [TooManyQueries] * 4
        assert (await grouping.read(Filters(), 10))["looked_at"] == 50

    run(database, numbered(50), test)

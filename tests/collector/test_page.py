"""The page for reading logs, in a real Chromium, served by a real collector with an SQLite file."""

import csv
import itertools
import json
import re
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from support.browser import (
    DEADLINE,
    STACK_TRACE,
    Collector,
    Record,
    Sending,
    chromium,
    health,
    iso,
    monitor_record,
    record,
    running_collector,
)
from support.paths import DOCS, ROOT
from support.selection import first_quick

MANY = 100_000
_TIMEOUT = DEADLINE * 1000  # milliseconds
_LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]
# Scrolls down, and waits until the page has drawn the rows, however busy the machine is.
_SCROLL = """async (element) => {
  element.scrollTop += element.clientHeight / 2;
  for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
}"""
# The elements that extend beyond the right edge.
_CUT_OFF = "found => found.filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML)"
_FEW = 4000  # elements; the page of an empty store has some hundred


@pytest.fixture(scope="module")
def browser(program: Callable[[str], str], require: Callable[[str], None]) -> Iterator[Any]:
    """Return a running Chromium."""
    for module in ("playwright", "fastapi", "fastapi_offline", "uvicorn", "msgspec", "sse_starlette"):
        require(module)
    with chromium(program("chromium")) as found:
        yield found


@pytest.fixture(scope="module")
def collector(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """Return a running collector."""
    with running_collector(tmp_path_factory.mktemp("collector")) as found:
        yield found


@pytest.fixture(scope="module")
def many(collector: Collector) -> None:
    """Store 100,000 records of the service ``many``, a millisecond apart and up to an hour old."""
    begin = datetime.now(timezone.utc) - timedelta(minutes=30)
    levels = itertools.cycle(["DEBUG", "INFO", "INFO", "INFO", "WARN", "INFO", "ERROR", "INFO", "TRACE", "INFO"])
    collector.post(
        [
            {
                "created_at": iso(begin + timedelta(milliseconds=number)),
                "service": "many",
                "level": next(levels),
                "message": f"number {number} of many",
                "number": number,
            }
            for number in range(MANY)
        ]
    )


class Page:
    """The log page in a tab of the browser, and the actions of a user."""

    def __init__(self, tab: Any, collector: Collector) -> None:
        self.tab = tab
        self.url = collector.url

    def open(self, query: str = "") -> None:
        """Open the page with a query, and wait until the list is loaded."""
        self.tab.goto(f"{self.url}/{query}")
        self.settle()

    def settle(self) -> None:
        """Wait until nothing is being loaded."""
        self.tab.wait_for_selector(".list, .login")
        expect(self.tab.locator(".progress")).to_have_count(0)

    @property
    def rows(self) -> Any:
        """The records of the list that are in the document."""
        return self.tab.locator(".scroll .item .row")

    def row(self, text: str) -> Any:
        """The record of the list with the text ``text``."""
        return self.rows.filter(has_text=text)

    def shows(self, *messages: str) -> None:
        """Check that the list has exactly these messages, from top to bottom."""
        expect(self.tab.locator(".scroll .item .row .message > span:first-child")).to_have_text(list(messages))

    def button(self, name: "str | re.Pattern[str]") -> Any:
        """The button with this name."""
        return self.tab.get_by_role("button", name=name, exact=isinstance(name, str))

    def search(self, text: str) -> None:
        """Search for a text."""
        self.tab.get_by_role("searchbox").fill(text)
        self.tab.keyboard.press("Enter")
        self.settle()

    def elements(self) -> int:
        """Return the number of elements in the document."""
        return int(self.tab.evaluate("document.getElementsByTagName('*').length"))


def expect(found: Any) -> Any:
    """Return Playwright's assertions on the elements found, with the timeout of this module."""
    from playwright.sync_api import expect

    expect.set_options(timeout=_TIMEOUT)
    return expect(found)


@pytest.fixture
def open_page(browser: Any, collector: Collector) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a page. No page may report an error, or send a request to another server."""
    contexts, errors = [], []

    def make(collector: Collector = collector, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "timezone_id": "UTC", **options})
        context.set_default_timeout(_TIMEOUT)
        contexts.append(context)
        tab = context.new_page()
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("console", lambda line: errors.append(line.text) if line.type in ("error", "warning") else None)
        tab.on("request", lambda request: request.url.startswith(collector.url) or errors.append(request.url))
        return Page(tab, collector)

    make.errors = errors  # type: ignore[attr-defined]
    yield make
    for context in contexts:
        context.close()

    assert errors == []


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    """Return a page."""
    return open_page()


@pytest.fixture
def service() -> str:
    """Return the name of a service that only this test uses."""
    return f"service-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def send(collector: Collector, service: str) -> Callable[..., None]:
    """Return a function that sends records of the service of this test."""

    def send(*records: Record) -> None:
        collector.post([{**each, "service": service} if each["service"] == "test" else each for each in records])

    return send


def test_list_is_sorted_by_time_and_levels_have_colours(page: Page, service: str, send: Any) -> None:
    """The newest record is first, and each level has a colour of its own."""
    send(*(record(level.lower(), 10 - rank, level=level) for rank, level in enumerate(_LEVELS)))

    page.open(f"?service={service}")

    page.shows("fatal", "error", "warn", "info", "debug", "trace")
    colours = page.tab.eval_on_selector_all(
        ".scroll .item .row .name", "names => names.map((e) => getComputedStyle(e).color)"
    )
    assert len(set(colours)) == len(_LEVELS)


def test_click_opens_a_record_with_all_its_data(page: Page, service: str, send: Any) -> None:
    """A click opens a record with its attributes and its stack trace, and a second click closes it."""
    more = {"order": 1023, "user": {"name": "Ada", "tags": ["a", "b"]}, "host": "web-1"}
    send(record("no answer", level="ERROR", error_type="ReadTimeout", stack_trace=STACK_TRACE, **more))
    page.open(f"?service={service}")

    page.row("no answer").click()

    detail = page.tab.locator(".detail")
    expect(detail.get_by_label("Stack trace", exact=True)).to_have_text(STACK_TRACE)
    for name, value in [("order", "1023"), ("user.name", "Ada"), ("host", "web-1"), ("user.tags", '["a","b"]')]:
        field = detail.locator(".field", has=page.tab.get_by_text(name, exact=True))
        expect(field.locator(".value")).to_have_text(
            re.compile(re.escape(value).replace(",", r",\s*"), re.DOTALL)
            if "[" not in value
            else re.compile(r"a.*b", re.DOTALL)
        )
    expect(page.row("no answer")).to_have_attribute("aria-expanded", "true")
    page.row("no answer").click()
    expect(detail).to_have_count(0)


@pytest.mark.parametrize(
    "column", first_quick(["message", "service", "logger", "stack_trace", "error_type", "trace_id"])
)
def test_markup_is_shown_as_text(page: Page, collector: Collector, service: str, column: str) -> None:
    """Markup in a record is shown as text, and scripts in it never run."""
    attack = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
    fields = {"service": service, "message": "an attack", attack: attack, "nested": {attack: [attack]}}
    collector.post([record(**{**fields, column: attack, "where_to_look": service})])  # type: ignore[arg-type]
    page.open(f"?where=where_to_look={service}&column=logger")

    page.rows.last.click()
    expect(page.tab.locator(".detail")).to_contain_text("<script>window.hacked = 1</script>")
    if column == "trace_id":
        page.button("Show trace").click()
        expect(page.tab.locator(".subject code")).to_have_text(attack)

    assert page.tab.evaluate("window.hacked") is None
    assert page.tab.locator(".list script, .list img, dialog img, dialog script").count() == 0


@pytest.mark.slow
def test_relative_range_is_selected_in_a_menu(page: Page, service: str, send: Any) -> None:
    """The menu of the range offers common relative ranges."""
    send(record("old", 7200), record("new", 5))
    page.open(f"?service={service}")
    page.shows("new")

    page.button(re.compile("last hour")).click()
    page.button("last 4 hours").click()

    page.shows("new", "old")
    expect(page.tab).to_have_url(re.compile("since=4h"))


@pytest.mark.slow
def test_absolute_range_is_in_the_selected_time_zone(open_page: Callable[..., Page], service: str, send: Any) -> None:
    """From and To, and the times of the records, are local times or UTC, as the user selects."""
    page = open_page(timezone_id="Asia/Seoul")
    noon = (datetime.now(timezone.utc) - timedelta(days=1)).replace(hour=12, minute=0, second=0, microsecond=0)
    send(*({**record(name), "created_at": iso(noon + timedelta(minutes=minutes))} for name, minutes in _AROUND_NOON))
    page.open(f"?service={service}")

    page.button(re.compile("last hour")).click()
    page.tab.get_by_label("From").fill(f"{noon:%Y-%m-%d}T21:00:00")
    page.tab.get_by_label("To", exact=True).fill(f"{noon:%Y-%m-%d}T21:10:00")
    page.button("Show this range").click()

    page.shows("after", "at noon")
    expect(page.rows.first.locator(".time")).to_contain_text("21:05:00.000")
    page.tab.keyboard.press("z")
    expect(page.rows.first.locator(".time")).to_contain_text("12:05:00.000")
    assert f"since={noon:%Y-%m-%d}T12%3A00%3A00.000Z" in page.tab.url

    page.button(re.compile("12:00:00")).click()
    expect(page.tab.get_by_label("From")).to_have_value(f"{noon:%Y-%m-%d}T12:00")
    page.tab.get_by_label("From").fill(f"{noon:%Y-%m-%d}T12:04:00")
    page.button("Show this range").click()
    page.shows("after")


_AROUND_NOON = [("before", -1), ("at noon", 0), ("after", 5), ("later", 10)]


_EXACT = {
    "order_id": "1597483647123456789",
    "largest": "-9223372036854775808",
    "account": "340282366920938463463374607431768211456",
    "price": "1.10",
    "whole": "1.0",
    "zero": "-0.0",
    "digits": "0.1234567890123456789012",
    "nested": '{"id":9007199254740993}',
}


@pytest.mark.slow
def test_numbers_are_shown_as_they_were_sent(page: Page, collector: Collector, service: str) -> None:
    """JavaScript would round them; the filters of the page find them, and a copy of the record has their digits."""
    attributes = ",".join(f'"{name}":{value}' for name, value in _EXACT.items())
    body = f'{{"logs":[{{"message":"paid","service":"{service}","sequence":9007199254740993,{attributes}}}]}}'
    urllib.request.urlopen(urllib.request.Request(f"{collector.url}/logs", body.encode()), timeout=DEADLINE).close()
    page.open(f"?service={service}")
    page.tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.row("paid").click()
    for name, value in {**_EXACT, "price": "1.1", "sequence": "9007199254740993"}.items():
        label = f"Only {name}={value}" if name != "nested" else "Only nested.id=9007199254740993"
        page.button(label).click()
        page.settle()
        page.shows("paid")
        page.open(f"?service={service}")
        page.row("paid").click()
    page.button("Copy as JSON").click()
    page.button("Copied").wait_for()

    copied = page.tab.evaluate("navigator.clipboard.readText()")
    assert '"order_id": 1597483647123456789,' in copied
    assert '"id": 9007199254740993' in copied
    assert '"whole": 1.0,' in copied


@pytest.mark.slow
def test_level_filter_includes_the_more_serious_levels(page: Page, service: str, send: Any) -> None:
    """A click on a level shows that level and the more serious ones."""
    send(*(record(level.lower(), 10 - rank, level=level) for rank, level in enumerate(_LEVELS)))
    page.open(f"?service={service}")

    page.tab.get_by_label("WARN", exact=True).check()

    page.shows("fatal", "error", "warn")
    page.tab.get_by_label("ALL", exact=True).check()
    page.shows("fatal", "error", "warn", "info", "debug", "trace")


@pytest.mark.slow
@pytest.mark.parametrize("field", ["service", "environment", "host"])
def test_menu_offers_the_values_in_the_store(page: Page, collector: Collector, service: str, field: str) -> None:
    """The user can select several values of the store, and find one by a part of its name."""
    names = [f"{service}-{letter}" for letter in "abc"]
    collector.post([record(f"of {name}", 9 - i, **{field: name}, mark=service) for i, name in enumerate(names)])
    page.open(f"?where=mark={service}")
    page.shows(*(f"of {name}" for name in reversed(names)))

    page.tab.locator(".toolbar").get_by_role("button", name=field.capitalize(), exact=True).click()
    page.tab.get_by_label(f"Find {field}").fill(f"{service}-")
    page.tab.get_by_label(re.compile(f"{service}-a")).check()
    page.tab.get_by_label(re.compile(f"{service}-c")).check()

    page.shows(f"of {names[2]}", f"of {names[0]}")


def test_search_accepts_words_and_conditions(page: Page, service: str, send: Any) -> None:
    """The whole query language works; the words are marked, and one button removes the query."""
    send(
        record("order accepted", 4, customer="Ada", kind="a b"),
        record("order refused", 3, customer="Ada", kind="c"),
        record("Order lost", 2, customer="Linus", kind="c"),
        record("something else", 1, customer="Ada", kind="c"),
    )
    page.open(f"?service={service}")

    page.search("order customer=Ada kind!=c")
    page.shows("order accepted")
    expect(page.tab.locator("mark").first).to_have_text("order")
    page.button("Remove text: order customer=Ada kind!=c").click()
    page.shows("something else", "Order lost", "order refused", "order accepted")
    page.search('order (customer=linus OR kind="a b") -refused')
    page.shows("Order lost", "order accepted")
    assert set(page.tab.locator("mark").all_inner_texts()) == {"order", "Order"}
    page.button("Clear all").click()
    expect(page.tab).not_to_have_url(re.compile("q="))


def test_mistake_in_a_query_is_explained(open_page: Callable[..., Page], service: str) -> None:
    """The page says where the mistake is."""
    page = open_page()
    page.open(f"?service={service}")

    page.search("level=eror")
    expect(page.tab.get_by_role("alert")).to_contain_text("character 7: 'eror' is not a level")
    page.tab.wait_for_load_state("networkidle")
    assert [each for each in open_page.errors if "422" not in each] == []  # type: ignore[attr-defined]
    open_page.errors.clear()  # type: ignore[attr-defined]


@pytest.mark.slow
def test_values_have_buttons_to_include_exclude_and_add_a_column(page: Page, service: str, send: Any) -> None:
    """Each value of an open record has these buttons."""
    send(record("first", 3, customer="Ada"), record("second", 2, customer="Linus"), record("third", 1, customer="Ada"))
    page.open(f"?service={service}")

    page.row("third").click()
    page.button("customer as a column").click()
    expect(page.tab.get_by_role("columnheader", name="customer")).to_be_visible()
    expect(page.rows.nth(1).locator(".column")).to_have_text("Linus")
    page.button("Only customer=Ada").click()
    page.shows("third", "first")
    page.button("Remove customer=Ada").click()
    page.shows("third", "second", "first")
    page.row("third").click()
    page.button("Exclude customer=Ada").click()
    page.shows("second")
    page.button("Remove the column customer").click()
    expect(page.tab.get_by_role("columnheader", name="customer")).to_have_count(0)


@pytest.mark.slow
def test_live_tail_pauses_while_a_record_is_open(page: Page, service: str, send: Any) -> None:
    """New records are added on top; while a record is open, they are counted, and added on request."""
    send(record("before", 60))
    page.open(f"?service={service}")
    page.tab.keyboard.press("t")
    expect(page.button(re.compile("^Live \\d"))).to_be_visible()

    send(record("one"))
    page.shows("one", "before")
    page.row("before").click()
    send(record("two"), record("three"))
    expect(page.button("2 new records")).to_be_visible()
    page.tab.keyboard.press("n")

    page.shows("three", "two", "one", "before")
    expect(page.tab.locator(".badge")).to_have_count(0)
    send(record("four"))
    page.shows("four", "three", "two", "one", "before")
    assert "live=1" in page.tab.url


def test_live_tail_can_be_paused(page: Page, service: str, send: Any) -> None:
    """The button pauses the list until the user resumes it."""
    page.open(f"?service={service}&live=1")
    expect(page.button(re.compile("^Live \\d"))).to_be_visible()

    page.button("Pause").click()
    send(record("one"))
    expect(page.button("1 new record")).to_be_visible()
    expect(page.rows).to_have_count(0)
    page.button("Resume").click()

    page.shows("one")


@pytest.mark.slow
def test_live_tail_respects_the_filters(page: Page, service: str, send: Any) -> None:
    """A live tail shows only new records that match the filters."""
    page.open(f"?service={service}&live=1&level=ERROR&where=customer!=Linus")
    expect(page.button(re.compile("^Live \\d"))).to_be_visible()

    send(record("a", level="INFO"), record("b", level="ERROR", customer="Linus"), record("c", level="FATAL"))

    page.shows("c")


@pytest.mark.usefixtures("many")
@pytest.mark.slow
def test_page_stays_usable_at_thousands_of_records_a_second(page: Page, collector: Collector, service: str) -> None:
    """At 2,000 records a second, the page shows some, counts those that it skips, and still responds to the user."""
    page.open(f"?live=1&service={service}")
    expect(page.button(re.compile("^Live \\d"))).to_be_visible()

    with Sending(
        collector, 2000, lambda number: record(f"number {number}", service=service, customer=f"c{number % 7}")
    ):
        expect(page.button(re.compile(r"^Live \d,\d"))).to_be_visible()
        page.button("Pause").click()
        expect(page.button(re.compile("new record"))).to_be_visible()
        page.tab.locator(".scroll").evaluate("(element) => { element.scrollTop = 2300 }")
        expect(page.tab.locator(".gap").first).to_contain_text("arrived here")
        page.rows.nth(3).click()
        expect(page.tab.locator(".detail")).to_be_visible()
        assert page.elements() < _FEW

        page.button(re.compile("new record")).click()
        expect(page.tab.locator(".detail")).to_have_count(0)
        page.search("customer=c3")
        expect(page.rows.first).to_contain_text("customer=c3")
        page.tab.keyboard.press("h")
        expect(page.tab.get_by_role("dialog")).to_contain_text(service)
        page.tab.keyboard.press("Escape")
        page.button(re.compile("last hour")).click()
        page.button("last 15 minutes").click()
        expect(page.tab).to_have_url(re.compile("since=15m"))
        page.tab.keyboard.press("t")
        expect(page.button("Live")).to_have_attribute("aria-pressed", "false")
        assert page.elements() < _FEW


@pytest.mark.slow
def test_click_on_a_gap_of_a_live_tail_shows_its_records(page: Page, collector: Collector, service: str) -> None:
    """The records that a live tail skipped are in the store, and one click shows them."""
    page.open(f"?live=1&service={service}")
    expect(page.button(re.compile("^Live \\d"))).to_be_visible()
    collector.post([record("the first", 30, service=service)])
    page.shows("the first")

    collector.post([record(f"rush {number}", 20 - number / 100, service=service) for number in range(1000)])
    expect(page.rows.first).to_contain_text("rush 999")
    page.tab.locator(".scroll").evaluate("(element) => { element.scrollTop = 2300 }")
    page.button("900 more records arrived here; show them").click()
    expect(page.tab.locator(".total")).to_have_text("902 records")

    assert "live" not in page.tab.url


@pytest.mark.slow
def test_dragging_over_the_histogram_zooms_in(page: Page, service: str, send: Any) -> None:
    """Dragging over the bars selects their time; the browser's "back" restores the range before."""
    send(*(record(f"minute {minute}", 60 * minute) for minute in range(1, 60)), record("bad", 1800, level="ERROR"))
    page.open(f"?service={service}")
    expect(page.tab.get_by_role("img", name="Histogram: 60 records, INFO 59, ERROR 1")).to_be_visible()

    box = page.tab.locator(".u-over").bounding_box()
    page.tab.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 20)
    expect(page.tab.locator("figcaption")).to_contain_text(":")
    page.tab.mouse.down()
    page.tab.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 20, steps=4)
    page.tab.mouse.up()

    expect(page.tab).to_have_url(re.compile(r"since=20.*&until=20"))
    expect(page.tab.locator(".total")).to_have_text(re.compile("^(2[7-9]|3[0-3]) records"))
    page.tab.go_back()
    expect(page.tab.locator(".total")).to_have_text("60 records")


@pytest.mark.slow
def test_click_on_a_trace_id_shows_the_trace_in_order(page: Page, collector: Collector, service: str) -> None:
    """The panel has the records of all services and levels, oldest first, regardless of the filters of the list."""
    trace = uuid.uuid4().hex
    names = ["web", "stock", "payments", "web"]
    collector.post(
        [record(f"step {n}", 9 - n, service=f"{service}-{name}", trace_id=trace) for n, name in enumerate(names)]
    )
    page.open(f"?service={service}-payments")

    page.row("step 2").click()
    page.button("Show the trace").or_(page.tab.get_by_title("Show the trace")).first.click()

    dialog = page.tab.get_by_role("dialog", name="Trace")
    expect(dialog.locator(".step .message")).to_have_text([f"step {number}" for number in range(4)])
    expect(dialog.locator(".step .service")).to_have_text([f"{service}-{name}" for name in names])
    expect(dialog.locator(".summary")).to_contain_text("4 records of 3 services in 3.0")
    assert f"trace={trace}" in page.tab.url
    page.tab.go_back()
    expect(dialog).to_have_count(0)


@pytest.mark.slow
def test_surrounding_records_are_those_of_the_process(page: Page, service: str, send: Any) -> None:
    """They ignore the filters and are sorted oldest first, and the record itself is highlighted."""
    send(*(record(f"line {n:02}", 90 - n, process_id=1, host="a", wanted=n == 30) for n in range(60)))
    send(record("of another process", 60.5, process_id=2, host="a"))
    page.open(f"?service={service}&where=wanted=true")
    page.shows("line 30")

    page.tab.keyboard.press("j")
    page.tab.keyboard.press("c")

    dialog = page.tab.get_by_role("dialog", name="Surrounding records")
    expect(dialog.locator(".row .message > span:first-child")).to_have_text([f"line {n:02}" for n in range(10, 51)])
    expect(dialog.locator(".row.selected")).to_contain_text("line 30")
    dialog.get_by_role("button", name="More records").click()
    expect(dialog.locator(".row")).to_have_count(60)


@pytest.mark.usefixtures("many")
@pytest.mark.slow
def test_address_contains_the_whole_query(open_page: Callable[..., Page], service: str, send: Any) -> None:
    """Another browser shows the same at the same address."""
    send(
        record("wanted", 3, level="ERROR", customer="Ada"),
        record("not wanted", 2),
        record("nor this", 1, level="ERROR"),
    )
    one = open_page()
    one.open(f"?service={service}")
    one.tab.get_by_label("ERROR", exact=True).check()
    one.search("wanted customer=Ada")
    one.row("wanted").click()
    one.button("customer as a column").click()
    one.shows("wanted")

    other = open_page()
    other.tab.goto(one.tab.url)

    other.shows("wanted")
    expect(other.tab.get_by_role("columnheader", name="customer")).to_be_visible()
    expect(other.tab.get_by_role("searchbox")).to_have_value("wanted customer=Ada")
    expect(other.tab.get_by_label("ERROR", exact=True)).to_be_checked()


@pytest.mark.slow
def test_browser_history_has_each_query(page: Page, service: str, send: Any) -> None:
    """The browser's "back" and "forward" restore earlier and later queries."""
    send(record("a", 2, level="ERROR"), record("b", 1))
    page.open(f"?service={service}")
    page.shows("b", "a")
    page.tab.get_by_label("ERROR", exact=True).check()
    page.shows("a")

    page.tab.go_back()
    page.shows("b", "a")
    page.tab.go_forward()
    page.shows("a")


@pytest.mark.usefixtures("many")
@pytest.mark.slow
def test_saved_query_stays_until_it_is_deleted(page: Page, service: str, send: Any) -> None:
    """A query is saved under a name in this browser, until the user deletes it."""
    send(record("bad", 2, level="ERROR"), record("good", 1))
    page.open(f"?service={service}&level=ERROR")
    page.button("Saved queries").click()
    page.tab.get_by_label("Name for this query").fill("all errors")
    page.button("Save").click()

    page.open("?since=5m")
    page.button("Saved queries").click()
    page.button("all errors").click()
    page.shows("bad")
    page.button("Saved queries").click()
    page.button("Delete all errors").click()
    page.open()
    page.button("Saved queries").click()
    expect(page.tab.get_by_text("No saved queries.")).to_be_visible()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["NDJSON", "CSV"])
def test_download_has_all_matching_records(page: Page, service: str, send: Any, form: str, tmp_path: Path) -> None:
    """The file has all records that match the filters, not only those that the page shows."""
    send(*(record(f"line {number}", number / 10, level="ERROR" if number % 2 else "INFO") for number in range(600)))
    page.open(f"?service={service}&level=ERROR")

    page.button("More").click()
    with page.tab.expect_download() as begun:
        page.tab.get_by_role("link", name=f"Download as {form}").click()
    begun.value.save_as(tmp_path / "logs")

    with (tmp_path / "logs").open(encoding="utf-8", newline="") as file:
        found = [json.loads(line) for line in file] if form == "NDJSON" else list(csv.DictReader(file))
    assert {each["message"] for each in found} == {f"line {number}" for number in range(1, 600, 2)}


@pytest.mark.usefixtures("many")
@pytest.mark.slow
def test_pipeline_health_shows_services_and_losses(page: Page, collector: Collector, service: str) -> None:
    """The panel has the services, the programs that send with their format, losses by reason, and the size."""
    client = {"id": uuid.uuid4().hex, "name": "concurrent-log/2.0.0"}
    drops = [{"reason": "queue full", "records": 1234, "since": datetime.now(timezone.utc).timestamp()}]
    collector.post(
        [record("a"), record("b")], common={"service": service, "host": "web-7"}, client=client, dropped=drops
    )
    lines = json.dumps({"message": "c", "service": service})
    headers = {"Content-Type": "application/x-ndjson", "User-Agent": "Vector/1"}
    request = urllib.request.Request(f"{collector.url}/logs", lines.encode(), headers)
    urllib.request.urlopen(request, timeout=DEADLINE).close()
    page.open()

    page.button("Pipeline health").click()

    dialog = page.tab.get_by_role("dialog", name="Pipeline health")
    expect(dialog.get_by_role("row").filter(has_text="Vector/1 (NDJSON)").filter(has_text=service)).to_have_count(1)
    expect(dialog.get_by_role("row").filter(has_text="many")).to_contain_text("100,000")
    expect(dialog.get_by_role("row").filter(has_text="queue full").filter(has_text="1,234")).to_have_count(1)
    expect(dialog.locator(".figures").first).to_contain_text("MiB")


def _group_lines(page: Page) -> Any:
    return page.tab.get_by_role("dialog", name="Groups").locator(".groups li")


def test_groups_count_similar_records(page: Page, collector: Collector, service: str) -> None:
    """Each group is one line with its number, times and services; the largest is first, in the colour of its level."""
    refused = {"level": "ERROR", "error_type": "CardError", "where_from": service}
    collector.post(
        [record(f"order {n} refused", 60 - n, **refused, service=f"{service}-{'abcd'[n % 4]}") for n in range(40)]
        + [record(f"slow: {n} ms", 9, level="WARN", where_from=service) for n in range(7)]
        + [record("alone", 5, where_from=service)]
    )
    page.open(f"?where=where_from={service}")

    page.button("Groups of similar records").click()

    lines = _group_lines(page)
    expect(lines.locator(".count")).to_have_text(["40", "7", "1"])
    expect(lines.locator(".template")).to_have_text(["CardError order … refused", "slow: … ms", "alone"])
    expect(lines.locator(".group-details").first).to_have_text(
        re.compile(rf"{service}-a, {service}-b and 2 more.*first \d\d:\d\d:\d\d.*last \d\d s ago", re.DOTALL)
    )
    expect(lines.locator(".group-details").last).not_to_contain_text("first")
    expect(page.tab.locator(".summary")).to_have_text("3 groups of 48 records.")
    colours = lines.locator(".name").evaluate_all("names => names.map((e) => getComputedStyle(e).color)")
    assert len(set(colours)) == 3
    assert "groups=1" in page.tab.url
    page.tab.go_back()
    expect(page.tab.get_by_role("dialog")).to_have_count(0)


@pytest.mark.slow
def test_click_on_a_group_lists_its_records(page: Page, service: str, send: Any) -> None:
    """The list has the level, error type and words of the group; the browser's "back" returns to the groups."""
    send(
        *(record(f'order {n} of "{n}": card  refused, x={n}', 90 - n, level="ERROR") for n in range(5)),
        record("order 7 of 8: card  refused, x=9", 5, level="FATAL"),
        record('order 7 of "8": card  refused, x=9', 4, level="ERROR", error_type="CardError"),
        record("order 1 is fine", 3, level="ERROR"),
        record("order 2 is fine", 2),
    )
    page.open(f"?service={service}&q=order")
    page.tab.keyboard.press("g")

    _group_lines(page).filter(has_text="card").first.get_by_role("button", name="refused").click()

    page.shows(*(f'order {n} of "{n}": card  refused, x={n}' for n in (4, 3, 2, 1, 0)))
    expect(page.tab.get_by_role("dialog")).to_have_count(0)
    expect(page.tab.get_by_role("searchbox")).to_have_value('order "order" "of" ": card  refused, x="')
    page.tab.go_back()
    expect(_group_lines(page)).to_have_count(5)


@pytest.mark.slow
def test_newest_record_of_a_group_can_be_opened(page: Page, service: str, send: Any) -> None:
    """It opens below its group, with all its data, and leads to its trace."""
    trace = uuid.uuid4().hex
    send(*(record(f"failed {n}", 9 - n, level="ERROR", stack_trace=STACK_TRACE, trace_id=trace) for n in range(4)))
    page.open(f"?service={service}&groups=1")

    line = _group_lines(page).first
    line.get_by_role("button", name="Newest record").click()

    expect(line.get_by_label("Message", exact=True)).to_have_text("failed 3")
    expect(line.get_by_label("Stack trace", exact=True)).to_have_text(STACK_TRACE)
    line.get_by_role("button", name="Show trace").click()
    expect(page.tab.get_by_role("dialog")).to_have_count(1)
    expect(page.tab.get_by_role("dialog", name="Trace").locator(".step")).to_have_count(4)


@pytest.mark.slow
def test_unusual_groups_are_shown_as_text(page: Page, service: str, send: Any) -> None:
    """Markup is text, and no script runs; empty messages and a message of a megabyte are groups that can be listed."""
    attack = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
    send(
        *(record(f"{attack} {n}", 9, error_type=attack) for n in range(3)),
        *(record("", 8) for _ in range(2)),
        record("huge " + "x" * 1_000_000, 7),
    )
    page.open(f"?service={service}&groups=1")

    lines = _group_lines(page)
    expect(lines).to_have_count(3)
    expect(lines.first.locator("b")).to_have_text(attack)
    expect(lines.first).to_contain_text("<script>window.hacked = …</script><img src=x onerror=…> …")
    expect(lines.nth(1)).to_contain_text("no message")
    assert len(lines.last.inner_text()) < 1000
    assert page.tab.evaluate("window.hacked") is None
    assert page.tab.locator("dialog script, dialog img").count() == 0

    lines.first.locator(".group-summary").click()
    page.shows(*[f"{attack} {n}" for n in (2, 1, 0)])
    page.tab.go_back()
    lines.last.locator(".group-summary").click()
    expect(page.rows).to_have_count(1)
    assert page.tab.evaluate("window.hacked") is None


@pytest.mark.usefixtures("many")
@pytest.mark.slow
def test_groups_show_the_number_of_grouped_records(page: Page) -> None:
    """Of very many records only the newest are grouped, and the panel says so; it also says if there are none."""
    page.open("?service=many&since=2h&groups=1")
    expect(page.tab.locator(".summary")).to_contain_text(re.compile("^5 groups of the newest 50,000 records, since "))
    expect(page.tab.locator(".summary")).to_contain_text("Older records are not included.")
    expect(_group_lines(page).locator(".count")).to_have_text(["30,000", "5,000", "5,000", "5,000", "5,000"])

    page.open("?service=none&groups=1")
    expect(page.tab.locator(".summary")).to_have_text("No records found.")


@pytest.mark.slow
def test_groups_panel_shows_an_error_and_tries_again(open_page: Callable[..., Page], tmp_path: Path) -> None:
    """If the server is unreachable, the panel says so, and has a button to try again."""
    with running_collector(tmp_path) as other:
        other.post([record("one 1"), record("one 2")])
        page = open_page(other)
        page.open()
        other.stop()
        page.tab.keyboard.press("g")
        dialog = page.tab.get_by_role("dialog", name="Groups")
        expect(dialog.get_by_role("alert")).to_contain_text("The server does not respond")
    with running_collector(tmp_path, port=int(other.url.rsplit(":", 1)[1])):
        dialog.get_by_role("button", name="Try again").click()
        expect(_group_lines(page).locator(".count")).to_have_text(["2"])
        page.tab.close()
    open_page.errors.clear()  # type: ignore[attr-defined]  # The browser itself reports the refused connection.


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_groups_are_accessible(open_page: Callable[..., Page], service: str, send: Any, scheme: str) -> None:
    """On a narrow screen nothing is cut off, the colours have enough contrast, and every control has a name."""
    send(
        *(
            record(f"{'word ' * 40} {n} " + "y" * 200, level=level, error_type="E" * 90)
            for n, level in enumerate(_LEVELS)
        )
    )
    page = open_page(viewport={"width": 360, "height": 740}, has_touch=True, color_scheme=scheme)
    page.open(f"?service={service}")

    page.button("Groups of similar records").tap()
    lines = _group_lines(page)
    expect(lines).to_have_count(6)
    lines.first.get_by_role("button", name="Newest record").tap()
    expect(lines.first.locator(".detail")).to_be_visible()

    assert page.tab.eval_on_selector_all("dialog *", _CUT_OFF) == []
    assert page.tab.eval_on_selector_all(".toolbar button", _CUT_OFF) == []
    assert _unnamed(page) == []
    expect(page.tab.get_by_role("list", name="Groups, the largest first")).to_be_visible()
    for selector in (
        ".group-line .count",
        ".group-line .name",
        ".template b",
        ".placeholder",
        ".group-details",
        ".summary",
    ):
        found = page.tab.eval_on_selector_all(selector, _COLOURS)
        assert found
        for text, behind, name in found:
            assert _contrast(text, behind) >= 4.5, (selector, name, text, behind)


def _program(page: Page, service: str) -> Any:
    """The monitored program with this name."""
    return page.tab.get_by_role("dialog", name="Services").locator(".program").filter(has_text=service)


def _monitor_record(minutes_ago: float, event: str, *services: Record, **program: Any) -> Record:
    moment = datetime.now(timezone.utc) - timedelta(minutes=minutes_ago)
    return monitor_record(moment, event, *services, **program)


@pytest.mark.usefixtures("many")
@pytest.mark.slow
def test_services_show_status_and_history(page: Page, collector: Collector, service: str) -> None:
    """The worst service is on top, with its status, error and history; the button counts unhealthy services."""
    program = {"service": service, "host": "web-1", "process_id": 4711}
    down = health("db", "unhealthy", error="refused", breaker="open", consecutive_failures=3, response_time_ms=7.25)
    collector.post(
        [
            _monitor_record(30, "started", health("db", "unknown"), health("mail", "unknown"), **program),
            _monitor_record(29, "status", health("mail", critical=False), **program),
            _monitor_record(20, "status", health("db", response_time_ms=1), **program),
            _monitor_record(5, "report", health("db"), health("mail"), **program),
            _monitor_record(2, "status", down, **program),
        ]
    )
    page.open()
    expect(page.button(re.compile(r"^Services: \d+ problems?$"))).to_have_count(1)

    page.button(re.compile("^Services")).click()

    shown = _program(page, service)
    expect(shown.locator("h3")).to_have_text(
        re.compile(rf"{service}\s+web-1 · process 4711\s*reported \d+ (s|min) ago")
    )
    expect(shown.locator(".what > button")).to_have_text(["db", "mail"])
    expect(shown.locator(".status b")).to_have_text([" unhealthy", " healthy"])
    expect(shown.locator(".status small").first).to_have_text(re.compile(r"since \d\d:\d\d:\d\d"))
    expect(shown.locator(".error")).to_have_text(["refused (3 failures in a row)"])
    expect(shown.locator(".tag")).to_have_text(["circuit open"])
    expect(shown.locator(".response").first).to_contain_text("7.3 ms")
    bar = shown.get_by_role("group", name=re.compile("^History of db: healthy .* % of the time"))
    labels = bar.get_by_role("button").evaluate_all("all => all.map((each) => each.getAttribute('aria-label'))")
    assert [re.sub(r" .*\(", " (", label) for label in labels] == [
        "unknown, (10 min)",
        "healthy, (18 min)",
        "unhealthy, (2 min): refused",
    ]
    bar.get_by_role("button").last.hover()
    expect(shown.locator(".history-text").first).to_have_text(labels[-1])
    heights = bar.locator(".segment").evaluate_all(
        "all => all.map((e) => parseFloat(getComputedStyle(e, '::after').height))"
    )
    assert heights[0] < heights[1] < heights[2]
    assert "services=1d" in page.tab.url


@pytest.mark.usefixtures("many")
@pytest.mark.slow
def test_click_on_a_service_or_its_history_lists_records(page: Page, collector: Collector, service: str) -> None:
    """A name lists the changes of that service, a bar all records of the monitor in that time; "back" returns."""
    program = {"service": service, "host": "web-1", "process_id": 1}
    others = health('"other"')
    collector.post(
        [
            _monitor_record(12, "report", health('d"b'), others, **program),
            _monitor_record(9, "status", health('d"b', "unhealthy"), **program),
            _monitor_record(8, "status", health('"other"', "degraded"), **program),
            _monitor_record(7, "report", health('d"b', "unhealthy"), others, **program),
            _monitor_record(6, "status", health('d"b'), **program),
            _monitor_record(5, "status", health('d"b'), **{**program, "process_id": 2}),
        ]
    )
    page.open("?services=6h&level=ERROR")
    shown = _program(page, service).filter(has_text="process 1")

    shown.get_by_role("button", name='d"b', exact=True).click()
    page.shows('status: d"b healthy', 'status: d"b unhealthy')
    page.tab.go_back()
    shown.get_by_role("button", name=re.compile("^unhealthy,")).click()
    page.shows(
        'status: d"b healthy',
        'report: d"b unhealthy, "other" healthy',
        'status: "other" degraded',
        'status: d"b unhealthy',
    )
    expect(page.tab.get_by_role("dialog")).to_have_count(0)


@pytest.mark.usefixtures("many")
@pytest.mark.slow
def test_silent_monitor_is_highlighted(page: Page, collector: Collector, service: str) -> None:
    """It shows since when it is silent, and that its status may be out of date; ended programs are collapsed."""
    program = {"service": service, "host": "web-1"}
    collector.post(
        [
            _monitor_record(50, "report", health("db"), **program, process_id=1),
            _monitor_record(45, "report", health("db"), **program, process_id=1),
            _monitor_record(44, "stopped", health("db"), **program, process_id=2),
        ]
    )
    page.open()
    page.tab.keyboard.press("s")

    shown = _program(page, service).first
    expect(shown.locator(".monitor")).to_have_text(re.compile(r"silent since \d\d:\d\d:\d\d, 45 min ago"))
    expect(shown.locator(".status")).to_have_text(re.compile(r"silent\s*was healthy"))
    expect(shown).to_contain_text("No report for 45 min. The last known status may be out of date.")
    expect(shown.get_by_role("button", name=re.compile("^silent, .*45 min"))).to_have_count(1)
    ended = _program(page, service).filter(has_text="process 2")
    expect(ended).to_be_hidden()
    summary = page.tab.locator(".ended summary")
    expect(summary).to_have_text(re.compile(r"^\d+ (program that ended or was|programs that ended or were) restarted$"))
    summary.click()
    expect(ended.locator(".monitor")).to_have_text(re.compile("stopped .* 44 min ago"))


@pytest.mark.usefixtures("many")
@pytest.mark.slow
def test_unusual_services_are_shown_as_text(page: Page, collector: Collector) -> None:
    """Markup is text in each field, and no script runs; invalid and huge values break nothing."""
    attack = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
    origin = {"service": attack, "environment": attack, "host": attack}
    fields = {"error": attack, "breaker": attack, "since": attack, "response_time_ms": attack, "critical": attack}
    strange = [health("x" * 100_000, error="e" * 100_000, response_time_ms=1e11), {"service": [attack]}, {}]
    collector.post(
        [
            _monitor_record(1, "report", health(attack, "unhealthy", **fields), *strange, **origin),
            {**_monitor_record(2, "report", **origin), "health": {"event": "report", "services": attack}},
            {**_monitor_record(2, "report", **origin), "health": attack},
        ]
    )
    page.open("?services=1h")

    shown = _program(page, attack).first
    expect(shown.locator("h3")).to_contain_text(attack)
    expect(shown.locator(".what > button").first).to_have_text(attack)
    expect(shown.locator(".error").first).to_have_text(attack)
    shown.locator(".segment").first.hover()
    expect(shown.locator(".history-text").first).to_contain_text(attack)
    assert page.tab.evaluate("window.hacked") is None
    assert page.tab.locator("dialog script, dialog img").count() == 0
    assert page.tab.locator("dialog").evaluate("(dialog) => dialog.scrollWidth <= dialog.clientWidth")
    shown.locator(".what > button").first.click()
    page.settle()
    assert page.tab.evaluate("window.hacked") is None


@pytest.mark.slow
def test_services_panel_without_monitors_shows_an_example(open_page: Callable[..., Page], tmp_path: Path) -> None:
    """Without monitors, the panel shows an example; when a monitor reports, the panel shows it without a reload."""
    with running_collector(tmp_path) as collector:
        page = open_page(collector)
        page.tab.clock.install()
        page.open("?services=1d")
        dialog = page.tab.get_by_role("dialog", name="Services")
        expect(dialog).to_contain_text("No monitor has reported to this server (last day).")
        expect(dialog.locator("pre")).to_contain_text(f'CollectorHandler("{collector.url}", service="shop")')
        compile(dialog.locator("pre").inner_text(), "the example", "exec")

        collector.post([_monitor_record(0, "report", health("db"), service="shop")])
        page.tab.clock.run_for(16_000)
        expect(_program(page, "shop").locator(".status b")).to_have_text([" healthy"])
        page.tab.close()


@pytest.mark.usefixtures("many")
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_services_are_accessible(
    open_page: Callable[..., Page], collector: Collector, service: str, scheme: str
) -> None:
    """They can be read by keyboard and on a narrow screen, with enough contrast, and every control has a name."""
    statuses = ["healthy", "degraded", "unhealthy", "unknown"]
    services = [health(f"{status} {'x' * 60}", status, error="e" * 90, critical=False) for status in statuses]
    origin = {"service": service, "host": "h" * 90, "process_id": 1}
    collector.post(
        [
            *(
                _monitor_record(9 - n, "status", health(services[0]["service"], each), **origin)
                for n, each in enumerate(statuses)
            ),
            _monitor_record(1, "report", *services, **origin),
            _monitor_record(90, "report", health("db"), service=f"{service}-gone"),
        ]
    )
    page = open_page(viewport={"width": 360, "height": 740}, has_touch=True, color_scheme=scheme)
    page.open()
    page.button(re.compile("^Services")).tap()
    shown = _program(page, service).filter(has_text="process 1")
    expect(shown.locator("li")).to_have_count(4)

    assert page.tab.eval_on_selector_all(".toolbar button, dialog *", _CUT_OFF) == []
    assert _unnamed(page) == []
    for selector in (
        ".status b",
        ".monitored small",
        ".error",
        ".tag",
        ".monitor",
        ".history-text",
        ".summary",
        ".program .error-message",
    ):
        found = page.tab.eval_on_selector_all(f"dialog {selector}", _COLOURS)
        assert found
        for text, behind, name in found:
            assert _contrast(text, behind) >= 4.5, (selector, name, text, behind)
    for bar, behind, _ in page.tab.eval_on_selector_all("dialog .segment", _COLOURS):
        assert _contrast(bar, behind) >= 3, (bar, behind)

    bar = shown.get_by_role("group", name=re.compile("^History of healthy"))
    bar.locator("[tabindex='0']").focus()
    for key, status in [("ArrowLeft", "unknown"), ("Home", "healthy"), ("ArrowRight", "degraded"), ("End", "healthy")]:
        page.tab.keyboard.press(key)
        expect(bar.locator(":focus")).to_have_attribute("aria-label", re.compile(f"^{status}, "))
        expect(bar.locator("xpath=following-sibling::p")).to_contain_text(f"{status}, ")
    assert bar.locator("[tabindex='0']").count() == 1
    page.tab.keyboard.press("Enter")
    expect(page.tab.get_by_role("dialog")).to_have_count(0)
    expect(page.rows.first).to_contain_text(services[0]["service"])


@pytest.mark.usefixtures("many")
@pytest.mark.slow
def test_hundred_thousand_records_are_loaded_page_by_page(page: Page) -> None:
    """Scrolling loads further records, in order, without gaps or repetitions, and the document stays small."""
    page.open("?service=many&since=2h")
    expect(page.tab.locator(".total")).to_have_text("100,000 records")

    seen: list[int] = []
    scroll = page.tab.locator(".scroll")
    for _ in range(200):
        numbers = [int(found) for found in re.findall(r"number (\d+) of many", scroll.inner_text())]
        seen += [number for number in numbers if not seen or number < seen[-1]]
        scroll.evaluate(_SCROLL)
        page.settle()
        if len(seen) > 1500:
            break

    assert page.elements() < _FEW
    assert seen == list(range(MANY - 1, MANY - 1 - len(seen), -1))
    assert len(seen) > 1500


@pytest.mark.usefixtures("many")
@pytest.mark.slow
def test_one_record_among_hundred_thousand_is_found(page: Page) -> None:
    """The server searches all records, not only those that the page shows."""
    page.open("?service=many&since=2h")

    page.search("number=4711")
    page.shows("number 4711 of many")
    page.button("Clear all").click()
    page.search('service=many "number 31415 "')
    page.shows("number 31415 of many")


@pytest.mark.usefixtures("many")
@pytest.mark.slow
def test_full_list_continues_with_older_records(page: Page) -> None:
    """The list has a limited number of records, and a button continues with older ones."""
    page.open("?service=many&since=2h")
    scroll = page.tab.locator(".scroll")
    more = page.button(re.compile("^Continue before"))
    for _ in range(400):
        scroll.evaluate("(element) => { element.scrollTop = element.scrollHeight }")
        page.settle()
        if more.count():
            break
    more.click()

    expect(page.rows.first).to_contain_text(f"number {MANY - 20_000} of many")
    assert page.elements() < _FEW


@pytest.mark.slow
def test_empty_store_shows_how_to_send_a_first_record(open_page: Callable[..., Page], tmp_path: Path) -> None:
    """The page of a new server shows a command to send a record, and then that record."""
    with running_collector(tmp_path) as fresh:
        page = open_page(fresh)
        page.open()
        expect(page.tab.get_by_role("heading", name="No records yet")).to_be_visible()
        expect(page.tab.locator(".empty")).to_contain_text(f"curl {fresh.url}/logs")

        fresh.post([record("the first")])
        page.tab.keyboard.press("n")
        page.shows("the first")
        page.tab.close()


@pytest.mark.slow
def test_empty_result_offers_a_wider_range(page: Page, service: str, send: Any) -> None:
    """If no record matches, buttons remove the filters or widen the range."""
    send(record("from yesterday", 86_400))
    page.open(f"?service={service}")
    expect(page.tab.get_by_role("heading", name="No records found")).to_be_visible()

    page.button("Last 7 days").click()

    page.shows("from yesterday")


@pytest.mark.slow
def test_empty_result_offers_the_query_without_one_filter(page: Page, service: str, send: Any) -> None:
    """Each filter that alone keeps records out has a button that removes it, with their number."""
    send(record("order 1", 9, level="ERROR"), record("order 2", 8, level="ERROR"), record("lost", 7, level="INFO"))
    page.open(f"?service={service}&level=FATAL&q=order")

    page.button("2 records without level ≥ FATAL").click()
    page.shows("order 2", "order 1")
    page.search("order zebra")
    expect(page.button("3 records without text: order zebra")).to_be_visible()
    expect(page.button(re.compile("without service"))).to_have_count(0)


@pytest.mark.slow
def test_invalid_query_shows_the_error_of_the_server(open_page: Callable[..., Page]) -> None:
    """The page shows the message of the server."""
    page = open_page()
    page.tab.goto(f"{page.url}/?since=yesterday")

    expect(page.tab.get_by_role("alert")).to_contain_text("yesterday")
    page.tab.wait_for_load_state("networkidle")  # The other requests of the page get the same answer.
    assert [each for each in open_page.errors if "422" not in each and "400" not in each] == []  # type: ignore[attr-defined]
    open_page.errors.clear()  # type: ignore[attr-defined]


@pytest.mark.slow
def test_live_tail_reconnects_to_a_restarted_server(open_page: Callable[..., Page], tmp_path: Path) -> None:
    """It reconnects by itself, and also shows the records that arrived meanwhile."""
    with running_collector(tmp_path) as other:
        page = open_page(other)
        page.open("?live=1")
        expect(page.button(re.compile("^Live \\d"))).to_be_visible()
        other.post([record("before", 2)])
        page.shows("before")
    with running_collector(tmp_path, port=int(other.url.rsplit(":", 1)[1])) as again:
        again.post([record("meanwhile", 1)])
        page.shows("meanwhile", "before")
        again.post([record("after")])
        page.shows("after", "meanwhile", "before")
        page.tab.close()
    open_page.errors.clear()  # type: ignore[attr-defined]  # The browser itself reports the refused connection.


@pytest.mark.slow
def test_administrator_creates_and_revokes_a_key(open_page: Callable[..., Page], tmp_path: Path) -> None:
    """A key is shown once, works, and ends with a second click; a reader has no such entry in the menu."""
    with running_collector(tmp_path, token="open-sesame-please") as locked:
        page = open_page(locked)
        page.open()
        page.tab.get_by_label("Token of this server").fill("open-sesame-please")
        page.button("Log in").click()
        page.button("More").click()
        page.button("Keys and sessions").click()
        page.tab.get_by_label("Kind").select_option("read")
        page.tab.get_by_label("Name", exact=True).fill("Anna <b>")
        page.button("Create key").click()
        secret = page.tab.locator(".secret code").inner_text()
        expect(page.tab.get_by_text("the server's token (this one)")).to_be_visible()
        reader = open_page(locked)
        reader.open()
        reader.tab.get_by_label("Token of this server").fill(secret)
        reader.button("Log in").click()
        reader.button("More").click()
        expect(reader.button("Log out")).to_be_visible()
        expect(reader.button("Keys and sessions")).to_have_count(0)

        page.button("Revoke Anna <b>").click()
        page.button("Really revoke Anna <b>").click()
        expect(page.tab.get_by_text("revoked", exact=True)).to_be_visible()
        page.tab.close()
        reader.tab.close()
        open_page.errors.clear()  # type: ignore[attr-defined]


@pytest.mark.slow
def test_unreachable_server_is_reported(open_page: Callable[..., Page], tmp_path: Path) -> None:
    """The page shows a message, and a button that tries again."""
    with running_collector(tmp_path) as other:
        page = open_page(other)
        page.open()
        other.stop()
        page.tab.keyboard.press("n")
        expect(page.tab.get_by_role("alert")).to_contain_text("The server does not respond")
    with running_collector(tmp_path, port=int(other.url.rsplit(":", 1)[1])) as again:
        again.post([record("there again")])
        page.button("Try again").click()
        page.shows("there again")
        page.tab.close()
    open_page.errors.clear()  # type: ignore[attr-defined]  # The browser itself reports the refused connection.


def test_login_requires_the_token_once(open_page: Callable[..., Page], tmp_path: Path) -> None:
    """Without the token no record is shown; after the login all pages and the live tail work, even after a reload."""
    with running_collector(tmp_path, token="open-sesame-please") as locked:
        locked.post([record("a secret")])
        page = open_page(locked)
        page.open()
        expect(page.tab.get_by_label("Token of this server")).to_be_focused()
        page.tab.get_by_label("Token of this server").fill("wrong")
        page.button("Log in").click()
        expect(page.tab.get_by_role("alert")).to_have_text("Wrong token.")
        open_page.errors.clear()  # type: ignore[attr-defined]  # The browser itself reports the 401.

        page.tab.get_by_label("Token of this server").fill("open-sesame-please")
        page.button("Log in").click()
        page.shows("a secret")
        page.open("?live=1")
        expect(page.button(re.compile("^Live \\d"))).to_be_visible()
        locked.post([record("another one")])
        page.shows("another one", "a secret")
        assert "open-sesame" not in page.tab.url

        page.button("More").click()
        page.button("Log out").click()
        expect(page.tab.get_by_label("Token of this server")).to_be_visible()
        page.tab.get_by_label("Token of this server").fill("open-sesame-please")
        page.tab.keyboard.press("Enter")
        page.shows("another one", "a secret")
        page.tab.context.clear_cookies()
        page.tab.keyboard.press("t")
        page.tab.keyboard.press("n")
        expect(page.tab.get_by_label("Token of this server")).to_be_visible()
        page.tab.close()
        open_page.errors.clear()  # type: ignore[attr-defined]


@pytest.mark.slow
def test_keyboard_shortcuts_do_what_the_help_says(page: Page, service: str, send: Any) -> None:
    """The list can be read without a mouse, and the documentation lists the same shortcuts."""
    send(record("one", 3), record("two", 2), record("three", 1, trace_id=f"trace-{service}"))
    page.open(f"?service={service}")
    page.shows("three", "two", "one")
    press = page.tab.keyboard.press

    press("j")
    expect(page.row("three")).to_have_attribute("aria-selected", "true")
    press("x")
    expect(page.tab.get_by_role("dialog", name="Trace")).to_be_visible()
    press("Escape")
    expect(page.tab.get_by_role("dialog")).to_have_count(0)
    press("j")
    press("ArrowDown")
    press("k")
    expect(page.row("two")).to_have_attribute("aria-selected", "true")
    press("Enter")
    expect(page.row("two")).to_have_attribute("aria-expanded", "true")
    press("Escape")
    expect(page.row("two")).to_have_attribute("aria-expanded", "false")
    press("/")
    expect(page.tab.get_by_role("searchbox")).to_be_focused()
    page.tab.keyboard.type("t?h")
    expect(page.tab.get_by_role("searchbox")).to_have_value("t?h")
    press("Escape")
    press("?")
    expect(page.tab.get_by_role("dialog", name="Keyboard shortcuts")).to_contain_text("surrounding records")
    assert page.tab.locator(".keys tr").evaluate_all(_KEYS) == _keys_in_the_documentation()


_KEYS = """rows => rows.map((row) => [
    [...row.querySelectorAll("kbd")].map((key) => key.textContent), row.cells[1].textContent
])"""


def _keys_in_the_documentation() -> list[list[Any]]:
    text = (DOCS / "collector-page.md").read_text(encoding="utf-8")
    table = text.split("| Keys | |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| (`.*`) \| (.*) \|$", table, re.MULTILINE)
    return [[keys.replace("`", "").split(), action] for keys, action in rows]


@pytest.mark.slow
def test_setting_to_wrap_long_lines_is_saved(page: Page, service: str, send: Any) -> None:
    """A key wraps long lines, also after a reload."""
    send(record("word " * 200))
    page.open(f"?service={service}")
    before = page.rows.first.bounding_box()["height"]

    page.tab.keyboard.press("w")
    expect(page.tab.locator(".list.wrapped")).to_be_visible()
    assert page.rows.first.bounding_box()["height"] > 2 * before
    page.tab.reload()
    expect(page.tab.locator(".list.wrapped")).to_be_visible()


@pytest.mark.slow
def test_huge_message_is_cut_in_the_line_only(page: Page, service: str, send: Any) -> None:
    """A message of a megabyte does not slow the list down, and the open record shows all of it."""
    send(record("begin " + "x" * 1_000_000 + " end"))
    page.open(f"?service={service}")
    page.tab.keyboard.press("w")
    assert len(page.rows.first.inner_text()) < 10_000

    page.rows.first.click()

    expect(page.tab.locator(".full-message")).to_be_visible()
    assert page.tab.locator(".full-message").inner_text().endswith("x end")


@pytest.mark.usefixtures("many")
@pytest.mark.slow
def test_theme_follows_the_system_until_it_is_set(open_page: Callable[..., Page]) -> None:
    """The page is dark if the system is; the setting overrides that, and is saved."""
    page = open_page(color_scheme="dark")
    page.open()
    assert _luminance(_colour(page, "body", "backgroundColor")) < 0.05

    page.button("More").click()
    page.tab.get_by_label("light", exact=True).check(force=True)
    assert _luminance(_colour(page, "body", "backgroundColor")) > 0.9
    page.tab.reload()
    page.settle()
    assert _luminance(_colour(page, "body", "backgroundColor")) > 0.9


@pytest.mark.slow
def test_narrow_screen_cuts_nothing_off(open_page: Callable[..., Page], service: str, send: Any) -> None:
    """On a phone nothing is cut off at the side, and records can be opened."""
    send(record("word " * 60, customer="Ada", level="ERROR", stack_trace=STACK_TRACE))
    page = open_page(viewport={"width": 360, "height": 740}, has_touch=True)
    page.open(f"?service={service}")

    page.rows.first.tap()
    expect(page.tab.locator(".detail")).to_be_visible()

    sideways = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.tab.evaluate(sideways) == 0
    assert page.tab.eval_on_selector_all(".toolbar button, .toolbar input, .tool, .actions button", _CUT_OFF) == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(open_page: Callable[..., Page], service: str, send: Any, scheme: str) -> None:
    """The colours of levels, times and attributes have a contrast of at least 4.5 to 1, as WCAG AA requires."""
    send(*(record(level, level=level, customer="Ada", error_type="E") for level in _LEVELS))
    page = open_page(color_scheme=scheme)
    page.open(f"?service={service}")
    page.tab.mouse.move(0, 0)

    for selector in (
        ".scroll .item .row .name",
        ".scroll .item .row .time",
        ".pair",
        ".error-type",
        ".scroll .item .service",
        ".total",
    ):
        found = page.tab.eval_on_selector_all(selector, _COLOURS)
        assert found
        for text, behind, name in found:
            assert _contrast(text, behind) >= 4.5, (selector, name, text, behind)


# The colour of the text and of its background as the browser paints them, including transparent layers.
_COLOURS = """(elements) => {
  const paper = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const paint = (colour) => { paper.fillStyle = colour; paper.fillRect(0, 0, 1, 1); };
  const read = () => [...paper.getImageData(0, 0, 1, 1).data].slice(0, 3);
  return elements.map((element) => {
    const chain = [];
    let opacity = 1;
    for (let each = element; each; each = each.parentElement) {
      chain.unshift(getComputedStyle(each).backgroundColor);
      opacity *= Number(getComputedStyle(each).opacity);
    }
    chain.forEach(paint);
    const behind = read();
    paper.globalAlpha = opacity;
    paint(getComputedStyle(element).color);
    paper.globalAlpha = 1;
    return [read(), behind, element.textContent];
  });
}"""


def _luminance(colour: list[int]) -> float:
    parts = [each / 255 for each in colour]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: list[int], other: list[int]) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _colour(page: Page, selector: str, name: str) -> list[int]:
    colour = page.tab.eval_on_selector(selector, f"(element) => getComputedStyle(element).{name}")
    return [int(part) for part in re.findall(r"\d+", colour)[:3]]


@pytest.mark.slow
def test_screen_readers_find_names_and_roles(page: Page, service: str, send: Any) -> None:
    """Each control has a name, each dialog a title, and the list the roles of a grid."""
    send(record("a record", level="ERROR", stack_trace=STACK_TRACE, customer="Ada", trace_id="1"))
    page.open(f"?service={service}&live=1&column=customer&level=ERROR")
    page.row("a record").click()
    for menu in ("Saved queries", "More", re.compile("last hour")):
        page.button(menu).click()
        assert _unnamed(page) == []
        page.tab.keyboard.press("Escape")

    expect(page.tab.get_by_role("grid", name="Log records, newest first").get_by_role("row")).to_have_count(3)
    expect(page.tab.get_by_role("main")).to_have_count(1)
    expect(page.tab.get_by_role("heading", level=1)).to_have_count(1)
    expect(page.tab.get_by_role("search")).to_have_count(1)
    assert page.tab.locator("html").get_attribute("lang") == "en"
    ids = page.tab.eval_on_selector_all("[id]", "(elements) => elements.map((element) => element.id)")
    assert len(ids) == len(set(ids))


def _unnamed(page: Page) -> list[str]:
    """Return the controls without text, label or title."""
    return list(
        page.tab.eval_on_selector_all(
            "button, input, a, [role=dialog], [role=grid], [role=img]",
            """(elements) => elements.filter((element) => !(
                element.getAttribute("aria-label") || element.textContent.trim() || element.labels?.length
            )).map((element) => element.outerHTML)""",
        )
    )


@pytest.mark.usefixtures("many")
@pytest.mark.slow
def test_focus_is_visible_and_restored(page: Page) -> None:
    """The focused element has an outline; a panel gets the focus, and restores it when it is closed."""
    page.open()
    page.button("Pipeline health").focus()
    page.tab.keyboard.press("Tab")
    page.tab.keyboard.press("Shift+Tab")
    assert page.tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"

    page.tab.keyboard.press("Enter")
    expect(page.tab.get_by_role("dialog")).to_be_visible()
    assert page.tab.evaluate("document.activeElement.closest('dialog') !== null")
    page.tab.keyboard.press("Escape")

    expect(page.button("Pipeline health")).to_be_focused()


def test_policy_allows_only_files_of_the_server(collector: Collector) -> None:
    """The content security policy allows only scripts and styles in files of the server, so no record can run one."""
    with urllib.request.urlopen(f"{collector.url}/", timeout=DEADLINE) as answer:
        policy, text = answer.headers["Content-Security-Policy"], answer.read().decode()

    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*\ssrc=)|https?://", text)


def test_browser_revalidates_the_files_of_the_page(collector: Collector) -> None:
    """After an upgrade of the server, no browser uses a script of the version before."""
    with urllib.request.urlopen(f"{collector.url}/static/main.js", timeout=DEADLINE) as answer:
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.headers["Content-Type"].startswith("text/javascript")


def test_vendored_libraries_have_licenses() -> None:
    """Each third-party file is listed, with a license in the same folder."""
    folder = ROOT / "concurrent_log" / "collector" / "web" / "vendored"
    names = {path.name for path in folder.iterdir()}
    listed = set(re.findall(r"`([\w-]+\.(?:js|css))`", (folder / "README.md").read_text()))

    assert {name for name in names if name.endswith((".js", ".css"))} == listed
    assert {f"{name.split('.')[0].split('-')[0]}.LICENSE" for name in listed} <= names

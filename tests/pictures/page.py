"""Take docs/images/page-*.png and demo-*.png: screenshots of the page with the records of a shop.

``python tests/pictures/page.py``
"""

import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))

from support.browser import Collector, Record, chromium, health, monitor_record, record, running_collector, shop
from support.demo_process import open_shop, running_demo

PICTURES = Path(__file__).parents[2] / "docs" / "images"

_WIDE = {"width": 1280, "height": 640}
_PANEL = {"width": 660, "height": 640}
_GROUPS = {"width": 1000, "height": 800}
_SERVICES = {"width": 1180, "height": 800}
_NARROW = {"width": 390, "height": 760}
_MINUTES = 30


def fill(collector: Collector, until: datetime) -> None:
    """Send the records of half an hour, with five minutes of failing payments, and a report of lost records."""
    records = shop(until, timedelta(minutes=_MINUTES), 2400)
    failing = shop(until - timedelta(minutes=8), timedelta(minutes=5), 4000, seed=8)
    records += [each for each in failing if each["level"] == "ERROR" or "postponed" in each["message"]]
    client = {"id": "8f14e45fceea167a5a36dedd4bea2543", "name": "concurrent-log/2.0.0"}
    collector.post(sorted(records, key=lambda each: each["created_at"]), client=client)
    drops = [{"reason": "queue full", "records": 1204, "since": until.timestamp() - 600}]
    common = {"service": "shop-web", "host": "web-2", "environment": "production"}
    collector.post([record("ready", 2, service="shop-web")], common=common, client=client, dropped=drops)


# Per service: its response time in ms, and its outages: minutes ago, length in minutes, status, error.
_WATCHED = {
    "database": (4, [(1010, 14, "unhealthy", "connection refused"), (310, 45, "degraded", "slow (more than 1000 ms)")]),
    "redis": (1, []),
    "payment gateway": (180, [(700, 25, "degraded", "timed out"), (52, 52, "unhealthy", "ReadTimeout: timed out")]),
    "mail": (35, [(1300, 130, "unhealthy", "connection reset by peer"), (640, 9, "degraded", "timed out")]),
}


def watch(collector: Collector, until: datetime) -> None:
    """Send a day of records from three monitors: one is killed, and one stops and starts again."""
    shop_web = {"service": "shop-web", "host": "web-1", "process_id": 4711, "environment": "production"}
    mailer = {"service": "mailer", "host": "mail-1", "environment": "production"}
    inventory = {"service": "inventory", "host": "stock-1", "process_id": 911, "environment": "production"}
    records = [*_reports(until, 1440, 0, list(_WATCHED), shop_web)]
    records += _reports(until, 1440, 500, ["mail", "redis"], {**mailer, "process_id": 804})
    records.append(
        monitor_record(
            until - timedelta(minutes=500), "stopped", health("mail"), health("redis"), **mailer, process_id=804
        )
    )
    records += _reports(until, 499, 0, ["mail", "redis"], {**mailer, "process_id": 1377})
    records += _reports(until, 1440, 97, ["database"], inventory)
    collector.post(records)


def _reports(
    until: datetime, first: int, last: int, names: list[str], program: dict[str, Any]
) -> "list[dict[str, Any]]":
    chance = random.Random(str(program))
    reports = [
        monitor_record(
            until - timedelta(minutes=minute, seconds=-20),
            "report" if minute != first else "started",
            *(_status(chance, until, name, minute) for name in names),
            **program,
        )
        for minute in range(first, last, -5)
    ]
    changes = [
        monitor_record(until - timedelta(minutes=minute), "status", _status(chance, until, name, minute), **program)
        for name in names
        for begin, length, *_ in _WATCHED[name][1]
        for minute in (begin, begin - length)
        if last < minute <= first
    ]
    return reports + changes


def _status(chance: random.Random, until: datetime, name: str, minute: int) -> Record:
    took, outages = _WATCHED[name]
    for begin, length, status, error in outages:
        if begin - length < minute <= begin:
            since = (until - timedelta(minutes=begin)).isoformat()
            fields: dict[str, Any] = {"error": error, "since": since, "consecutive_failures": 1 + begin - minute}
            if status == "unhealthy":
                fields["breaker"] = "open"
            return health(name, status, response_time_ms=took * chance.uniform(6, 9), **fields)
    ended = [begin - length for begin, length, *_ in outages if begin - length >= minute]
    since = (until - timedelta(minutes=min(ended, default=3000))).isoformat()
    return health(name, response_time_ms=took * chance.uniform(0.8, 1.5), since=since, critical=name != "mail")


def take(
    browser: Any,
    collector: Collector,
    name: str,
    query: str,
    *,
    dark: bool = False,
    size: "dict[str, int]" = _WIDE,
    do: Callable[[Any], None] = lambda page: None,
) -> None:
    """Write a screenshot of the page for a query, after calling ``do`` on the page."""
    page = browser.new_page(viewport=size, color_scheme="dark" if dark else "light", timezone_id="UTC")
    page.goto(f"{collector.url}/{query}")
    page.wait_for_selector(".scroll .item .row")
    do(page)
    page.wait_for_timeout(700)  # until animations have ended
    page.screenshot(path=PICTURES / f"page-{name}.png", animations="disabled")
    page.close()


def open_error(page: Any) -> None:
    """Open the newest error."""
    page.locator(".scroll .item .row.level-error").first.click()


def show_trace(page: Any) -> None:
    """Show the trace of the newest error."""
    open_error(page)
    page.get_by_role("button", name="Show trace").click()
    page.wait_for_selector(".step")


def show_groups(page: Any) -> None:
    """Show the groups of similar messages."""
    page.keyboard.press("g")
    page.wait_for_selector(".groups li")


def show_services(page: Any) -> None:
    """Show the services with their health, and the worst segment of a history."""
    page.keyboard.press("s")
    page.locator(".segment.status-unhealthy").first.hover()


def show_health(page: Any) -> None:
    """Show the health panel."""
    page.keyboard.press("h")
    page.wait_for_selector(".figures")


def take_demo(browser: Any, shop: str) -> None:
    """Write screenshots of the demo shop after some orders, and of the trace of the last order."""
    page = open_shop(browser, shop, viewport={"width": 760, "height": 520}, color_scheme="light")
    for number, fruit in enumerate(("An apple", "A durian", "A pear"), start=1):
        page.get_by_role("button", name=fruit).click()
        page.locator(".done li").nth(number - 1).wait_for()
    page.mouse.move(0, 0)
    page.screenshot(path=PICTURES / "demo-shop.png", animations="disabled")
    page.wait_for_timeout(1500)  # until all records are sent
    trace = browser.new_page(viewport={"width": 900, "height": 300}, color_scheme="light", timezone_id="UTC")
    trace.goto(page.locator(".done a").first.get_attribute("href"))
    trace.wait_for_selector(".step")
    trace.wait_for_timeout(700)
    trace.screenshot(path=PICTURES / "demo-trace.png", animations="disabled")


def main() -> None:
    """Take all screenshots."""
    path = shutil.which("chromium")
    if path is None:
        raise SystemExit("chromium is not on the PATH: install it")
    until = datetime.now(timezone.utc)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_collector(Path(folder)) as collector,
        chromium(path) as browser,
    ):
        fill(collector, until)
        watch(collector, until)
        take(browser, collector, "light", "?since=30m")
        take(browser, collector, "record", "?since=30m&level=ERROR", dark=True, do=open_error)
        take(browser, collector, "trace", "?since=30m&level=ERROR", do=show_trace)
        take(browser, collector, "groups", "?since=30m&level=INFO", do=show_groups, size=_GROUPS)
        take(browser, collector, "services", "?since=30m", do=show_services, size=_SERVICES)
        take(browser, collector, "health", "?since=30m", do=show_health, size=_PANEL)
        take(browser, collector, "narrow", "?since=30m", dark=True, size=_NARROW)
        with running_demo(Path(folder)) as (shop_address, _):
            take_demo(browser, shop_address)


if __name__ == "__main__":
    main()

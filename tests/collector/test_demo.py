"""``python -m concurrent_log demo``: the shop, and its records in the collector."""

import importlib.util
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.browser import chromium
from support.deadlines import DEADLINE
from support.demo_process import open_shop, running_demo
from support.processes import environment


@pytest.fixture(scope="module")
def browser(program: Callable[[str], str], require: Callable[[str], None]) -> Iterator[Any]:
    """Return a real browser."""
    require("playwright")
    with chromium(program("chromium")) as found:
        yield found


@pytest.mark.slow
def test_order_is_one_trace_through_page_and_back_end(browser: Any, tmp_path: pathlib.Path) -> None:
    """Each order links to a trace with the records of the page and of the back end, in order."""
    with running_demo(tmp_path) as (shop, _):
        page = open_shop(browser, shop)
        page.get_by_role("button", name="A durian").click()
        link = page.locator(".done a").first
        link.wait_for()
        trace = browser.new_page()
        trace.set_default_timeout(DEADLINE * 1000)
        trace.goto(link.get_attribute("href"))
        give_up_at = time.monotonic() + DEADLINE
        while trace.locator(".step").count() != 4 and time.monotonic() < give_up_at:
            trace.wait_for_timeout(250)
            trace.reload()
            trace.wait_for_selector(".summary, .hint")
        services = trace.locator(".step .service").all_inner_texts()
        messages = trace.locator(".step .message").all_inner_texts()
        page.close()
        trace.close()

    assert services == ["shop-page", "shop-orders", "shop-orders", "shop-page"]
    assert messages == [
        "order for one durian clicked",
        "order for one durian received",
        "order cannot be fulfilled",
        "order rejected",
    ]


@pytest.mark.slow
def test_uncaught_error_is_logged(browser: Any, tmp_path: pathlib.Path) -> None:
    """The button that throws an error in the page causes a FATAL record with the message of the error."""
    with running_demo(tmp_path) as (shop, collector):
        page = open_shop(browser, shop)
        page.get_by_role("button", name="Throw an error in this page").click()
        reader = browser.new_page()
        reader.set_default_timeout(DEADLINE * 1000)
        reader.goto(f"{collector}/?level=FATAL")
        give_up_at = time.monotonic() + DEADLINE
        while not reader.locator(".scroll .item .row").count() and time.monotonic() < give_up_at:
            reader.wait_for_timeout(250)
            reader.keyboard.press("n")
        text = reader.locator(".scroll .item .row").first.inner_text()
        page.close()
        reader.close()

    assert "Cannot read properties of undefined" in text


def test_missing_extra_is_reported_in_one_line(tmp_path: pathlib.Path) -> None:
    """Without the packages of the extra, one line says what to install."""
    if importlib.util.find_spec("fastapi") is None:
        pytest.skip("fastapi is not installed")
    program = (
        "import importlib.util; find = importlib.util.find_spec;"
        "importlib.util.find_spec = lambda name: None if name == 'fastapi' else find(name);"
        "from concurrent_log.__main__ import main; raise SystemExit(main(['demo']))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=DEADLINE)

    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "concurrent-log demo: the server needs fastapi: in a clone, run python -m pip install '.[server]'"
    ]

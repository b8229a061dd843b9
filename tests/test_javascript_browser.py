"""The JavaScript client in a real Chromium: what pages log is stored, once, however they end."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import chromium
from pages import PATIENCE, Site, Tab, numbers, page, wait_for, wait_until
from servers import Server

import concurrent_log

LATER = "{ flushInterval: 600000 }"  # so that only the end of a page sends


@pytest.fixture(scope="module")
def browser(program: Callable[[str], str], require: Callable[[str], None]) -> Iterator[Any]:
    """Return a Chromium that runs."""
    for module in ("playwright", "fastapi", "fastapi_offline", "uvicorn", "msgspec", "sse_starlette"):
        require(module)
    # Playwright switches off that a page is kept while another one is seen, since its own tests do not expect that.
    with chromium(program("chromium"), ignore_default_args=["--disable-back-forward-cache"]) as found:
        yield found


@pytest.fixture
def site() -> Iterator[Site]:
    """Return a site, which passes on to a collector."""
    made = Site()
    yield made
    made.stop()


@pytest.fixture
def server(tmp_path: Path, database: str, site: Site) -> Iterator[Server]:
    """Return a collector, which pages of the site may also ask directly."""
    with Server(tmp_path, database, "--cors-origin", site.url) as started:
        site.port = started.port
        yield started


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    """Return a browser of somebody who was never here before."""
    made = browser.new_context()
    made.set_default_timeout(PATIENCE)
    yield made
    made.close()


@pytest.fixture
def new_tab(context: Any) -> Callable[[], Tab]:
    """Return what makes a tab."""
    return lambda: Tab(context.new_page())


@pytest.fixture
def tab(new_tab: Callable[[], Tab]) -> Tab:
    """Return a tab."""
    return new_tab()


# Where pages come from.


def test_page_of_the_server_itself(tab: Tab, server: Server) -> None:
    """A page at the collector's own address has the client of the same version, and says nothing of addresses."""
    tab.tab.route(f"{server.url}/shop", lambda route: route.fulfill(body=page("log(0, 20);"), content_type="text/html"))
    tab.open(f"{server.url}/shop")

    assert tab.flush()
    assert tab.run("VERSION") == concurrent_log.__version__
    assert numbers(server.database) == list(range(20))
    assert (tab.said, tab.errors) == ([], [])


@pytest.mark.parametrize("token", ["", "secret"])
def test_page_of_another_origin(tab: Tab, site: Site, database: str, tmp_path: Path, token: str) -> None:
    """With `--cors-origin`, a page elsewhere loads the client and sends, also when it is closed; a token is no matter."""
    variables = {"CONCURRENT_LOG_TOKEN": token} if token else {}
    with Server(tmp_path, database, "--cors-origin", site.url, variables=variables) as server:
        options = json.dumps({"token": token or None, "service": "shop"}).replace("null", "undefined")
        tab.open(site.page("log(0, 200);", options, server=server.url))
        is_flushed = tab.flush()
        tab.run("log(200, 250)")
        tab.tab.close()
        wait_for(database, 250)

    assert is_flushed
    assert numbers(database) == list(range(250))
    assert (tab.said, tab.errors) == ([], [])


def test_page_of_an_origin_that_is_not_allowed(tab: Tab, site: Site, tmp_path: Path) -> None:
    """A page that may not send is told once, by a line that names the remedy; nothing is thrown into it."""
    with Server(tmp_path, str(tmp_path / "logs.sqlite3")) as server:
        tab.open(site.page("log(0, 5);", server=server.url))
        tab.wait_for("logger.stats().lastError")
        is_flushed = tab.run("logger.flush(3000)")

    ours = [line for line in tab.said if "concurrent-log" in line]
    assert not is_flushed
    assert len(ours) == 1
    assert f"{server.url}/logs does not take records, which wait" in ours[0]
    assert f"--cors-origin {site.url}" in ours[0]
    assert tab.errors == []
    assert numbers(server.database) == []


# How pages end.


@pytest.mark.parametrize("count", [1, 50, 3000])
@pytest.mark.parametrize("leave", ["close", "away", "reload"])
def test_page_that_ends_at_once(new_tab: Callable[[], Tab], site: Site, server: Server, count: int, leave: str) -> None:
    """What is logged right before a page ends arrives; what is too much for that, the next page of the site sends."""
    tab, other = new_tab(), site.add("/other", "<title>other</title>")
    tab.open(site.page(options=LATER))
    logging = f"log(0, {count})"
    if leave == "close":
        tab.run(logging)
        tab.tab.close()
    elif leave == "away":
        tab.run(f"{logging}; location = {json.dumps(other)}; 0")
        tab.tab.wait_for_url(other)
    else:
        tab.run(f"window.isOld = true; {logging}; location.reload(); 0")
        tab.wait_for("window.ready && !window.isOld")
    if count <= 50:
        wait_for(server.database, count)
    following = new_tab().open(site.page(options=LATER))
    is_flushed = following.flush()
    site.settle()

    assert is_flushed
    assert numbers(server.database) == list(range(count))
    assert following.run("Object.keys(localStorage)") == []


def test_end_while_nobody_answers_is_sent_by_the_next_page(
    new_tab: Callable[[], Tab], site: Site, server: Server
) -> None:
    """Requests that outlive the page fail, too, where the server is away: the next page of the site sends all."""
    site.behave = lambda batch: "drop"
    tab = new_tab().open(site.page("log(0, 50);", LATER))
    tab.tab.close()
    wait_until(lambda: len(site.batches) > 0)
    site.behave = lambda batch: None
    following = new_tab().open(site.page(options=LATER))

    assert following.flush()
    assert numbers(server.database) == list(range(50))
    assert following.run("Object.keys(localStorage)") == []

"""The JavaScript client in a real Chromium: every record of a page is stored once, however the page ends."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import concurrent_log
from support.browser import chromium
from support.browser_pages import PATIENCE, Chromium, Site, Tab, listens, numbers, page, wait_for, wait_until
from support.collector_server import Server
from support.deadlines import DEADLINE
from support.hostile_proxy import Proxy
from support.node import succeed
from support.processes import environment
from support.selection import first_quick

LATER = "{ flushInterval: 600000 }"  # so that only the end of the page sends records


@pytest.fixture(scope="module")
def browser(program: Callable[[str], str], require: Callable[[str], None]) -> Iterator[Any]:
    """Return a running Chromium."""
    for module in ("playwright", "fastapi", "fastapi_offline", "uvicorn", "msgspec", "sse_starlette"):
        require(module)
    # Playwright disables the back-forward cache, which its own tests do not expect.
    with chromium(program("chromium"), ignore_default_args=["--disable-back-forward-cache"]) as found:
        yield found


@pytest.fixture
def site() -> Iterator[Site]:
    """Return a site that forwards to a collector."""
    created = Site()
    yield created
    created.stop()


@pytest.fixture
def server(tmp_path: Path, database: str, site: Site) -> Iterator[Server]:
    """Return a collector on each database, for tests of repeated and divided batches and of restarts."""
    with Server(tmp_path, database, "--cors-origin", site.url) as started:
        site.port = started.port
        yield started


@pytest.fixture
def sqlite(tmp_path: Path, site: Site) -> Iterator[Server]:
    """Return a collector to which pages may also send directly, for tests that do not depend on the database."""
    with Server(tmp_path, str(tmp_path / "logs.sqlite3"), "--cors-origin", site.url) as started:
        site.port = started.port
        yield started


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    """Return a browser profile without history."""
    created = browser.new_context()
    created.set_default_timeout(PATIENCE)
    yield created
    created.close()


@pytest.fixture
def new_tab(context: Any) -> Callable[[], Tab]:
    """Return a function that opens a tab."""
    return lambda: Tab(context.new_page())


@pytest.fixture
def tab(new_tab: Callable[[], Tab]) -> Tab:
    """Return a tab."""
    return new_tab()


# The origin of pages.


@pytest.mark.slow
def test_page_of_the_collector_itself(tab: Tab, sqlite: Server) -> None:
    """A page of the collector loads the client of the same version, and needs no address."""
    tab.tab.route(f"{sqlite.url}/shop", lambda route: route.fulfill(body=page("log(0, 20);"), content_type="text/html"))
    tab.open(f"{sqlite.url}/shop")

    assert tab.flush()
    assert tab.run("VERSION") == concurrent_log.__version__
    assert numbers(sqlite.database) == list(range(20))
    assert (tab.console, tab.errors) == ([], [])


@pytest.mark.parametrize("token", first_quick(["", "a-secret-of-the-tests"]))
def test_page_of_another_origin_sends_with_cors_origin(tab: Tab, site: Site, tmp_path: Path, token: str) -> None:
    """With `--cors-origin`, a page of another origin loads the client and sends, even when it is closed."""
    variables = {"CONCURRENT_LOG_TOKEN": token} if token else {}
    with Server(tmp_path, str(tmp_path / "logs.sqlite3"), "--cors-origin", site.url, variables=variables) as server:
        options = json.dumps({"token": token or None, "service": "shop"}).replace("null", "undefined")
        tab.open(site.page("log(0, 200);", options, server=server.url))
        is_flushed = tab.flush()
        tab.run("log(200, 250)")
        tab.tab.close()
        wait_for(server.database, 250)

    assert is_flushed
    assert numbers(server.database) == list(range(250))
    assert (tab.console, tab.errors) == ([], [])


@pytest.mark.slow
def test_page_of_a_forbidden_origin_is_warned_once(tab: Tab, site: Site, tmp_path: Path) -> None:
    """A page that may not send gets one warning, which names the remedy; nothing is thrown into it."""
    with Server(tmp_path, str(tmp_path / "logs.sqlite3")) as server:
        tab.open(site.page("log(0, 5);", server=server.url))
        tab.wait_for("logger.stats().lastError")
        is_flushed = tab.run("logger.flush(3000)")

    ours = [line for line in tab.console if "concurrent-log" in line]
    assert not is_flushed
    assert len(ours) == 1
    assert f"{server.url}/logs accepts no records, they stay queued" in ours[0]
    assert f"--cors-origin {site.url}" in ours[0]
    assert tab.errors == []
    assert numbers(server.database) == []


# The end of pages.


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 50, 3000])
@pytest.mark.parametrize("leave", ["close", "navigate", "reload"])
def test_records_right_before_the_end_of_a_page_arrive(
    new_tab: Callable[[], Tab], site: Site, sqlite: Server, count: int, leave: str
) -> None:
    """The page sends them itself, or the next page of the site does if they are too many."""
    tab, other = new_tab(), site.add("/other", "<title>other</title>")
    tab.open(site.page(options=LATER))
    logging = f"log(0, {count})"
    if leave == "close":
        tab.run(logging)
        tab.tab.close()
    elif leave == "navigate":
        tab.run(f"{logging}; location = {json.dumps(other)}; 0")
        tab.tab.wait_for_url(other)
    else:
        tab.run(f"window.isOld = true; {logging}; location.reload(); 0")
        tab.wait_for("window.ready && !window.isOld")
    if count <= 50:
        wait_for(sqlite.database, count)
    following = new_tab().open(site.page(options=LATER))
    is_flushed = following.flush()
    site.settle()

    assert is_flushed
    assert numbers(sqlite.database) == list(range(count))
    assert following.run("Object.keys(localStorage)") == []


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["drop", (200, {"Content-Type": "text/html"}), (204, {})])
def test_next_page_sends_what_the_server_missed(
    new_tab: Callable[[], Tab], site: Site, sqlite: Server, answer: Any
) -> None:
    """If the server is unreachable, or a login page answers, the next page of the site sends all records."""
    site.behave = lambda batch: answer
    tab = new_tab().open(site.page("log(0, 50);", LATER))
    tab.tab.close()
    wait_until(lambda: len(site.batches) > 0)
    site.behave = lambda batch: None
    following = new_tab().open(site.page(options=LATER))

    assert following.flush()
    assert numbers(sqlite.database) == list(range(50))
    assert following.run("Object.keys(localStorage)") == []


@pytest.mark.slow
def test_redirect_at_the_end_of_a_page_is_not_followed(new_tab: Callable[[], Tab], site: Site, sqlite: Server) -> None:
    """Another origin does not receive the token that is in the body."""
    other = Site(port=sqlite.port)
    site.behave = lambda batch: (307, {"Location": f"{other.url}/logs"})
    tab = new_tab().open(site.page("log(0, 50);", "{ flushInterval: 600000, token: 'a-secret' }"))
    tab.tab.close()
    wait_until(lambda: len(site.batches) > 0)
    site.settle()
    site.behave = lambda batch: None
    following = new_tab().open(site.page(options=LATER))
    is_flushed = following.flush()
    other.stop()

    assert is_flushed
    assert other.batches == []
    assert numbers(sqlite.database) == list(range(50))


@pytest.mark.slow
def test_two_tabs_send_the_same_stored_batches_once(new_tab: Callable[[], Tab], site: Site, server: Server) -> None:
    """Two pages that open at once both send the batches of an earlier page, and the server stores them once."""
    site.behave = lambda batch: "drop"
    new_tab().open(site.page("log(0, 2000);", LATER)).tab.close()
    wait_until(lambda: len(site.batches) > 0)
    site.behave = lambda batch: "hold"
    tabs = [new_tab().open(site.page(options=LATER)) for _ in range(2)]
    site.held.set()
    are_flushed = [tab.flush() for tab in tabs]
    site.settle()

    assert are_flushed == [True, True]
    assert numbers(server.database) == list(range(2000))
    assert tabs[0].run("Object.keys(localStorage)") == []


@pytest.mark.slow
def test_invalid_stored_batches_are_removed(tab: Tab, site: Site, sqlite: Server) -> None:
    """A damaged, foreign or expired batch affects no other; keys of other programs stay."""
    address = site.page(options=LATER)
    prefix = f"concurrent-log {site.url}/logs "
    whole = {"id": "whole", "records": ['{"message":"record 0"}'], "drops": [], "partOf": []}
    texts = {
        "torn": '{"id":"torn","records":["{\\"mess',
        "null": "null",
        "list": "[]",
        "numbers": json.dumps({**whole, "id": "numbers", "records": [1, 2]}),
        "other": json.dumps({**whole, "keptAt": 0}),
        "old": json.dumps({**whole, "id": "old", "keptAt": 0}),
    }
    tab.open(site.add("/empty", "<script>window.ready = true</script>"))
    tab.run(f"for (const [key, text] of Object.entries({json.dumps(texts)})) localStorage[{prefix!r} + key] = text")
    tab.run(f"localStorage[{prefix!r} + 'whole'] = JSON.stringify({{...{json.dumps(whole)}, keptAt: Date.now()}})")
    tab.run("localStorage.theirs = 'kept'")
    tab.open(address)
    is_flushed = tab.flush()

    assert numbers(sqlite.database) == [0]
    assert is_flushed
    assert tab.run("Object.keys(localStorage)") == ["theirs"]
    assert tab.run("logger.stats().dropped") == {"kept for too long": 1}
    assert tab.errors == []


@pytest.mark.slow
def test_page_without_storage_sends_its_records(tab: Tab, site: Site, tmp_path: Path) -> None:
    """A frame without an origin has no storage: its records still arrive, also when it ends."""
    with Server(tmp_path, str(tmp_path / "logs.sqlite3"), "--cors-origin", "*") as server:
        site.page("log(0, 20); addEventListener('message', () => log(20, 40));", LATER, "/frame", server.url)
        tab.open(
            site.add(
                "/",
                '<iframe src="/frame" sandbox="allow-scripts" onload="window.ready = true"></iframe>',
            )
        )
        frame = tab.tab.frames[1]
        frame.wait_for_function("window.ready")
        is_flushed = frame.evaluate("logger.flush(100000)")
        frame.evaluate("log(20, 40)")
        tab.run("document.querySelector('iframe').remove()")
        wait_for(server.database, 40)

    assert is_flushed
    assert numbers(server.database) == list(range(40))
    assert tab.errors == []


# Pages that are hidden and shown again.


@pytest.mark.slow
def test_page_from_the_back_forward_cache_continues(tab: Tab, site: Site, sqlite: Server) -> None:
    """A page that the browser restores from its cache continues with the same client, and duplicates nothing."""
    other = site.add("/other", "<title>other</title><script>window.ready = true</script>")
    tab.open(site.page("addEventListener('pageshow', (event) => (window.isKept = event.persisted));", LATER))
    for number in range(3):
        tab.run(f"log({number * 500}, {number * 500 + 500})")
        tab.open(other)
        tab.run("void setTimeout(() => history.back())")
        tab.wait_for("window.isKept")
        tab.run("window.isKept = false")
    is_flushed = tab.flush()
    site.settle()

    assert is_flushed
    assert numbers(sqlite.database) == list(range(1500))
    assert tab.run("Object.keys(localStorage)") == []


@pytest.fixture
def own_browser(program: Callable[[str], str], tmp_path: Path) -> Callable[[str], Chromium]:
    """Return a function that starts a browser at an address, always with the same profile."""
    return lambda address: Chromium(program("chromium"), tmp_path / "profile", address)


@pytest.mark.slow
def test_hidden_page_sends_at_once(own_browser: Callable[[str], Chromium], site: Site, sqlite: Server) -> None:
    """A hidden tab has sent its records; shown again and then closed, each record is stored once."""
    script = """
        log(0, 100);
        document.addEventListener("visibilitychange", () => {
          if (document.visibilityState !== "visible") return;
          log(100, 200);
          document.title = "seen";
        });
    """
    with own_browser(site.page(script, LATER)) as chrome:
        chrome.hide()
        wait_for(sqlite.database, 100)
        chrome.show()
        wait_until(lambda: chrome.title() == "seen")
        chrome.close()
        wait_for(sqlite.database, 200)
        site.settle()

    assert numbers(sqlite.database) == list(range(200))


@pytest.mark.slow
def test_browser_that_is_killed_while_a_page_is_hidden(
    own_browser: Callable[[str], Chromium], site: Site, sqlite: Server
) -> None:
    """The records of a hidden page are stored once, even if the browser is killed and started again."""
    address = site.page("log(0, 100);", LATER)
    with own_browser(address) as chrome:
        chrome.hide()
        wait_for(sqlite.database, 100)
    site.page("logger.info('again'); await logger.flush(); document.title = 'seen';", LATER)
    with own_browser(address) as chrome:
        wait_until(lambda: chrome.title() == "seen")
    site.settle()

    assert numbers(sqlite.database) == list(range(100))


@pytest.mark.slow
@pytest.mark.parametrize("first", ["whole", "parts"])
def test_batch_in_flight_while_the_page_is_hidden_is_stored_once(
    own_browser: Callable[[str], Chromium], site: Site, server: Server, first: str
) -> None:
    """The worker's request and the keepalive requests have the same records: each is stored once, in any order."""

    def behave(batch: dict[str, Any]) -> str | None:
        is_part = "part_of" in batch
        return "hold" if is_part == (first == "whole") else None

    site.behave = behave
    script = "log(0, 400); while (!logger.stats().acknowledged) await new Promise((resolve) => setTimeout(resolve, 5));"
    options = "{ flushInterval: 20, enableCompression: false }"
    with own_browser(site.page(f"{script} await logger.flush(); document.title = 'seen';", options)) as chrome:
        if first == "parts":
            wait_until(lambda: site.running > 0)
            chrome.hide()
            wait_until(lambda: sum("part_of" in batch for batch, _ in site.batches) > 0)
        else:
            wait_until(lambda: len(site.batches) > 0)
            chrome.hide()
        site.held.set()
        chrome.show()
        wait_until(lambda: chrome.title() == "seen")
        site.settle()

    assert numbers(server.database) == list(range(400))
    assert any(status == 413 for _, status in site.batches) == (first == "parts")


# Network failures.


def test_records_logged_offline_are_sent_later(tab: Tab, site: Site, sqlite: Server) -> None:
    """Records that are logged offline stay queued, even after a reload, and are sent when the network is back."""
    tab.open(site.page(options="{ flushInterval: 20 }"))
    tab.run("log(0, 100)")
    tab.tab.context.set_offline(True)
    tab.run("log(100, 200)")
    tab.wait_for("logger.stats().lastError")
    tab.run("log(200, 300)")
    tab.tab.context.set_offline(False)
    is_flushed = tab.flush()

    assert is_flushed
    assert numbers(sqlite.database) == list(range(300))
    assert tab.errors == []


@pytest.mark.slow
def test_next_page_sends_the_records_of_a_page_closed_offline(
    context: Any, new_tab: Callable[[], Tab], site: Site, sqlite: Server
) -> None:
    """A page that ends offline stores its records for the next page."""
    tab = new_tab().open(site.page(options=LATER))
    context.set_offline(True)
    tab.run("log(0, 500)")
    tab.tab.close()
    context.set_offline(False)
    following = new_tab().open(site.page(options=LATER))

    assert following.flush()
    assert numbers(sqlite.database) == list(range(500))


@pytest.mark.slow
def test_restarting_server_neither_loses_nor_duplicates_records(tab: Tab, site: Site, server: Server) -> None:
    """A server that is killed and started again under load loses and duplicates nothing."""
    script = "let i = 0; window.stop = setInterval(() => { log(i, i + 5); i += 5; }, 5); window.count = () => i;"
    tab.open(site.page(script, "{ flushInterval: 20, batchSize: 100 }"))
    for number in range(3):
        tab.wait_for(f"count() > {500 * (number + 1)}")
        server.kill()
        tab.wait_for("!logger.stats().healthy")
        server.start()
    count = tab.run("clearInterval(stop), count()")
    is_flushed = tab.flush()

    assert is_flushed
    assert numbers(server.database) == list(range(count))
    assert tab.run("logger.stats().dropped") == {}
    assert tab.errors == []


@pytest.mark.slow
def test_unreliable_network_neither_loses_nor_duplicates_records(tab: Tab, site: Site, server: Server) -> None:
    """With requests and responses lost, truncated, duplicated or delayed, each record is stored once."""
    proxy = Proxy([server.port], seed=7, client_timeout=1.0, limit=150)
    site.batches_port = int(proxy.url.rpartition(":")[2])
    script = """
        for (let i = 0; i < 3000; i++) logger.info(`record ${i}`, { source: "page", number: i });
    """
    tab.open(site.page(script, "{ batchSize: 200, timeout: 1000 }"))
    is_flushed = tab.run("logger.flush(100000)")
    proxy.wait_until_idle(DEADLINE)
    proxy.stop()

    assert is_flushed
    assert numbers(server.database) == list(range(3000))
    assert proxy.problems == []
    assert tab.errors == []


@pytest.mark.slow
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_respected(tab: Tab, site: Site, sqlite: Server, status: int) -> None:
    """The pause of `Retry-After` is respected, even if the page is shown again meanwhile."""
    moments: list[float] = []

    def behave(batch: dict[str, Any]) -> "tuple[int, dict[str, str]] | None":
        moments.append(time.monotonic())
        return (status, {"Retry-After": "1"}) if len(moments) == 1 else None

    site.behave = behave
    tab.open(site.page("log(0, 10);", "{ flushInterval: 10 }"))
    tab.wait_for("logger.stats().lastError")
    tab.run("dispatchEvent(new Event('pageshow'))")
    is_flushed = tab.flush()

    assert is_flushed
    assert moments[1] - moments[0] >= 1
    assert numbers(sqlite.database) == list(range(10))


# Restricted pages.


@pytest.mark.slow
@pytest.mark.parametrize(
    "policy",
    [
        "script-src 'self' 'unsafe-inline'; worker-src 'none'; connect-src 'self'",
        "script-src 'self' 'unsafe-inline'; require-trusted-types-for 'script'; trusted-types 'none'",
        "default-src 'self'; script-src 'self' 'unsafe-inline'",
    ],
)
def test_policy_without_workers_sends_from_the_page(tab: Tab, site: Site, sqlite: Server, policy: str) -> None:
    """If a policy forbids workers, requests are sent from the page's own thread, and nothing is thrown."""
    tab.open(site.page("log(0, 200);", "{}", Content_Security_Policy=policy))
    is_flushed = tab.flush()
    tab.run("log(200, 250)")
    tab.tab.close()
    wait_for(sqlite.database, 250)

    assert is_flushed
    assert numbers(sqlite.database) == list(range(250))
    assert tab.errors == []
    assert [line for line in tab.console if "concurrent-log:" in line] == []


@pytest.mark.slow
def test_policy_that_forbids_the_collector_is_warned_about_once(tab: Tab, site: Site, sqlite: Server) -> None:
    """If a policy forbids requests to the collector, the page gets one warning, and no exception."""
    policy = "script-src 'self' 'unsafe-inline' blob:; connect-src 'none'"
    tab.open(site.page("log(0, 10);", "{ flushInterval: 10 }", Content_Security_Policy=policy))
    is_flushed = tab.run("logger.flush(3000)")
    tab.run("dispatchEvent(new Event('pagehide'))")

    assert not is_flushed
    assert len([line for line in tab.console if "concurrent-log:" in line]) == 1
    assert tab.errors == []
    assert tab.run("logger.stats().queued") == 10


@pytest.mark.slow
def test_client_in_a_worker_of_the_page(tab: Tab, site: Site, sqlite: Server) -> None:
    """A client works in a worker, which has no document."""
    program = """
        import { createLogClient } from "/client.js";
        const logger = createLogClient();
        for (let i = 0; i < 1200; i++) logger.info(`record ${i}`);
        postMessage(await logger.close());
    """
    site.add("/worker.js", program, "text/javascript")
    script = "new Worker('/worker.js', { type: 'module' }).onmessage = ({ data }) => (window.isClosed = data);"
    tab.open(site.page(script))
    tab.wait_for("'isClosed' in window")

    assert tab.run("isClosed")
    assert numbers(sqlite.database) == list(range(1200))
    assert (tab.console, tab.errors) == ([], [])


# Uncaught errors.


def test_global_error_handler_logs_errors_and_rejections(tab: Tab, site: Site, sqlite: Server) -> None:
    """Errors and rejections are logged, and still in the console; those of other origins have no details."""
    elsewhere = site.add("/broken.js", "throw new Error('secret')", "text/javascript")
    tab.open(site.page(options="{ enableGlobalErrorHandler: true }"))
    tab.run("void setTimeout(() => { throw new RangeError('too far'); })")
    tab.run("void Promise.reject(new TypeError('promised'))")
    tab.run("void Promise.reject(Object.create(null))")
    tab.run(
        f"new Promise((done) => {{ const s = document.createElement('script'); s.onload = done;"
        f" s.src = {elsewhere.replace('localhost', '127.0.0.1')!r}; document.body.append(s); }})"
    )
    tab.wait_for("logger.stats().queued + logger.stats().acknowledged >= 4")
    is_flushed = tab.flush()
    records = sqlite.get("/logs?order=asc")["logs"]

    assert is_flushed
    assert sorted(each["message"] for each in records) == [
        "Script error.",
        "promised",
        "too far",
        "unhandled rejection: {}",
    ]
    assert {each["level"] for each in records} == {"FATAL"}
    assert not any("/client/" in each.get("file_path", "") for each in records)
    assert [error for error in tab.errors if "too far" in error]
    assert [error for error in tab.errors if "promised" in error]


@pytest.mark.slow
def test_close_removes_only_its_own_listeners(tab: Tab, site: Site, sqlite: Server) -> None:
    """After `close`, errors are no longer logged, and other listeners are still called."""
    script = """
        window.theirs = 0;
        addEventListener("error", () => (window.theirs += 1));
        logger.info("before");
        await logger.close();
    """
    tab.open(site.page(script, "{ enableGlobalErrorHandler: true }"))
    tab.run("void setTimeout(() => { throw new RangeError('too far'); })")
    tab.wait_for("window.theirs")

    assert tab.run("logger.stats().queued") == 0
    assert [each["message"] for each in sqlite.get("/logs")["logs"]] == ["before"]


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["", "worker-src 'none'"])
def test_page_that_logs_its_console_and_requests_causes_no_loop(
    tab: Tab, site: Site, sqlite: Server, policy: str
) -> None:
    """A page whose `console.warn` and `fetch` log to the client does not log about its own log requests without end."""
    script = """
        const { warn } = console;
        console.warn = (...line) => { logger.warn(line[0]); warn(...line); };
        const { fetch } = window;
        window.fetch = (...request) => { logger.debug(`fetch ${request[0]}`); return fetch(...request); };
        log(0, 10);
        await logger.flush();
        await new Promise((resolve) => setTimeout(resolve, 300));
    """
    site.behave = lambda batch: (401, {}) if len(site.batches) < 2 else None
    tab.open(site.page(script, "{ flushInterval: 10 }", Content_Security_Policy=policy))

    assert tab.run("logger.stats().queued") == 0
    assert numbers(sqlite.database) == list(range(10))
    assert sqlite.get("/logs?q=fetch")["logs"] == []
    assert [line for line in tab.console if "concurrent-log" in line]


# The contents of records.


@pytest.mark.slow
def test_record_has_the_call_site(tab: Tab, site: Site, sqlite: Server) -> None:
    """Records have the URL, line and function of the logging call, anywhere in a page."""
    program = """
export async function later(logger) {
  await null;
  logger.info("async");
}
export class Shop {
  sell(logger) { logger.info("method"); }
  static { this.open = (logger) => logger.info("arrow"); }
}
"""
    module = site.add("/shop.js", program, "text/javascript")
    script = f"""
        const {{ later, Shop }} = await import({module!r});
        await later(logger); new Shop().sell(logger); Shop.open(logger);
        function inline() {{ logger.info("inline"); }}
        inline();
        eval("(function evaluated() {{ logger.info('eval'); }})()");
        const button = document.body.appendChild(document.createElement("button"));
        button.setAttribute("onclick", "logger.info('handler')");
        button.click();
    """
    address = site.page(script)
    tab.open(address)
    is_flushed = tab.flush()
    found = {each["message"]: each for each in sqlite.get("/logs")["logs"]}
    places = {name: (each["file_path"], each["line_number"], each["function_name"]) for name, each in found.items()}

    assert is_flushed
    assert places["async"] == (module, 4, "later")
    assert places["method"] == (module, 7, "Shop.sell")
    assert places["arrow"] == (module, 8, "Shop.open")
    assert places["inline"][::2] == (address, "inline")
    assert places["handler"][::2] == (address, "HTMLButtonElement.onclick")
    assert places["eval"][0] == address


@pytest.mark.slow
def test_values_that_cannot_be_rendered_affect_nothing_else(tab: Tab, site: Site, sqlite: Server) -> None:
    """Nodes, windows, functions, circular references, proxies and throwing getters do no harm, and are not changed."""
    script = """
        const circle = { name: "circle" };
        circle.itself = circle;
        const element = document.createElement("p");
        element.id = "price";
        element.__reactFiber$x = { return: circle, stateNode: element };
        const { proxy, revoke } = Proxy.revocable({}, {});
        revoke();
        const throwing = { get x() { throw new Error("no"); } };
        const values = { circle, element, window, document, proxy, throwing, f() {}, event: new Event("click"),
          big: 5n, symbol: Symbol("s"),
          frame: document.body.appendChild(document.createElement("iframe")).contentWindow,
          handler: new Proxy({}, { get() { throw 1; }, ownKeys() { throw 2; }, getPrototypeOf() { throw 3; } }) };
        Object.freeze(values);
        const before = Object.keys(circle).join();
        for (const [name, value] of Object.entries(values)) logger.info(`record ${name}`, { value });
        for (const [name, value] of Object.entries(values)) logger.info(value, value);
        logger.info("record all", values);
        window.isSame = before === Object.keys(circle).join() && circle.itself === circle;
    """
    tab.open(site.page(script))
    is_flushed = tab.flush()
    found = {each["message"]: each for each in sqlite.get("/logs?limit=100")["logs"]}

    assert is_flushed
    assert tab.errors == []
    assert tab.run("isSame")
    assert tab.run("logger.stats().dropped") == {}
    assert len(sqlite.get("/logs?limit=100")["logs"]) == 25
    assert found["record element"]["attributes"]["value"] == '<p id="price">'
    assert found["record window"]["attributes"]["value"] == "[object Window]"
    assert found["record circle"]["attributes"]["value"] == {"name": "circle", "itself": "[circular]"}


# Bundles.

APP = """
import { createLogClient } from "concurrent-log";
const logger = createLogClient();
class Shop { sell() { for (let i = 0; i < 300; i++) logger.info(`record ${i}`); } }
new Shop().sell();
Object.assign(window, { logger, ready: true });
"""
INDEX = '<!doctype html><title>shop</title><link rel="icon" href="data:,"><script type="module" src="{}"></script>'


@pytest.mark.slow
@pytest.mark.parametrize("more", ["", "--minify", "--keep-names", "--target=es2017 --minify", "--format=iife"])
def test_bundle_by_esbuild_works(tab: Tab, site: Site, sqlite: Server, shop: Path, tools: Path, more: str) -> None:
    """A page whose program esbuild has bundled into one file sends its records."""
    (shop / "main.js").write_text(APP)
    esbuild = os.fspath(tools / "node_modules" / ".bin" / "esbuild")
    succeed([esbuild, "main.js", "--bundle", "--outfile=bundled.js", "--log-level=error", *more.split()], shop)
    site.add("/bundled.js", (shop / "bundled.js").read_text(), "text/javascript")
    tab.open(site.add("/", INDEX.format("/bundled.js")))
    is_flushed = tab.flush()

    assert is_flushed
    assert numbers(sqlite.database) == list(range(300))
    assert (tab.console, tab.errors) == ([], [])


@pytest.mark.slow
def test_build_by_vite_works(tab: Tab, site: Site, sqlite: Server, shop: Path, tools: Path) -> None:
    """A page that Vite has built for production sends its records."""
    (shop / "main.js").write_text(APP)
    (shop / "index.html").write_text(INDEX.format("/main.js"))
    succeed([os.fspath(tools / "node_modules" / ".bin" / "vite"), "build", "--logLevel=error"], shop)
    for file in (shop / "dist" / "assets").iterdir():
        site.add(f"/assets/{file.name}", file.read_text(), "text/javascript")
    tab.open(site.add("/", (shop / "dist" / "index.html").read_text()))
    is_flushed = tab.flush()

    assert is_flushed
    assert numbers(sqlite.database) == list(range(300))
    assert (tab.console, tab.errors) == ([], [])


# Traces.

BACK_END = """
import logging, sys
from fastapi import FastAPI
from concurrent_log.collector import CollectorHandler, RequestContextMiddleware

handler = CollectorHandler(sys.argv[1], service="back-end")
logger = logging.getLogger("shop")
logger.setLevel("INFO")
logger.addHandler(handler)
app = FastAPI()
app.add_middleware(RequestContextMiddleware)


@app.get("/api")
def api():
    logger.info("requested")
    handler.flush(20)
    return {}


import uvicorn
uvicorn.run(app, port=int(sys.argv[2]), log_level="warning")
"""


@pytest.mark.slow
def test_page_and_back_end_share_a_trace(
    tab: Tab, new_tab: Callable[[], Tab], site: Site, sqlite: Server, tmp_path: Path
) -> None:
    """The records of a page and those of the back end for its request have one trace id, and one view shows them."""
    (tmp_path / "back_end.py").write_text(BACK_END)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "back_end.py", sqlite.url, str(port)]
    with subprocess.Popen(command, cwd=tmp_path, env=environment()) as process:
        try:
            wait_until(lambda: listens(port))
            site.ports["/api"] = port
            script = """
                const step = logger.withTrace();
                step.info("ordering");
                await fetch("/api", { headers: step.headers });
                step.info("ordered");
                window.trace = step.traceId;
            """
            tab.open(site.page(script, '{ service: "page" }'))
            is_flushed = tab.flush()
            trace = tab.run("trace")
        finally:
            process.terminate()
    viewer = new_tab().tab
    viewer.goto(f"{sqlite.url}/?trace={trace}")
    steps = viewer.get_by_role("dialog", name="Trace").locator(".step .message")
    steps.nth(2).wait_for()
    shown = steps.all_text_contents()
    found = sqlite.get(f"/logs?trace_id={trace}&order=asc")["logs"]

    assert is_flushed
    assert [(each["service"], each["message"]) for each in found] == [
        ("page", "ordering"),
        ("back-end", "requested"),
        ("page", "ordered"),
    ]
    assert shown == ["ordering", "requested", "ordered"]

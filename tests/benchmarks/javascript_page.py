"""Figure: the JavaScript client in a page: how long logging blocks the page."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from collector_stack import Database, Server
from measuring import Duel, Figure, MeasuringError, Work, serve

_FRAME = 16.0  # milliseconds between two pictures of a page
_PAGE = '<!doctype html><title>shop</title><link rel="icon" href="data:,">'

# A message to itself measures how long the page is blocked. A timer does not: browsers let it wait for 4 ms.
_LOG = """async ([records, atOnce]) => {
  const { createLogClient } = await import("/client.js");
  window.logger ??= createLogClient();
  let longest = 0;
  let before = performance.now();
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    longest = Math.max(longest, performance.now() - before);
    before = performance.now();
    port2.postMessage(null);
  };
  port2.postMessage(null);
  for (let i = 0; i < records; i += atOnce) {
    for (let n = i; window.isClient && n < i + atOnce; n++)
      logger.info("order accepted", { number: n, customer: "Ada", amount: 9.5 });
    await new Promise((resolve) => setTimeout(resolve));
  }
  if (window.isClient) await logger.flush(60000);
  port1.close();
  return longest;
}"""


def figure(quick: bool) -> Figure:
    """Return the figure: the longest pause of a page, beside a frame and a page that logs nothing."""
    return Figure(
        name="javascript-page",
        title="The JavaScript client in a page",
        text="Chromium, our server and PostgreSQL run together on this machine. A page logs 50,000 records with "
        "three fields, 100 or 250 in each of its tasks, and waits until `flush()` reports that all are "
        "committed. The figure is the longest time in which the page did not process a message to itself, and "
        "therefore could not draw or respond. The other page does the same without logging, which shows the "
        "share of the machine.",
        duels=[
            _duel(quick, 100, "16 ms, a frame", "frame", bar=1.0, goal=0.5),
            _duel(quick, 250, "16 ms, a frame", "frame"),
            _duel(quick, 100, "a page that logs nothing", "nothing"),
        ],
    )


def _duel(
    quick: bool, at_once: int, against: str, theirs: str, bar: float | None = None, goal: float | None = None
) -> Duel:
    shared = {"records": 1_000 if quick else 50_000, "at_once": at_once}
    works = (Work("javascript_page.py", {**shared, "way": way}) for way in ("client", theirs))
    title = f"longest pause of a page, {at_once} records in a task"
    return Duel(title, against, "ms", *works, 1 if quick else 5, 1 if quick else 3, bar, goal)


# The child.


def _prepare(folder: str, way: str, records: int, at_once: int) -> Callable[[], dict[str, Any]]:
    if way == "frame":
        return lambda: {"value": _FRAME}
    database = Database()
    server = Server(database.url, folder)
    browser = ThreadPoolExecutor(1)  # Playwright has an event loop, and the database needs another one.
    tab = browser.submit(_tab, server.url, way).result()

    def one_round() -> dict[str, Any]:
        before = database.count()
        found = browser.submit(tab.evaluate, _LOG, [records, at_once]).result()
        lost = before + records - database.count() if way == "client" else 0
        return {"value": found, "lost": lost}

    return one_round


def _tab(url: str, way: str) -> Any:
    """Return a page of the server's own address in a browser, which ends with this process."""
    path = shutil.which("chromium")
    if path is None:
        raise MeasuringError("chromium is not on the PATH: install it")
    from playwright.sync_api import sync_playwright

    browser = sync_playwright().start().chromium.launch(executable_path=path, args=["--no-sandbox"])
    tab = browser.new_page()
    tab.route(f"{url}/page", lambda route: route.fulfill(body=_PAGE, content_type="text/html"))
    tab.goto(f"{url}/page")
    tab.evaluate("(way) => (window.isClient = way === 'client')", way)
    return tab


if __name__ == "__main__":
    serve(_prepare)

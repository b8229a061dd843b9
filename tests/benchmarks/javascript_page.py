"""Figure: the JavaScript client in a page: for how long the page stands still while it logs."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from collecting import Database, Server
from measuring import Duel, Figure, MeasuringError, Work, serve

_FRAME = 16.0  # milliseconds between two pictures of a page
_AT_ONCE = 250  # records of one task
_PAGE = '<!doctype html><title>shop</title><link rel="icon" href="data:,">'

# Each task asks for the next one when it begins, so that what lies between two is all that the page had to wait for.
_LOG = """async ([records, atOnce]) => {
  const { createLogClient } = await import("/client.js");
  window.logger ??= createLogClient();
  const log = (from) => {
    for (let i = from; i < from + atOnce; i++)
      logger.info("order accepted", { number: i, customer: "Ada", amount: 9.5 });
  };
  let longest = 0;
  let before = performance.now();
  const pause = async () => {
    await new Promise((resolve) => setTimeout(resolve));
    longest = Math.max(longest, performance.now() - before);
    before = performance.now();
  };
  for (let i = 0; i < records; i += atOnce) {
    if (window.isClient) log(i);
    await pause();
  }
  let isDone = !window.isClient;
  if (window.isClient) logger.flush(60000).then(() => (isDone = true));
  while (!isDone) await pause();
  return longest;
}"""


def figure(quick: bool) -> Figure:
    """Return the figure: the longest pause of a page, beside a frame and a page that logs nothing."""
    return Figure(
        name="javascript-page",
        title="The JavaScript client in a page",
        text="Chromium, our server and PostgreSQL run on this machine together. A page logs 50,000 records with three "
        "fields, 250 in each of its tasks, and waits until `flush()` says that all are committed. What counts is the "
        "longest time between two tasks of the page: what it could not draw or answer in, for whatever reason. The "
        "other page does the same tasks with nothing to log: what the machine itself takes.",
        duels=[
            _duel(quick, "16 ms, a frame", "frame", bar=1.0, goal=0.5),
            _duel(quick, "a page that logs nothing", "nothing"),
        ],
    )


def _duel(quick: bool, against: str, theirs: str, bar: float | None = None, goal: float | None = None) -> Duel:
    records = 1_000 if quick else 50_000
    works = (Work("javascript_page.py", {"way": way, "records": records}) for way in ("client", theirs))
    return Duel("longest pause of a page", against, "ms", *works, 1 if quick else 5, 1 if quick else 3, bar, goal)


# The child.


def _prepare(folder: str, way: str, records: int) -> Callable[[], dict[str, Any]]:
    if way == "frame":
        return lambda: {"value": _FRAME}
    database = Database()
    server = Server(database.url, folder)
    browser = ThreadPoolExecutor(1)  # Playwright has an event loop, and the database needs another one.
    tab = browser.submit(_tab, server.url, way).result()

    def one_round() -> dict[str, Any]:
        before = database.count()
        found = browser.submit(tab.evaluate, _LOG, [records, _AT_ONCE]).result()
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

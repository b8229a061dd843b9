"""Running the demo of the collector, a shop that logs to it, as a process."""

import contextlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.deadlines import DEADLINE
from support.processes import environment


@contextlib.contextmanager
def running_demo(folder: Path) -> Iterator[tuple[str, str]]:
    """Run the demo, and yield the addresses of the shop and of the collector. SIGTERM must end it with status 0."""
    output = folder / "demo.txt"
    command = [sys.executable, "-m", "concurrent_log", "demo", "--port", "0", "--shop-port", "0"]
    with output.open("w") as sink:
        process = subprocess.Popen(command, cwd=folder, env=environment(), stdout=sink, stderr=sink)
    try:
        yield _addresses(process, output)
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) == 0, output.read_text()
    finally:
        process.kill()
        process.wait(DEADLINE)


def _addresses(process: "subprocess.Popen[bytes]", output: Path) -> tuple[str, str]:
    deadline = time.monotonic() + DEADLINE
    while not (found := re.search(r"Shop: +(\S+)/\nCollector: +(\S+)/\n", output.read_text())):
        assert process.poll() is None, f"the demo ended:\n{output.read_text()}"
        assert time.monotonic() < deadline, f"the demo did not start:\n{output.read_text()}"
        time.sleep(0.02)
    return found[1], found[2]


def open_shop(browser: Any, shop: str, **options: Any) -> Any:
    """Open the page of the shop, and return it when it is ready. Its back end may take a moment to start."""
    page = browser.new_page(**options)
    page.set_default_timeout(DEADLINE * 1000)
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            page.goto(f"{shop}/")
            break
        except Exception:
            if time.monotonic() > deadline:
                raise
            page.wait_for_timeout(50)
    page.wait_for_selector("html[data-ready]")
    return page

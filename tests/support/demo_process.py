"""The demo of the collector as a process of its own: a shop, and what it logs."""

import contextlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.processes import environment

DEADLINE = 40.0  # seconds for what takes one or two on an idle machine


@contextlib.contextmanager
def demonstrating(folder: Path) -> Iterator[tuple[str, str]]:
    """Run the demo, and yield the addresses of the shop and of the collector; it must end when it is told to."""
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
    give_up_at = time.monotonic() + DEADLINE
    while not (found := re.search(r"The shop: +(\S+)/\nWhat it logs: +(\S+)/\n", output.read_text())):
        assert process.poll() is None, f"the demo ended:\n{output.read_text()}"
        assert time.monotonic() < give_up_at, f"the demo does not begin:\n{output.read_text()}"
        time.sleep(0.02)
    return found[1], found[2]


def open_shop(browser: Any, shop: str, **options: Any) -> Any:
    """Return the shop's page, which is ready; its back end may take a moment to begin."""
    page = browser.new_page(**options)
    give_up_at = time.monotonic() + DEADLINE
    while True:
        try:
            page.goto(f"{shop}/")
            break
        except Exception:
            if time.monotonic() > give_up_at:
                raise
            page.wait_for_timeout(50)
    page.wait_for_selector("html[data-ready]")
    return page

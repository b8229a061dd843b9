"""Take docs/images/monitor-terminal.png, a screenshot of ``concurrent-log monitor`` on a real terminal.

``python tests/pictures/monitor.py``
"""

import http.server
import io
import re
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from rich.console import Console
from rich.text import Text

from pictures.console import THEME
from support.browser import chromium
from support.terminal import in_terminal

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "monitor-terminal.png"
COLUMNS, ROWS = 80, 20

_FILE = """\
interval = 1
failure_threshold = 3
recovery_timeout = 240
jitter = 0

[services.database]
check = "tcp://127.0.0.1:{listening}"

[services.search]
check = "http://127.0.0.1:{slow}/"
slow = 0.2

[services.payments]
check = "tcp://127.0.0.1:{closed}"

[services.newsletter]
check = "tcp://127.0.0.1:{closed}"
critical = false
failure_threshold = 1000

[services.disk]
check = "disk:/"
free_percent = 1
"""


class Slow(http.server.BaseHTTPRequestHandler):
    """Responds slowly."""

    def do_GET(self) -> None:
        """Respond after 0.35 seconds."""
        time.sleep(0.35)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - as in the standard library
        """Log nothing."""


def shown() -> str:
    """Return the screen of the command with five services, three of which have a problem."""
    slow = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=slow.serve_forever, daemon=True).start()
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_server(("127.0.0.1", 0)) as probe,
    ):
        closed = probe.getsockname()[1]
        probe.close()
        ports = {"listening": listening.getsockname()[1], "slow": slow.server_port, "closed": closed}
        Path(folder, "shop.toml").write_text(_FILE.format(**ports), encoding="utf-8")
        arguments = ["-m", "concurrent_log", "monitor", "shop.toml"]
        with in_terminal(Path(folder), arguments, COLUMNS, ROWS) as terminal:
            terminal.wait_until(lambda screen: "next attempt in 4 min" in screen)
            terminal.end(signal.SIGINT)
            return terminal.screen.replace("\r\n", "\n")


def svg_of(text: str) -> str:
    """Return an SVG of a terminal that shows ``text``."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text.rstrip()))
    picture = console.export_svg(title="concurrent-log monitor shop.toml", theme=THEME, unique_id="monitor")
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)  # The fonts are on another server.


def main(path: Path) -> None:
    """Take the screenshot."""
    program = shutil.which("chromium")
    if program is None:
        raise SystemExit("chromium is not on the PATH: install it")
    with chromium(program) as browser:
        page = browser.new_page(viewport={"width": 1040, "height": 640})
        page.set_content(svg_of(shown()))
        page.locator("svg").first.screenshot(path=path, omit_background=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE)

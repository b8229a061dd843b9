"""Draw docs/images/console.svg, the output of a program on a real terminal: ``python tests/pictures/console.py``."""

import io
import os
import pathlib
import pty
import re
import subprocess
import sys
import tempfile

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

PICTURE = pathlib.Path(__file__).parents[2] / "docs" / "images" / "console.svg"
COLUMNS = 92

_NORMAL = [(0, 0, 0), (205, 49, 49), (13, 188, 121), (229, 229, 16), (36, 114, 200), (188, 63, 188), (17, 168, 205)]
_BRIGHT = [
    (102, 102, 102),
    (241, 76, 76),
    (35, 209, 139),
    (245, 245, 67),
    (59, 142, 234),
    (214, 112, 214),
    (41, 184, 219),
]
THEME = TerminalTheme((30, 30, 30), (204, 204, 204), [*_NORMAL, (229, 229, 229)], [*_BRIGHT, (255, 255, 255)])

PROGRAM = """\
from concurrent_log.loggers import ConsoleLogger, Logger, LogLevel, get_logger

Logger.init(ConsoleLogger(LogLevel.ALL))
Logger.trace("the request has 14 headers")
Logger.debug("cart 7 is in the cache")
Logger.info("order 1023 received")
Logger.warn("the shelf is nearly empty: 2 pears")
Logger.close()
log = get_logger("shop", file_output=False)
try:
    100 / 0
except ZeroDivisionError:
    log.exception("no price for a pear")
log.critical("the database is gone")
"""


def shown() -> str:
    """Return the output of the program on a terminal."""
    ours, theirs = pty.openpty()
    with tempfile.TemporaryDirectory() as folder, os.fdopen(theirs, "wb") as terminal:
        pathlib.Path(folder, "shop.py").write_text(PROGRAM)
        variables = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
        command = [sys.executable, "shop.py"]
        subprocess.run(command, cwd=folder, env={**variables, "TERM": "xterm"}, stderr=terminal, check=True)
        text = os.read(ours, 65536).decode().replace("\r\n", "\n").replace(folder + "/", "")
    os.close(ours)
    return text


def draw(text: str, path: pathlib.Path, title: str = "python shop.py", columns: int = COLUMNS) -> None:
    """Write an SVG of a terminal with ``title`` that shows ``text``."""
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text.rstrip()))
    picture = console.export_svg(title=title, theme=THEME, unique_id="console")
    without_fonts = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)  # The fonts are on another server.
    path.write_text(re.sub(r"[ \t]+$", "", without_fonts, flags=re.MULTILINE), encoding="utf-8")


if __name__ == "__main__":
    draw(shown(), PICTURE)

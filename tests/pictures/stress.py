"""Draw docs/images/stress.svg, the output of the stress test on a real terminal.

``python tests/pictures/stress.py`` takes about 20 seconds. README.md and docs/index.md state the numbers of the
picture: ``tests/test_documentation.py`` compares them.
"""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from pictures.console import draw

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "stress.svg"
COLUMNS, ROWS = 84, 30
COMMAND = "python -m concurrent_log stress --compare"


def record() -> str:
    """Run the command in a terminal and return its output, without the progress bar."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    removed = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
    variables = {name: value for name, value in os.environ.items() if name not in removed}
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, *COMMAND.split()[1:]],
            cwd=folder,
            env={**variables, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"},
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        output = b"".join(iter(lambda: _read(ours), b""))
        if process.wait() != 0:
            raise SystemExit(output.decode())
    os.close(ours)
    return output.decode().replace("\r\n", "\n")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux reports EIO when no process has the terminal open.
        return b""


if __name__ == "__main__":
    draw(f"$ {COMMAND}\n{record()}", PICTURE, COMMAND, COLUMNS)

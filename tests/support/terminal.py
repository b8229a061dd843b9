"""Runs a command in its own pseudo-terminal, and reads its screen."""

import codecs
import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.text import Text

from support.deadlines import DEADLINE
from support.processes import environment

_ALTERNATE_SCREEN, _NORMAL_SCREEN, _HOME = "\x1b[?1049h", "\x1b[?1049l", "\x1b[H"


class Terminal:
    """A pseudo-terminal in which a program runs; see `in_terminal`."""

    def __init__(self, process: "subprocess.Popen[bytes]", descriptor: int) -> None:
        self.process = process
        self.output = ""
        self._descriptor = descriptor
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")  # A read may end inside a character.

    @property
    def screen(self) -> str:
        """The last complete frame on the alternate screen, with colours; empty before the first one."""
        alternate, has_ended, _ = self.output.partition(_ALTERNATE_SCREEN)[2].partition(_NORMAL_SCREEN)
        frames = alternate.split(_HOME)[1:]
        complete = frames if has_ended else frames[:-1]  # The last one may be incomplete.
        return complete[-1] if complete else ""

    @property
    def final_text(self) -> str:
        """The text on the normal screen after the program has left the alternate one, without colours."""
        return plain(self.output.partition(_NORMAL_SCREEN)[2])

    def wait_until(self, condition: Callable[[str], bool]) -> str:
        """Return the screen, without colours, as soon as ``condition`` is true for it."""
        give_up_at = time.monotonic() + DEADLINE
        while not condition(plain(self.screen)):
            assert self._read(give_up_at), f"the program ended, or did not show it in time:\n{self.output}"
        return plain(self.screen)

    def end(self, number: signal.Signals) -> int:
        """Send a signal, wait for the end of the program, and return its exit status."""
        self.process.send_signal(number)
        while self._read(time.monotonic() + DEADLINE):
            pass
        return self.process.wait(DEADLINE)

    def _read(self, give_up_at: float) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], max(0.0, give_up_at - time.monotonic()))
        try:
            content = os.read(self._descriptor, 65536) if ready else b""
        except OSError:  # Linux raises this when the last process has closed the terminal.
            content = b""
        self.output += self._decoder.decode(content)
        return bool(content)


@contextlib.contextmanager
def in_terminal(folder: Path, arguments: Sequence[str], columns: int = 80, rows: int = 24) -> Iterator[Terminal]:
    """Run Python with ``arguments`` in a pseudo-terminal of that size."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    inherited = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
    variables = {name: value for name, value in environment().items() if name not in inherited}
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env={**variables, "TERM": "xterm", "LC_ALL": "C.UTF-8"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait(DEADLINE)
        os.close(ours)


def plain(text: str) -> str:
    """Return ``text`` without escape sequences."""
    return Text.from_ansi(text.replace("\r\n", "\n")).plain

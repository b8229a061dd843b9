"""Running a command in a terminal of its own, and looking at what it shows there."""

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

from support.processes import environment

_DEADLINE = 60.0  # seconds for what takes one or two on an idle machine
_OTHER_SCREEN, _USUAL_SCREEN, _HOME = "\x1b[?1049h", "\x1b[?1049l", "\x1b[H"


class Terminal:
    """A terminal in which a program runs; see `in_terminal`."""

    def __init__(self, process: "subprocess.Popen[bytes]", descriptor: int) -> None:
        self.process = process
        self.output = ""
        self._descriptor = descriptor

    @property
    def screen(self) -> str:
        """The last whole picture on the program's own screen, with its colours; empty before there is one."""
        own, given_back, _ = self.output.partition(_OTHER_SCREEN)[2].partition(_USUAL_SCREEN)
        pictures = own.split(_HOME)[1:]
        whole = pictures if given_back else pictures[:-1]  # The last one may be half there.
        return whole[-1] if whole else ""

    @property
    def left(self) -> str:
        """What stands on the usual screen when the program has given it back, without colours."""
        return plain(self.output.partition(_USUAL_SCREEN)[2])

    def wait_until(self, holds: Callable[[str], bool]) -> str:
        """Return the program's screen, without colours, as soon as something holds for it."""
        give_up_at = time.monotonic() + _DEADLINE
        while not holds(plain(self.screen)):
            assert self._read(give_up_at), f"the program ended or was too slow:\n{self.output}"
        return plain(self.screen)

    def end(self, number: signal.Signals) -> int:
        """Send a signal, and return the exit status."""
        self.process.send_signal(number)
        while self._read(time.monotonic() + _DEADLINE):
            pass
        return self.process.wait(_DEADLINE)

    def _read(self, give_up_at: float) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], max(0.0, give_up_at - time.monotonic()))
        try:
            found = os.read(self._descriptor, 65536) if ready else b""
        except OSError:  # Linux says so where no process has the terminal any longer.
            found = b""
        self.output += found.decode(errors="replace")
        return bool(found)


@contextlib.contextmanager
def in_terminal(folder: Path, arguments: Sequence[str], columns: int = 80, rows: int = 24) -> Iterator[Terminal]:
    """Run Python with ``arguments`` in a terminal of that size."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    of_others = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
    variables = {name: value for name, value in environment().items() if name not in of_others}
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
        process.wait(_DEADLINE)
        os.close(ours)


def plain(text: str) -> str:
    """Return ``text`` without what is meant for the terminal."""
    return Text.from_ansi(text.replace("\r\n", "\n")).plain

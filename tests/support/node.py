"""Running Node.js programs that use the JavaScript client."""

import os
import pathlib
import signal
import subprocess
import textwrap
from dataclasses import dataclass

import concurrent_log
from support.deadlines import DEADLINE
from support.paths import TESTS

PACKAGE = pathlib.Path(concurrent_log.__file__).parent / "collector" / "javascript"
TOOLS = TESTS / "javascript"
TOOL_DEADLINE = 300.0  # seconds; a tool takes ten on an idle machine, with a registry that responds
_OF_OTHERS = ("LOG_SERVER_URL", "SERVICE_NAME", "ENVIRONMENT", "NODE_ENV", "SERVICE_VERSION", "LOG_TYPE")
_OF_NODE = ("ENABLE_GLOBAL_ERROR_HANDLER", "NODE_OPTIONS", "NODE_TEST_CONTEXT")

_HEAD = f'import {{ createLogClient, WorkerThreadsLogClient }} from "{PACKAGE.as_uri()}/node.js";\n'


@dataclass
class Ended:
    """The result of a program: its exit status, negative for a signal, and its output."""

    status: int
    stdout: str
    stderr: str


class Node:
    """Runs programs in a folder; ``logger`` in them is a client of the server at ``url``."""

    def __init__(self, path: str, folder: pathlib.Path) -> None:
        self._path = path
        self._folder = folder
        self._count = 0

    def start(self, url: str, program: str, options: str = "{}", *flags: str, **variables: str) -> "Program":
        """Start ``program``, the text of an ES module."""
        self._count += 1
        file = self._folder / f"program{self._count}.mjs"
        client = f"const logger = createLogClient({url!r}, {options});\n" if url else ""
        file.write_text(_HEAD + client + textwrap.dedent(program), encoding="utf-8")
        inherited = {name: value for name, value in os.environ.items() if name not in (*_OF_OTHERS, *_OF_NODE)}
        return Program(
            subprocess.Popen(
                [self._path, *flags, str(file)],
                cwd=self._folder,
                env={**inherited, **variables},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                # pytest may have been started with signals ignored, and a child would inherit that.
                preexec_fn=_restore_signals,
            )
        )

    def run(self, url: str, program: str, options: str = "{}", *flags: str, **variables: str) -> Ended:
        """Run ``program`` until it ends by itself."""
        with self.start(url, program, options, *flags, **variables) as started:
            return started.ended()


class Program:
    """A running program, killed at the end of the ``with`` statement."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def line(self) -> str:
        """Return the next line of its output."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ended(self) -> Ended:
        """Wait until it has ended, and return its result."""
        stdout, stderr = self.process.communicate(timeout=DEADLINE)
        return Ended(self.process.returncode, stdout, stderr)


def _restore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def run(command: "list[str]", folder: pathlib.Path) -> "subprocess.CompletedProcess[str]":
    """Run a tool to its end."""
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TOOL_DEADLINE)


def succeed(command: "list[str]", folder: pathlib.Path) -> str:
    """Run a tool, which must succeed, and return what it printed."""
    done = run(command, folder)

    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

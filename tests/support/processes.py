"""Start real programs and servers with the package under test, and send requests to them."""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import concurrent_log
from support.paths import PROGRAMS

RECORDS_PER_REQUEST = 5  # records that the applications in PROGRAMS log

_DEADLINE = 40.0  # seconds; on an idle machine it takes one or two


def environment() -> dict[str, str]:
    """Return an environment in which a program imports the same package as this process."""
    places = [str(Path(concurrent_log.__file__).parents[1]), str(PROGRAMS)]
    of_others = ("GUNICORN_CMD_ARGS", "WEB_CONCURRENCY", "PYTEST_ADDOPTS", "DJANGO_SETTINGS_MODULE")
    inherited = {name: value for name, value in os.environ.items() if name not in of_others}
    return {**inherited, "PYTHONPATH": os.pathsep.join(places), "PYTHONUNBUFFERED": "1"}


def run(folder: Path, *arguments: str, status: int = 0) -> str:
    """Run Python with ``arguments`` in ``folder``, and return its output.

    Fails if logging failed, or if the program does not end with ``status``.
    """
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=_DEADLINE,
    )

    assert done.returncode == status, done.stdout + done.stderr
    assert_quiet(done.stderr)
    return done.stdout


# A time limit raised by a signal in a place where Python cannot raise: in the callback of a weak reference.
_LIMIT_IGNORED = re.compile(r"Exception ignored in: .*\nTraceback .*\n(?:  .*\n|\n)*.*SoftTimeLimitExceeded.*\n")


def assert_quiet(output: str) -> None:
    """Check that the output has no error of a handler and no traceback."""
    output = _LIMIT_IGNORED.sub("", output)

    assert "Logging error" not in output, output
    assert "Traceback" not in output, output


def wait_until(condition: Callable[[], bool]) -> None:
    """Return when ``condition`` returns true."""
    deadline = time.monotonic() + _DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"the condition was false for {_DEADLINE} seconds"
        time.sleep(0.005)


class Server:
    """A running server: its main process, the port it listens on and the file that holds its output."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, output: Path) -> None:
        self.process = process
        self.port = port
        self._output = output

    @property
    def output(self) -> str:
        """The output of the server: standard output and standard error."""
        return self._output.read_text(encoding="utf-8")

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return as soon as ``condition`` holds; fails where the server ends before."""

        def holds_while_running() -> bool:
            assert self.process.poll() is None, f"the server ended:\n{self.output}"
            return condition()

        wait_until(holds_while_running)

    def stop(self) -> None:
        """Stop the server with SIGTERM, and check that it printed no error."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(_DEADLINE)
        assert_quiet(self.output)


@contextlib.contextmanager
def serving(folder: Path, arguments: Callable[[int], list[str]]) -> Iterator[Server]:
    """Start Python in ``folder`` with ``arguments``, called with the descriptor of a listening socket."""
    output = folder / "output.txt"
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener, output.open("wb") as sink:
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, *arguments(listener.fileno())],
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
    try:
        yield Server(process, port, output)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_DEADLINE)


class Load:
    """Clients, each named by a letter, that send requests continuously until the ``with`` statement ends.

    Attributes:
        answered: The ids of the requests that got a response.
        unanswered: The ids of requests without a response: the connection broke.
        workers: The process ids of the workers that responded.
    """

    def __init__(self, port: int, clients: str = "abcd") -> None:
        self.answered: set[str] = set()
        self.unanswered: set[str] = set()
        self.workers: set[int] = set()
        self._port = port
        self._over = threading.Event()
        self._clients = [threading.Thread(target=self._send, args=(name,)) for name in clients]

    def __enter__(self) -> "Load":
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._over.set()
        for client in self._clients:
            client.join()

    def ids(self, requests: set[str]) -> set[str]:
        """Return the ids of the records that the application logs for ``requests``."""
        return {f"{request}-{number}" for request in requests for number in range(RECORDS_PER_REQUEST)}

    def _send(self, client: str) -> None:
        number = 0
        while not self._over.is_set():
            request = f"{client}{number}"
            number += 1
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_DEADLINE)
            with contextlib.closing(connection):
                try:
                    connection.request("GET", f"/{request}", headers={"Connection": "close"})
                    answer = connection.getresponse()
                    worker = answer.read()
                    if not worker:
                        raise http.client.IncompleteRead(worker)  # for example after half of the headers
                except ConnectionRefusedError:
                    return  # The server ended.
                except (OSError, http.client.HTTPException):
                    self.unanswered.add(request)
                else:
                    assert answer.status == 200
                    self.answered.add(request)
                    self.workers.add(int(worker))

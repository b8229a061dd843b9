"""Real programs and servers that use the package under test, and clients that send requests to the servers."""

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
from support.deadlines import DEADLINE
from support.paths import PROGRAMS

RECORDS_PER_REQUEST = 5  # that the applications in PROGRAMS log


def environment() -> dict[str, str]:
    """Return the environment variables with which a program imports the same package as this process."""
    import_path = [str(Path(concurrent_log.__file__).parents[1]), str(PROGRAMS)]
    removed = ("GUNICORN_CMD_ARGS", "WEB_CONCURRENCY", "PYTEST_ADDOPTS", "DJANGO_SETTINGS_MODULE")
    inherited = {name: value for name, value in os.environ.items() if name not in removed}
    return {**inherited, "PYTHONPATH": os.pathsep.join(import_path), "PYTHONUNBUFFERED": "1"}


def run(folder: Path, *arguments: str, status: int = 0, variables: dict[str, str] | None = None) -> str:
    """Run Python with ``arguments`` in ``folder``, and return its output.

    Fails if logging failed, or if the exit status is not ``status``.

    Args:
        folder: The working directory.
        arguments: The arguments of the interpreter.
        status: The expected exit status.
        variables: Further environment variables.
    """
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**environment(), **(variables or {})},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )

    assert done.returncode == status, done.stdout + done.stderr
    assert_quiet(done.stderr)
    return done.stdout


# A time limit that a signal handler raised in the callback of a weak reference, where Python ignores exceptions.
_IGNORED_TIME_LIMIT = re.compile(r"Exception ignored in: .*\nTraceback .*\n(?:  .*\n|\n)*.*SoftTimeLimitExceeded.*\n")


def assert_quiet(output: str) -> None:
    """Check that the output contains no traceback and no error of a logging handler."""
    output = _IGNORED_TIME_LIMIT.sub("", output)

    assert "Logging error" not in output, output
    assert "Traceback" not in output, output


def wait_until(condition: Callable[[], bool]) -> None:
    """Return as soon as ``condition`` is true."""
    give_up_at = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < give_up_at, f"the condition was not met within {DEADLINE} seconds"
        time.sleep(0.005)


class Server:
    """A running server: its main process, the port that it listens on, and the file with its output."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, output: Path) -> None:
        self.process = process
        self.port = port
        self._output = output

    @property
    def output(self) -> str:
        """The standard output and error of the server."""
        return self._output.read_text(encoding="utf-8")

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return as soon as ``condition`` is true; fail if the server exits before."""

        def is_met() -> bool:
            assert self.process.poll() is None, f"the server exited:\n{self.output}"
            return condition()

        wait_until(is_met)

    def stop(self) -> None:
        """Stop the server with SIGTERM, and check that its output contains no error."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(DEADLINE)
        assert_quiet(self.output)


@contextlib.contextmanager
def serving(folder: Path, arguments: Callable[[int], list[str]]) -> Iterator[Server]:
    """Start Python in ``folder``. ``arguments`` returns its arguments for the descriptor of a listening socket."""
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
        process.wait(DEADLINE)


class Load:
    """Clients, each named by a letter, that send one request after another until the end of the ``with`` statement.

    Attributes:
        answered: The ids of the requests that got a response.
        answered_by: The process id of the worker for each of them, in the order of the responses.
        unanswered: The ids of the requests that got no response because the connection broke.
        workers: The process ids of the workers that sent a response.
    """

    def __init__(self, port: int, clients: str = "abcd") -> None:
        self.answered: set[str] = set()
        self.answered_by: dict[str, int] = {}
        self.unanswered: set[str] = set()
        self.workers: set[int] = set()
        self._port = port
        self._stopped = threading.Event()
        self._clients = [threading.Thread(target=self._send, args=(name,)) for name in clients]

    def __enter__(self) -> "Load":
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._stopped.set()
        for client in self._clients:
            client.join()

    def ids(self, requests: set[str]) -> set[str]:
        """Return the ids of the records that the application logs for ``requests``."""
        return {f"{request}-{number}" for request in requests for number in range(RECORDS_PER_REQUEST)}

    def _send(self, client: str) -> None:
        number = 0
        while not self._stopped.is_set():
            request = f"{client}{number}"
            number += 1
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=DEADLINE)
            with contextlib.closing(connection):
                try:
                    connection.request("GET", f"/{request}", headers={"Connection": "close"})
                    response = connection.getresponse()
                    worker = response.read()
                    if not worker:
                        raise http.client.IncompleteRead(worker)  # for example, only half of the headers arrived
                except ConnectionRefusedError:
                    return  # The server has exited.
                except (OSError, http.client.HTTPException):
                    self.unanswered.add(request)
                else:
                    assert response.status == 200
                    self.answered.add(request)
                    self.answered_by[request] = int(worker)
                    self.workers.add(int(worker))


def in_a_child(body: Callable[[], object]) -> int:
    """Run ``body`` in a forked child; return its exit status, 0 if it raised nothing."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            body()
            status = 0
        except BaseException as error:
            with contextlib.suppress(OSError):
                os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

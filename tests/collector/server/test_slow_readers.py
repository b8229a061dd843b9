"""Clients that do not read their answers: others are served, and the memory of the server stays within its limits."""

import asyncio
import contextlib
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from collector.server.conftest import StartServer
from concurrent_log.collector.server import unread_answers
from concurrent_log.collector.server.connection_limits import LimitedProtocol
from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.unread_answers import UnreadAnswers
from concurrent_log.collector.store.interface import IncomingBatch
from support.deadlines import DEADLINE
from support.in_process_server import serve_in_thread
from support.processes import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and opens many files")

_MIB = 1 << 20


@pytest.fixture
def connect() -> Iterator[Callable[[int, bytes], socket.socket]]:
    """Return a function that sends bytes to a port, on a connection that accepts little of the answer."""
    with contextlib.ExitStack() as connections:

        def connected(port: int, content: bytes) -> socket.socket:
            connection = connections.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(DEADLINE)
            connection.connect(("127.0.0.1", port))
            connection.sendall(content)
            return connection

        yield connected


@pytest.mark.parametrize("path", ["/logs?limit=1000", "/download?order=asc"])
def test_memory_for_idle_readers_is_limited(
    start: StartServer, tmp_path: Path, connect: Callable[[int, bytes], socket.socket], path: str
) -> None:
    """Sixty clients that ask for large answers and read nothing once held 369 MB; another one is still answered."""
    server = start(str(tmp_path / "logs.sqlite3"))
    server.send([{"message": "x" * 6000} for _ in range(1000)])
    server.get("/logs?limit=1000")
    before = server.memory()
    for _ in range(60):
        connect(server.port, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    wait_until(lambda: server.ask("GET", "/logs?limit=1000")[0] == 200)

    assert server.memory() - before < 200 * _MIB
    assert server.send([{"message": "good"}])["stored"] == 1


_PIPELINED = {
    "small answers": b"GET /session HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100,
    "large answers": b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20,
    "listeners": b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2,
}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(_PIPELINED["listeners"], marks=pytest.mark.slow, id="listeners"),
        pytest.param(_PIPELINED["small answers"], marks=pytest.mark.long, id="small answers"),
        pytest.param(_PIPELINED["large answers"], marks=pytest.mark.long, id="large answers"),
    ],
)
def test_clients_that_do_not_read_do_not_keep_senders_out(
    start: StartServer, tmp_path: Path, connect: Callable[[int, bytes], socket.socket], content: bytes
) -> None:
    """Clients that fill all places with pipelined requests lose theirs; 2,010 once kept senders out for 132 seconds."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2600:
        pytest.skip(f"a process may have {hard} open files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2600), hard))
    server = start(str(tmp_path / "logs.sqlite3"))
    for _ in range(2010):
        with contextlib.suppress(OSError):  # closed by the server already
            connect(server.port, content)
    for _ in range(5):
        assert server.send([{"message": "good"}])["stored"] == 1

    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "Traceback" not in server.errors


@pytest.mark.slow
def test_client_that_stops_reading_is_disconnected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, connect: Callable[[int, bytes], socket.socket]
) -> None:
    """The rest of an answer is discarded when the client has not read any of it for some time."""
    monkeypatch.setattr(unread_answers, "_READ_TIMEOUT", 2.0)  # long enough to be seen
    with serve_in_thread(tmp_path) as (port, state):
        connect(port, b"GET /docs/static/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
        wait_until(lambda: state.unread_answers.is_any)
        wait_until(lambda: not state.unread_answers.is_any)


@pytest.mark.parametrize("path", ["/logs", "/v1/logs"])
def test_listener_makes_room_before_a_sender(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, connect: Callable[[int, bytes], socket.socket], path: str
) -> None:
    """If there are too many connections, an older one that sends records is kept, in every format."""
    monkeypatch.setattr(LimitedProtocol, "max_connections", 2)
    received, proceed = threading.Event(), threading.Event()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with serve_in_thread(tmp_path) as (port, state):
        add = state.managed_store.add

        async def add_later(batch: IncomingBatch) -> Any:
            received.set()
            await asyncio.to_thread(proceed.wait, DEADLINE)
            return await add(batch)

        monkeypatch.setattr(state.managed_store, "add", add_later)
        body = b'{"logs": [{"message": "one"}]}' if path == "/logs" else b"{}"
        sender = connect(port, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert received.wait(DEADLINE)
        listener = connect(port, b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert listener.recv(12) == b"HTTP/1.1 200"
        connect(port, b"")
        with contextlib.suppress(ConnectionError):
            while listener.recv(4096):
                pass  # until the server has closed the connection
        proceed.set()

        assert sender.recv(12) == b"HTTP/1.1 200"


def test_exact_number_of_listeners_is_accepted(
    start: StartServer, tmp_path: Path, connect: Callable[[int, bytes], socket.socket]
) -> None:
    """Of 150 listeners that come at once, 100 are accepted; once it was 134."""
    server = start(str(tmp_path / "logs.sqlite3"))
    statuses: list[bytes] = []

    def listen() -> None:
        statuses.append(connect(server.port, b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n").recv(12))

    threads = [threading.Thread(target=listen) for _ in range(150)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses.count(b"HTTP/1.1 200") == 100
    assert statuses.count(b"HTTP/1.1 503") == 50


class FakeReader:
    """A connection with some unread bytes."""

    def __init__(self, unread: int) -> None:
        self.unread, self.sent, self.is_closed = unread, 0, False

    def unread_bytes(self) -> int:
        """Return the number of unread bytes."""
        return self.unread

    def sent_bytes(self) -> int:
        """Return the number of bytes that were sent."""
        return self.sent

    def abort(self) -> None:
        """Close it."""
        self.is_closed = True


def test_stalled_answers_make_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer without progress for the longest time is given up first; those that make progress stay."""
    now = 100.0
    monkeypatch.setattr(unread_answers.time, "monotonic", lambda: now)
    unread = UnreadAnswers(max_bytes=100_000)
    reading, stalled, later = FakeReader(40_000), FakeReader(40_000), FakeReader(10_000)
    for connection in (reading, stalled):
        unread.update(connection, is_new=True)
    now = 101.0
    unread.update(later, is_new=True)
    with pytest.raises(Problem, match="not read too many large answers"):
        unread.make_room(30_000)
    now, reading.sent = 104.0, 20_000
    unread.make_room(30_000)

    assert [each.is_closed for each in (reading, stalled, later)] == [False, True, False]

"""Attacks on the server: it still serves other clients, and its memory stays within the limits."""

import contextlib
import gzip
import json
import signal
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from support.collector_server import Server
from support.deadlines import DEADLINE
from support.processes import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and opens many files")

_MIB = 1 << 20
_MEMORY_LIMIT = (16 * 16 + 64) * _MIB  # bytes: all pending bodies with the default --max-body, and the process itself


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server with default settings; at the end, check its memory and its stderr."""
    folder = tmp_path_factory.mktemp("server")
    with Server(folder, str(folder / "logs.sqlite3")) as started:
        yield started
        assert started.memory() < _MEMORY_LIMIT
        assert "Traceback" not in started.errors


@pytest.fixture
def connect(server: Server) -> Iterator[Callable[[bytes], socket.socket]]:
    """Return a function that opens a connection, and sends some bytes."""
    with contextlib.ExitStack() as connections:

        def connected(content: bytes) -> socket.socket:
            connection = connections.enter_context(socket.create_connection(("127.0.0.1", server.port), DEADLINE))
            connection.sendall(content)
            return connection

        yield connected


def check_server(server: Server) -> None:
    """Check that the server responds to a valid client."""
    assert server.send([{"message": "good"}])["stored"] == 1
    assert server.ask("GET", "/health")[0] == 200


_HALF_HEAD = b"POST /logs HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
_HALF_BODY = b'POST /logs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"logs": ['
_HALF_LOGIN = b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"


@pytest.mark.slow
@pytest.mark.parametrize(
    "content", [_HALF_HEAD, _HALF_BODY, _HALF_LOGIN, b""], ids=["head", "body", "login", "nothing"]
)
def test_slow_connections_do_not_block_others(
    server: Server, connect: Callable[[bytes], socket.socket], content: bytes
) -> None:
    """If there are more unfinished requests than allowed connections, the oldest are closed."""
    count = 2500
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 500:
        pytest.skip(f"a process may have {hard} open files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 500), hard))
    for _ in range(count):
        connect(content)
    for _ in range(5):
        check_server(server)

    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_limit_on_open_files_is_raised(tmp_path: Path) -> None:
    """The server raises a soft limit of 1,024 open files."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2200:
        pytest.skip(f"a process may have {hard} open files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        server = Server(tmp_path, str(tmp_path / "logs.sqlite3"))
        server.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    limits = Path(f"/proc/{server.process.pid}/limits").read_text().split("Max open files")[1].split()
    server.kill()

    assert int(limits[0]) == 2200


_TINY = {
    "numbers": b"1",
    "lists": b"[]",
    "texts": b'""',
    "objects": b"{}",
    "nulls": b"null",
}


@pytest.mark.slow
@pytest.mark.parametrize("tiny", _TINY.values(), ids=list(_TINY))
@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
def test_million_tiny_records_are_rejected(server: Server, tiny: bytes, zipped: bool) -> None:
    """A small body would need much memory, for the records and the reasons of their rejection."""
    body = b'{"logs":[' + b",".join([tiny] * 1_000_000) + b"]}"
    headers = {"Content-Encoding": "gzip"} if zipped else {}
    status, answer, _ = server.ask("POST", "/logs", gzip.compress(body) if zipped else body, **headers)

    assert status == 413
    assert "send less" in answer["detail"]


def test_invalid_records_are_listed_up_to_a_limit(server: Server) -> None:
    """Thousands of invalid records do not affect a valid one."""
    answer = server.send([*range(9_999), {"message": "good"}])

    assert (answer["stored"], len(answer["rejected"])) == (1, 9_999)


def bomb(layers: int) -> bytes:
    """Return zeros, compressed ``layers`` times."""
    content = b"\0" * (32 * _MIB)
    for _ in range(layers):
        content = gzip.compress(content, 9)
    return content


@pytest.mark.parametrize("layers", [1, *(pytest.param(number, marks=pytest.mark.slow) for number in (2, 3))])
def test_decompression_bombs_are_rejected(server: Server, layers: int) -> None:
    """Twenty bodies that are a thousand times as large after decompression, or are gzip again, are rejected."""
    content = bomb(layers)
    statuses: list[int] = []

    def send() -> None:
        statuses.append(server.ask("POST", "/logs", content, **{"Content-Encoding": "gzip"})[0])

    threads = [threading.Thread(target=send) for _ in range(20)]
    for thread in threads:
        thread.start()
    check_server(server)
    for thread in threads:
        thread.join()

    assert set(statuses) <= {400, 413, 429}
    assert len(statuses) == 20


_HEAD = b"POST /logs HTTP/1.1\r\nHost: localhost\r\n"
_GARBAGE = {
    "huge header": b"GET / HTTP/1.1\r\nX: " + b"x" * 5_000_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + b"X: x\r\n" * 500_000 + b"\r\n",
    "long path": b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\n\r\n",
    "chunk of no size": _HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "chunk of any size": _HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 100 + b"\r\nx",
    "huge chunk": _HEAD + b"Transfer-Encoding: chunked\r\n\r\n7fffffffffff\r\nx",
    "length and chunks": _HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": _HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "negative length": _HEAD + b"Content-Length: -5\r\n\r\nhello",
    "length of no number": _HEAD + b"Content-Length: \xb2\r\n\r\nhello",
    "length without end": _HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nhello",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 100,
    "zeros": b"\0" * 100_000,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "websocket": b"GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
}


@pytest.mark.parametrize("content", _GARBAGE.values(), ids=list(_GARBAGE))
def test_garbage_does_not_affect_others(server: Server, content: bytes) -> None:
    """Garbage is rejected, or the connection is closed, and the server still responds to others."""
    with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(content)
        check_server(server)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
            response = connection.recv(1000)
            assert not response.startswith((b"HTTP/1.1 5", b"HTTP/1.0 5")), response


@pytest.mark.parametrize("length", [0, 1, 200, 201, 100_000])
@pytest.mark.parametrize("sign", ["x", "\U0001f600", "\0", "\ud800", "'", "%s"], ids=ascii)
def test_ids_are_accepted_up_to_a_maximum_length(server: Server, length: int, sign: str) -> None:
    """The ids of batch and client may contain any characters."""
    text = (sign * length)[:length]
    body = {"logs": [{"message": "m"}], "batch_id": text, "client": {"id": text}, "common": {"service": text}}
    status, _, _ = server.ask("POST", "/logs", json.dumps(body).encode())
    again, answer, _ = server.ask("POST", "/logs", json.dumps(body).encode())

    assert status == again == (200 if 1 <= length <= 200 else 400)
    assert again == 400 or answer["duplicate"]


@pytest.mark.slow
@pytest.mark.parametrize("opening", ["[", '{"a":', '{"logs":[{"a":'])
def test_deep_nesting_is_rejected(server: Server, opening: str) -> None:
    """Two million levels are rejected, closed or not; an array of them is a list with one invalid record."""
    body = opening * (2_000_000 // len(opening))
    closing = body.translate(str.maketrans("[{", "]}", '":alogs'))[::-1]
    for content in (body, f"{body}1{closing}"):
        status, answer, _ = server.ask("POST", "/logs", content.encode())
        assert status in (400, 413) or (opening == "[" and answer["stored"] == 0 and len(answer["rejected"]) == 1)


@pytest.mark.slow
def test_wrong_tokens_are_rejected(tmp_path: Path) -> None:
    """Guesses are rejected, and have to wait after some; a client that was right before is not disturbed by them."""
    token = "a-secret-of-the-tests"
    with Server(tmp_path, str(tmp_path / "logs.sqlite3"), variables={"CONCURRENT_LOG_TOKEN": token}) as server:
        tried = [token[:length] for length in range(len(token))] + [f"{token}x", token.upper(), "x" * 10_000, "\xe9"]
        statuses, right = set(), {"Authorization": f"Bearer {token}"}
        server.send([{"message": "good"}], headers=right)
        for each in tried * 20:
            statuses.add(server.ask("POST", "/logs", b'{"logs": [{}]}', Authorization=f"Bearer {each}")[0])
            statuses.add(server.ask("POST", "/login", json.dumps({"token": each[:999]}).encode())[0])
        server.send([{"message": "good"}], headers=right)

        assert statuses == {401, 429}
        assert server.select("SELECT count(*) FROM logs") == [(2,)]
        assert "different wrong keys came from 127.0.0.1" in server.errors
        assert token not in server.errors
        assert "Traceback" not in server.errors


_UNCLOSED = b'{"logs":[' + b"[" * 1000 + b'"' + b'\\"' * 30_000
_FOREIGN_BODIES = {
    "gzip of an unclosed string": (gzip.compress(b'"' + b'\\"' * 30_000), "gzip"),
    "unclosed string": (_UNCLOSED, ""),
    "beginning of a body": (b'{"token":"wrong","logs":[' + b"[" * 60_000, ""),
    "commas": (b'{"logs":[' + b"{}," * 20_000, ""),
    "gzip bomb": (gzip.compress(b"[" * (16 << 20)), "gzip"),
}


@pytest.mark.parametrize(("body", "encoding"), _FOREIGN_BODIES.values(), ids=list(_FOREIGN_BODIES))
def test_bodies_without_the_token_cost_little(guarded_server: Server, body: bytes, encoding: str) -> None:
    """Seventy-three bytes without the token once took seven seconds of the processor."""
    headers = {"Content-Encoding": encoding} if encoding else {}
    before = guarded_server.processor_time()
    statuses = {guarded_server.ask("POST", "/logs", body, **headers)[0] for _ in range(5)}

    assert statuses == {401}
    assert guarded_server.processor_time() - before < 2


def test_incomplete_bodies_leave_nothing(server: Server, connect: Callable[[bytes], socket.socket]) -> None:
    """Five hundred clients disconnect in the middle of a body; nothing is stored or kept in memory."""
    before = server.select("SELECT count(*) FROM logs")
    for _ in range(500):
        connect(_HALF_BODY + b'{"message": "half"}').close()

    wait_until(lambda: server.ask("POST", "/logs", b'{"logs": []}')[0] == 200)
    assert server.select("SELECT count(*) FROM logs") == before


def test_shutdown_with_a_blocked_database_responds_503(tmp_path: Path) -> None:
    """A batch that cannot be committed in time gets 503, and there is no traceback."""
    database = str(tmp_path / "logs.sqlite3")
    body = b'{"batch_id": "b1", "logs": [{}]}'
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(tmp_path, database))
        other = stack.enter_context(contextlib.closing(sqlite3.connect(database, isolation_level=None)))
        other.execute("BEGIN IMMEDIATE")
        connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), DEADLINE))
        connection.sendall(_HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        assert server.ask("GET", "/health")[0] == 200  # So the previous request is in progress.
        server.process.send_signal(signal.SIGTERM)
        response = connection.recv(1000)
        other.execute("ROLLBACK")

        assert response.startswith(b"HTTP/1.1 503"), response
        assert server.process.wait(DEADLINE) == 0
        assert "Traceback" not in server.errors

"""Limits on the size of bodies, and on memory."""

import concurrent.futures
import contextlib
import gzip
import json
import socket
from pathlib import Path

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from collector.server.conftest import StartServer
from support.collector_server import Server
from support.processes import wait_until


def test_large_body_is_rejected(start: StartServer, tmp_path: Path) -> None:
    """The limit applies before and after decompression, and to the records; the client can read the response."""
    server = start(str(tmp_path / "logs.sqlite3"), "--max-body", "1M")
    large = json.dumps({"logs": [{"message": "x" * (1 << 20)}]}).encode()
    fits = json.dumps({"logs": [{"message": "x," * 500_000}]}).encode()

    assert server.ask("POST", "/logs", large)[0] == 413
    assert server.ask("POST", "/logs", gzip.compress(large), Content_Encoding="gzip")[0] == 413
    assert server.ask("POST", "/logs", b'{"logs": [' + b"{}," * 100_000 + b"{}]}")[0] == 413
    assert server.ask("POST", "/logs", b'{"logs": [' + b"[]," * 200_000 + b"{}]}")[0] == 413
    assert server.ask("POST", "/logs", fits)[0] == 200
    assert server.count() == 1


def test_large_chunked_body_is_rejected(start: StartServer, tmp_path: Path) -> None:
    """A body without a length is measured as it arrives."""
    server = start(str(tmp_path / "logs.sqlite3"), "--max-body", "1M")
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"POST /logs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(32):
            connection.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        answer = connection.recv(10_000)

    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of a process from /proc")
def test_memory_is_limited_for_any_body(new_sqlite_server: Server) -> None:
    """Bug of the original: a decompression bomb of 1 MB takes a gigabyte, and blocks all requests."""
    new_sqlite_server.send([{"message": "before"}])
    before = new_sqlite_server.memory()
    bombs = [
        gzip.compress(b'{"logs": [{"message": "' + b"x" * (1 << 30) + b'"}]}', 1),
        gzip.compress(b'{"logs": [' + b"{}," * 5_000_000 + b"{}]}", 1),
        gzip.compress(b'{"logs": [{"a": ' + b"[" * 8_000_000 + b"]" * 8_000_000 + b"}]}", 1),
        gzip.compress(b'{"logs": [{"a": [' + b"1," * 8_000_000 + b"1]}]}", 1),
        gzip.compress(b"") * 500_000,
    ]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        sent = [
            pool.submit(new_sqlite_server.ask, "POST", "/logs", bomb, Content_Encoding="gzip") for bomb in bombs * 3
        ]
        statuses = {each.result()[0] for each in sent}

    assert statuses <= {400, 413, 429}
    assert new_sqlite_server.memory() - before < 600 << 20
    assert new_sqlite_server.send([{"message": "after"}])["stored"] == 1


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of a process from /proc")
def test_memory_for_slow_bodies_is_limited(start: StartServer, tmp_path: Path) -> None:
    """Unfinished bodies are held up to the limit; then others get 429, until these connections end."""
    server = start(str(tmp_path / "logs.sqlite3"), "--max-body", "1M")
    before = server.memory()
    half = b"POST /logs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 900_000
    with contextlib.ExitStack() as stack:
        for _ in range(17):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            connection.sendall(half)
        large = json.dumps({"logs": [{"message": "x" * 1_000_000}]}).encode()
        wait_until(lambda: server.ask("POST", "/logs", large)[0] == 429)
        status, _, headers = server.ask("POST", "/logs", large)

        assert (status, headers["retry-after"]) == (429, "1")
        assert server.ask("GET", "/health")[0] == 200
        assert server.memory() - before < 100 << 20
    wait_until(lambda: server.ask("POST", "/logs", large)[0] == 200)


def test_deep_json_does_not_affect_other_records(server: Server) -> None:
    """Deeply nested values are cut, and all records are stored, even if another one is invalid."""
    for depth in (100, 500, 100_000):
        deep = "[" * depth + "]" * depth
        for message in ("three", "\\ud800"):
            body = f'{{"logs": [{{"message": "one"}}, {{"message": "two", "a": {deep}}}, {{"message": "{message}"}}]}}'
            status, answer, _ = server.ask("POST", "/logs", body.encode())

            assert (status, answer.get("stored")) == (200, 3)

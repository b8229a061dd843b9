"""The server stores batches that arrive over HTTP, within its limits, and every acknowledged batch is stored.

Tests for a bug of the original, log-collector-async and its server, say so in their docstring.
"""

import concurrent.futures
import contextlib
import gzip
import http.client
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from concurrent_log.__main__ import main
from support.paths import DOCS, PROGRAMS

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from collector.server.conftest import TOKEN
from concurrent_log.collector.server.settings import ServerSettings
from concurrent_log.collector.server.uvicorn_server import open_socket
from support.collector_server import Server
from support.postgres_cluster import Cluster, programs
from support.processes import environment, wait_until

_BEARER = {"Authorization": f"Bearer {TOKEN}"}

Start = Callable[..., Server]


def stored(server: Server) -> int:
    """Return the number of stored records."""
    return int(server.select("SELECT count(*) FROM logs")[0][0])


# Start and shutdown


def test_output_shows_how_to_send_a_first_record(start: Start, tmp_path: Path) -> None:
    """The printed command works unchanged, also with a token in the environment."""
    server = start(str(tmp_path / "logs.sqlite3"), CONCURRENT_LOG_TOKEN=TOKEN)
    line = next(line for line in server.output.splitlines() if "curl" in line)
    command = line[line.index("curl") :].replace("curl", "curl -sS", 1)
    variables = {**environment(), "CONCURRENT_LOG_TOKEN": TOKEN}
    done = subprocess.run(["bash", "-c", command], env=variables, capture_output=True, text=True, timeout=30)

    assert json.loads(done.stdout)["stored"] == 1
    assert server.select("SELECT level, message FROM logs") == [("INFO", "hello")]
    assert f"{server.url}/" in server.output
    assert TOKEN not in server.output


def test_default_database_is_created(tmp_path: Path) -> None:
    """Without --database, an SQLite file is created in the data directory."""
    with Server(tmp_path, "", "--data-directory", str(tmp_path / "data")) as server:
        server.send([{"message": "one"}])

        assert (tmp_path / "data" / "logs.sqlite3").exists()
        assert str(tmp_path / "data" / "logs.sqlite3") in server.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "everyone who can reach 0.0.0.0 could read and write: set CONCURRENT_LOG_TOKEN"),
        (["--host", "::"], "everyone who can reach :: could"),
        (["--port", "70000"], "port must be a whole number from 0 to 65,535, not '70000'"),
        (["--retention-days", "0"], "retention-days must be a whole number from 1"),
        (["--max-body", "lots"], "max-body must be a size from 1K to 1G, such as 16M, not 'lots'"),
        (["--cors-origin", "shop.example"], "an origin must be like https://shop.example"),
        (["--token-file", "missing.txt"], "the token file cannot be read"),
        (["--token", "a b"], "no spaces"),
        (["--database", "/dev/null/logs"], "cannot be opened as an SQLite database"),
        (["--database", "postgresql://anna:secret@127.0.0.1:notaport/x"], "not a valid PostgreSQL address"),
        (["--host", "203.0.113.1", "--token", "x"], "cannot listen at 203.0.113.1"),
    ],
)
def test_invalid_option_has_a_one_line_message(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """An invalid option ends the server with status 2 and one line, which contains no secret."""
    status = main(["serve", "--data-directory", str(tmp_path), "--port", "0", *arguments])
    error = capsys.readouterr().err

    assert status == 2
    assert message in error
    assert error.count("\n") == 1
    assert "secret@" not in error


def test_token_can_be_in_a_file(start: Start, tmp_path: Path) -> None:
    """Other users can see the options of a process, but not the content of the token file."""
    (tmp_path / "token.txt").write_text(f"{TOKEN}\n", encoding="utf-8")
    server = start(str(tmp_path / "logs.sqlite3"), "--host", "0.0.0.0", "--token-file", str(tmp_path / "token.txt"))

    assert server.ask("POST", "/logs", b'{"logs": []}')[0] == 401
    assert server.ask("POST", "/logs", b'{"logs": []}', **_BEARER)[0] == 200


def test_missing_packages_are_named(tmp_path: Path) -> None:
    """The command line works without the server's packages, and says how to install them."""
    code = (
        "import sys\n"
        "for name in ('asyncpg', 'fastapi', 'msgspec', 'uvicorn', 'pydantic', 'urllib3', 'tenacity'):\n"
        "    sys.modules[name] = None\n"
        "from concurrent_log.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code, *arguments], env=environment(), capture_output=True, text=True)
        for arguments in (["--help"], ["serve", "--help"], ["serve"])
    ]

    assert [run.returncode for run in runs] == [0, 0, 2]
    assert runs[2].stderr == (
        "concurrent-log serve: the server needs asyncpg, fastapi, msgspec, uvicorn: "
        "in a clone, run python -m pip install '.[server]'\n"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_server(new_server: Server, number: signal.Signals) -> None:
    """The server ends with status 0, without output, and the acknowledged batch is stored."""
    new_server.send([{"message": "one"}])

    assert new_server.stop(number) == 0
    assert stored(new_server) == 1
    assert new_server.errors == ""


def test_shutdown_finishes_requests_in_progress(new_sqlite_server: Server) -> None:
    """A batch whose body is still arriving at shutdown is stored and acknowledged."""
    body = b'{"logs": [{"message": "slow"}]}'
    with socket.create_connection(("127.0.0.1", new_sqlite_server.port)) as connection:
        connection.sendall(b"POST /logs HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body))
        connection.sendall(body[:10])
        time.sleep(0.3)  # until the server waits for the rest; if it is slower, the test is weaker, but passes
        new_sqlite_server.process.send_signal(signal.SIGTERM)
        connection.sendall(body[10:])
        answer = connection.makefile("rb").read()

    assert b'"stored":1' in answer
    assert new_sqlite_server.process.wait(30) == 0
    assert stored(new_sqlite_server) == 1


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)], indirect=True)
def test_acknowledged_batches_survive_sigkill(new_server: Server) -> None:
    """When the server is killed under load, no acknowledged batch is lost, and no batch is stored twice."""

    def kill_and_restart() -> None:
        new_server.kill()
        new_server.start()

    _check_no_loss(new_server, kill_and_restart)


@pytest.mark.slow
def test_acknowledged_batches_survive_sigkill_of_postgresql(start: Start, cluster: Cluster) -> None:
    """When PostgreSQL is killed under load, the same holds, and the server recovers by itself."""
    server = start(cluster.address("postgres"))

    def kill_and_restart() -> None:
        cluster.kill()
        cluster.start()

    _check_no_loss(server, kill_and_restart)
    assert "Traceback" not in server.errors


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Return a PostgreSQL server for this test alone."""
    folder = programs() if hasattr(os, "geteuid") else None
    if folder is None:
        reason = "initdb and postgres are not installed: install a server of PostgreSQL"
        pytest.fail(reason) if os.environ.get("CONCURRENT_LOG_REQUIRE_ALL") == "1" else pytest.skip(reason)
    with Cluster(folder) as cluster:
        yield cluster


def _check_no_loss(server: Server, kill_and_restart: Callable[[], None]) -> None:
    acknowledged: set[str] = set()
    is_over = threading.Event()

    def send(sender: int) -> None:
        for number in itertools.count():
            batch_id = f"{sender}-{number}"
            body = json.dumps({"batch_id": batch_id, "logs": [{"message": f"{batch_id}-{n}"} for n in range(20)]})
            while not is_over.is_set():
                with contextlib.suppress(OSError, http.client.HTTPException):
                    status, answer, _ = server.ask("POST", "/logs", body.encode())
                    assert status in (200, 429, 503), answer
                    if status == 200:
                        acknowledged.add(batch_id)
                        break
                time.sleep(0.01)
            if is_over.is_set():
                return

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        senders = [pool.submit(send, sender) for sender in range(4)]
        try:
            for _ in range(4):
                enough = len(acknowledged) + 25
                wait_until(lambda enough=enough: len(acknowledged) >= enough or any(each.done() for each in senders))
                kill_and_restart()
            enough = len(acknowledged) + 25
            wait_until(lambda: len(acknowledged) >= enough or any(each.done() for each in senders))
        finally:
            is_over.set()
        for sender in senders:
            sender.result()
    server.stop()
    messages = [message for (message,) in server.select("SELECT message FROM logs")]
    expected = {f"{batch_id}-{each}" for batch_id in acknowledged for each in range(20)}

    assert not expected - set(messages)
    assert len(messages) == len(set(messages))


def test_responses_are_not_delayed_by_nagle() -> None:
    """The socket's protocol is TCP, so that asyncio sets TCP_NODELAY; otherwise each response takes 40 ms."""
    with open_socket(ServerSettings("unused", port=0)) as where:
        assert where.proto == socket.IPPROTO_TCP


# The protocol


def test_response_counts_records(server: Server) -> None:
    """The response has the number of received and stored records, and the index of each rejected one."""
    answer = server.send([{"message": "one"}, "two", None, {"message": "three"}, [4]], batch_id="b")

    assert {name: answer[name] for name in ("status", "count", "stored", "duplicate")} == {
        "status": "ok",
        "count": 5,
        "stored": 2,
        "duplicate": False,
    }
    assert answer["rejected"] == [
        {"index": 1, "reason": "a record must be an object, not a string"},
        {"index": 2, "reason": "a record must be an object, not null"},
        {"index": 4, "reason": "a record must be an object, not a list"},
    ]
    assert stored(server) == 2


def test_repeated_batch_is_stored_once(server: Server) -> None:
    """Bug of the original: a batch that is sent again is stored twice."""
    first, second = (server.send([{"message": "one"}], batch_id="b-1", zipped=True) for _ in range(2))

    assert (first["stored"], first["duplicate"]) == (1, False)
    assert (second["stored"], second["duplicate"]) == (0, True)
    assert stored(server) == 1


def test_batch_is_stored_whole_or_in_parts(server: Server) -> None:
    """A part of a stored batch is a duplicate; a batch with stored parts gets 413, so that the client sends parts."""
    server.send([{"message": "one"}, {"message": "two"}], batch_id="whole")
    part = server.send([{"message": "one"}], batch_id="whole:0-1", part_of=["whole"])
    server.send([{"message": "three"}], batch_id="parts:0-1", part_of=["parts"])
    whole = json.dumps({"logs": [{"message": "three"}, {"message": "four"}], "batch_id": "parts"}).encode()
    status, answer, _ = server.ask("POST", "/logs", whole)

    assert (part["stored"], part["duplicate"]) == (0, True)
    assert (status, answer) == (413, {"detail": "parts of the batch are stored: send it in these parts"})
    assert stored(server) == 3


def test_common_values_are_defaults(server: Server) -> None:
    """A record's own value replaces a common one; a name that is not a column becomes an attribute."""
    server.send(
        [{"message": "one"}, {"message": "two", "service": "till", "shard": 2}],
        common={"service": "shop", "host": "web-1", "shard": 1, "process_id": 7},
    )

    assert server.select("SELECT service, host, process_id, attributes ->> 'shard' FROM logs ORDER BY message") == [
        ("shop", "web-1", 7, "1" if server.database.startswith("postgresql") else 1),
        ("till", "web-1", 7, "2" if server.database.startswith("postgresql") else 2),
    ]


def test_losses_and_clients_are_stored_with_the_batch(server: Server) -> None:
    """A batch without records can report losses."""
    drop = {"reason": "queue full", "records": 12, "since": 1768200000.5}
    for _ in range(2):
        server.send([], batch_id="b", client={"id": "c", "name": "x/1"}, common={"service": "shop"}, dropped=[drop])

    assert server.select("SELECT client_id, service, reason, records FROM drops") == [("c", "shop", "queue full", 12)]
    assert server.select("SELECT id, name, service FROM clients") == [("c", "x/1", "shop")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b'{"logs": {}}',
        b'{"log": []}',
        b'{"logs": [], "batch_id": 3}',
        b'{"logs": [], "batch_id": ""}',
        b'{"logs": [], "batch_id": "' + b"x" * 201 + b'"}',
        b'{"logs": [], "batch_id": "b", "part_of": "a"}',
        b'{"logs": [], "batch_id": "b", "part_of": [3]}',
        b'{"logs": [], "batch_id": "b", "part_of": ["b"]}',
        b'{"logs": [], "batch_id": "b", "part_of": ["a", "a"]}',
        b'{"logs": [], "batch_id": "b", "part_of": ' + json.dumps(list(map(str, range(101)))).encode() + b"}",
        b'{"logs": [], "part_of": ["a"]}',
        b'{"logs": [], "common": []}',
        b'{"logs": [], "client": {}}',
        b'{"logs": [], "client": {"id": 3}}',
        b'{"logs": [], "dropped": [{"reason": "full"}]}',
        b'{"logs": [], "dropped": [{"reason": "full", "records": -1, "since": 1}]}',
        b'{"logs": ' + b"[" * 100_000 + b"]" * 99_999 + b"}",
        b"\x1f\x8b\x08\0nothing",
        b"\xff\xfe\0",
    ],
)
def test_invalid_body_has_a_one_line_message(sqlite_server: Server, body: bytes) -> None:
    """The status is 400, and nothing is stored."""
    status, answer, _ = sqlite_server.ask("POST", "/logs", body)

    assert status == 400
    assert list(answer) == ["detail"]
    assert "\n" not in answer["detail"]
    assert "Traceback" not in sqlite_server.errors


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_corrupt_compression_is_rejected(sqlite_server: Server, encoding: str) -> None:
    """A truncated body, and one that is not compressed, get 400."""
    content = json.dumps({"logs": [{"message": "x" * 1000}]}).encode()
    good = gzip.compress(content) if encoding == "gzip" else zlib.compress(content)

    assert sqlite_server.ask("POST", "/logs", good, Content_Encoding=encoding)[0] == 200
    assert sqlite_server.ask("POST", "/logs", good[:-9], Content_Encoding=encoding)[0] == 400
    assert sqlite_server.ask("POST", "/logs", content, Content_Encoding=encoding)[0] == 400


def test_gzip_body_may_have_several_members(sqlite_server: Server) -> None:
    """Several gzip members are one body, even if the output ends exactly at a step of the decompression."""
    content = json.dumps({"logs": [{"message": "x" * ((1 << 18) - 27)}]}).encode()
    assert len(content) == 1 << 18
    parts = [gzip.compress(content[:1000]), gzip.compress(b""), gzip.compress(content[1000:])]

    assert sqlite_server.ask("POST", "/logs", b"".join(parts), Content_Encoding="gzip")[0] == 200
    assert sqlite_server.ask("POST", "/logs", gzip.compress(content), Content_Encoding="gzip")[0] == 200


def test_unknown_encoding_is_rejected(sqlite_server: Server) -> None:
    """The status is 415, and the message names the encoding."""
    status, answer, _ = sqlite_server.ask("POST", "/logs", b"x", Content_Encoding="zstd")

    assert (status, "zstd" in answer["detail"]) == (415, True)


# Bugs of the original server


# Fields of a record, a column, and its expected value.
_STRANGE: list[tuple[dict[str, Any], str, Any]] = [
    ({"trace_id": str(uuid.UUID(int=7))}, "trace_id", str(uuid.UUID(int=7))),
    ({"user_id": 123}, "user_id", "123"),
    ({"level": "WARNING"}, "level", "WARN"),
    ({"environment": "prod"}, "environment", "prod"),
    ({"message": "a\0b"}, "message", "a\ufffdb"),
    ({"message": {"not": "text"}}, "message", '{"not":"text"}'),
    ({"message": 42}, "message", "42"),
    ({"method": "CONNECT"}, "method", "CONNECT"),
    ({"message": "a\ud800b"}, "message", "a\ufffdb"),
    ({"service": "s" * 5000}, "service", "s" * 500),
    ({"log_type": "TOASTER"}, "log_type", "TOASTER"),
    ({"duration_ms": "much"}, "duration_ms", None),
    ({"duration_ms": float("nan")}, "duration_ms", None),
    ({"line_number": 2**70}, "line_number", None),
    ({"\0\ud800": 1}, "function_name", None),
    ({"a": float("inf"), "b": 2**70, "c": {"d": "\0"}}, "function_name", None),
]


def test_invalid_record_does_not_affect_others(server: Server) -> None:
    """Bug of the original: one bad record rejects the whole batch. Here all are stored, and this one is normalized."""
    for number, (fields, column, value) in enumerate(_STRANGE):
        good = [{"level": "INFO", "session_id": f"good {number}"}] * 9
        bad = {"level": "INFO", "message": "bad", "session_id": f"bad {number}", **fields}
        answer = server.send([*good[:5], bad, *good[5:]])

        assert (answer["stored"], answer["rejected"]) == (10, []), fields
        assert server.select(f"SELECT {column} FROM logs WHERE session_id = 'bad {number}'") == [(value,)], fields


def test_flat_fields_become_attributes(server: Server) -> None:
    """Bug of the original: keyword fields are silently discarded."""
    server.send([{"message": "m", "action": "login", "memory_mb": 850, "metadata": {"tenant_id": "t"}}])
    text = server.select("SELECT attributes FROM logs")[0][0]

    assert json.loads(text) == {"action": "login", "memory_mb": 850, "tenant_id": "t"}


def test_time_units_are_equivalent(server: Server) -> None:
    """Bug of the original: milliseconds, which its own JavaScript client sends, are the year 57861."""
    texts = ["2026-01-12T06:40:01.25Z", "2026-01-12T07:40:01.250000+01:00", "2026-01-12 06:40:01.250"]
    numbers = [1768200001.25, 1768200001250, 1768200001250000, 1768200001250000000]
    server.send([{"created_at": moment} for moment in texts + numbers])
    if server.database.startswith("postgresql"):
        sql = "SELECT DISTINCT (extract(epoch FROM created_at) * 1000000)::bigint FROM logs"
    else:
        sql = "SELECT DISTINCT created_at FROM logs"

    assert server.select(sql) == [(1_768_200_001_250_000,)]


def test_error_does_not_reveal_the_database(postgres: str, start: Start) -> None:
    """Bug of the original: 500 with the raw text of the database's error."""
    server = start(postgres)
    server.select("ALTER TABLE logs RENAME TO other")
    status, answer, _ = server.ask("POST", "/logs", b'{"logs": [{"message": "one"}]}')

    assert status in (500, 503)
    assert set(answer) == {"detail"}
    assert "relation" not in answer["detail"]
    assert "postgres" not in answer["detail"].lower()


# The original's own client


@pytest.mark.slow
def test_original_client_works(server: Server, require: Callable[[str], None], tmp_path: Path) -> None:
    """With log-collector-async 1.1.1, unchanged, each of 20,000 records is stored once."""
    require("log_collector")
    done = subprocess.run(
        [sys.executable, str(PROGRAMS / "original_client.py"), server.url],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr

    assert server.select("SELECT count(*), count(DISTINCT message) FROM logs") == [(20_000, 20_000)]
    assert server.select("SELECT DISTINCT level, service, environment, user_id FROM logs") == [
        ("INFO", "shop", "production", "123")
    ]


# Limits


def test_large_body_is_rejected(start: Start, tmp_path: Path) -> None:
    """The limit applies before and after decompression, and to the records; the client can read the response."""
    server = start(str(tmp_path / "logs.sqlite3"), "--max-body", "1M")
    large = json.dumps({"logs": [{"message": "x" * (1 << 20)}]}).encode()
    fits = json.dumps({"logs": [{"message": "x," * 500_000}]}).encode()

    assert server.ask("POST", "/logs", large)[0] == 413
    assert server.ask("POST", "/logs", gzip.compress(large), Content_Encoding="gzip")[0] == 413
    assert server.ask("POST", "/logs", b'{"logs": [' + b"{}," * 100_000 + b"{}]}")[0] == 413
    assert server.ask("POST", "/logs", b'{"logs": [' + b"[]," * 200_000 + b"{}]}")[0] == 413
    assert server.ask("POST", "/logs", fits)[0] == 200
    assert stored(server) == 1


def test_large_chunked_body_is_rejected(start: Start, tmp_path: Path) -> None:
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
def test_memory_for_slow_bodies_is_limited(start: Start, tmp_path: Path) -> None:
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


# Access


def test_sending_needs_the_token(guarded_server: Server) -> None:
    """A missing or wrong token gets 401, also with a large body; /health needs no token."""
    body = json.dumps({"logs": [{"message": "x" * 100_000}]}).encode()
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
        status, answer, response_headers = guarded_server.ask("POST", "/logs", body, **headers)
        assert (status, list(answer), response_headers["www-authenticate"]) == (401, ["detail"], "Bearer")

    assert guarded_server.ask("POST", "/logs", body, **_BEARER)[0] == 200
    assert guarded_server.get("/health") == {"status": "ok"}
    assert stored(guarded_server) == 1


def test_token_may_be_in_the_body(guarded_server: Server) -> None:
    """`sendBeacon` cannot set headers, so a text/plain body may contain the token; it is not stored."""
    for token, expected in ((TOKEN, 200), ("wrong", 401), (None, 401)):
        body = json.dumps({"token": token, "logs": [{"message": "bye"}]}).encode()
        assert guarded_server.ask("POST", "/logs", body, Content_Type="text/plain;charset=UTF-8")[0] == expected

    assert guarded_server.select("SELECT message, attributes FROM logs") == [("bye", None)]


def test_token_is_in_no_output(start: Start, tmp_path: Path) -> None:
    """No request, valid or not, makes the server write the token anywhere."""
    server = start(str(tmp_path / "logs.sqlite3"), CONCURRENT_LOG_TOKEN=TOKEN)
    server.send([{"message": "one"}], headers=_BEARER)
    server.ask("POST", "/logs", b"{", **_BEARER)
    server.ask("GET", f"/logs?token={TOKEN}")
    server.ask("POST", "/login", json.dumps({"token": TOKEN}).encode(), Content_Type="application/json")
    assert server.stop() == 0

    assert server.errors == ""
    assert server.process.stdout is not None
    assert TOKEN not in server.output
    assert all(TOKEN.encode() not in file.read_bytes() for file in tmp_path.iterdir())


def test_login_sets_a_session_cookie(guarded_server: Server) -> None:
    """After the login, the page has a cookie that no script and no other site can use."""
    assert guarded_server.get("/session") == {"token_needed": True, "logged_in": False}
    wrong = guarded_server.ask("POST", "/login", b'{"token": "wrong"}', Content_Type="application/json")
    right = guarded_server.ask("POST", "/login", json.dumps({"token": TOKEN}).encode(), Content_Type="application/json")
    cookie, *flags = right[2]["set-cookie"].split("; ")

    assert (wrong[0], "set-cookie" in wrong[2]) == (401, False)
    assert right[0] == 204
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(flags)
    assert TOKEN not in cookie
    assert guarded_server.get("/session", Cookie=cookie) == {"token_needed": True, "logged_in": True}
    name, expires, signature = re.split("[=.]", cookie)
    later = f"{name}={int(expires) + 1}.{signature}"
    assert guarded_server.get("/session", Cookie=later) == {"token_needed": True, "logged_in": False}
    assert guarded_server.ask("POST", "/logs", b'{"logs": []}', Cookie=cookie)[0] == 401
    assert 'concurrent_log_session=""' in guarded_server.ask("POST", "/logout")[2]["set-cookie"]


def test_login_body_is_limited(guarded_server: Server) -> None:
    """A client without a token cannot fill the memory by a login."""
    too_large = json.dumps({"token": "x" * 10_000}).encode()

    assert guarded_server.ask("POST", "/login", too_large)[0] == 413
    for body in (b"", b"{", b"[]", b'{"token": 3}', b'{"token": "' + b"x" * 2000 + b'"}', b"\xff"):
        status, answer, _ = guarded_server.ask("POST", "/login", body)
        assert (status, list(answer)) == (422, ["detail"])


def test_pages_of_other_sites_are_rejected(sqlite_server: Server) -> None:
    """Browsers send text/plain to any site without CORS, so the server checks the origin."""
    same = {"Origin": sqlite_server.url}
    other = {"Origin": "https://evil.example"}
    status, answer, headers = sqlite_server.ask("POST", "/logs", b'{"logs": []}', **other)

    assert (status, "--cors-origin" in answer["detail"]) == (403, True)
    assert "access-control-allow-origin" not in headers
    assert sqlite_server.ask("POST", "/logs", b'{"logs": []}', **same)[0] == 200
    assert sqlite_server.ask("POST", "/logs", b'{"logs": []}', Host="evil.example")[0] == 403


def test_named_origins_are_allowed(start: Start, tmp_path: Path) -> None:
    """The two named origins are allowed, and no other is."""
    server = start(str(tmp_path / "logs.sqlite3"), CONCURRENT_LOG_CORS_ORIGIN="https://a.example https://b.example")
    answers = {
        origin: server.ask("POST", "/logs", b'{"logs": []}', Origin=origin)
        for origin in ("https://a.example", "https://b.example", "https://c.example")
    }

    assert [answer[0] for answer in answers.values()] == [200, 200, 403]
    assert answers["https://b.example"][2]["access-control-allow-origin"] == "https://b.example"
    preflight = server.ask(
        "OPTIONS",
        "/logs",
        Origin="https://a.example",
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="content-type,authorization",
    )
    assert preflight[0] == 200


# The database is unavailable


class ClosableProxy:
    """A proxy for a port; while it is closed, its connections are closed, and new ones are refused."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self._listener: socket.socket | None = None

    def open(self) -> None:
        """Accept and forward connections."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._begin(self._accept, self._listener)

    def _begin(self, target: Callable[..., None], *arguments: socket.socket) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments))
        self._threads[-1].start()

    def close(self) -> None:
        """Close all connections, and refuse new ones."""
        if self._listener is not None:
            _shut(self._listener)
            self._listener.close()
        for end in self._ends:
            _shut(end)
        for thread in self._threads:
            thread.join()
        for end in self._ends:
            end.close()
        self._ends, self._threads = [], []

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(self._target)
                self._ends += [near, far]
                for ends in ((near, far), (far, near)):
                    self._begin(self._carry, *ends)

    @staticmethod
    def _carry(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := source.recv(65_536):
                target.sendall(content)
        _shut(source)
        _shut(target)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxied_postgres(postgres: str) -> Iterator[tuple[ClosableProxy, str]]:
    """Return a closed proxy for PostgreSQL, and the address of the database through it."""
    from urllib.parse import urlsplit

    parts = urlsplit(postgres)
    proxy = ClosableProxy((parts.hostname or "127.0.0.1", parts.port or 5432))
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    yield proxy, parts._replace(netloc=f"{user}127.0.0.1:{proxy.port}").geturl()
    proxy.close()


def test_server_recovers_when_the_database_returns(proxied_postgres: tuple[ClosableProxy, str], start: Start) -> None:
    """While the database is unavailable, at the start or later, requests get 503; then each record is stored once."""
    proxy, address = proxied_postgres
    server = start(address)
    body = b'{"batch_id": "b", "logs": [{"message": "one"}]}'

    status, answer, headers = server.ask("POST", "/logs", body)
    assert (status, headers["retry-after"], list(answer)) == (503, "2", ["detail"])
    assert server.ask("GET", "/health")[0] == 503
    proxy.open()
    wait_until(lambda: server.ask("POST", "/logs", body)[0] == 200)
    proxy.close()
    later = body.replace(b'"b"', b'"c"')
    assert server.ask("POST", "/logs", later)[0] == 503
    wait_until(lambda: server.ask("GET", "/health")[0] == 503)
    proxy.open()
    wait_until(lambda: server.ask("POST", "/logs", later)[0] == 200)
    wait_until(lambda: server.ask("GET", "/health")[0] == 200)
    server.ask("POST", "/logs", later)

    assert stored(server) == 2
    assert str(proxy.port) not in server.errors
    assert server.errors.count("\n") == 2


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)], indirect=True)
def test_retention_runs_at_the_start(database: str, start: Start) -> None:
    """Old records are removed when the server starts."""
    server = start(database)
    server.send([{"message": "old", "created_at": time.time() - 10 * 86_400}, {"message": "new"}])
    server.stop()
    again = start(database, "--retention-days", "7")
    wait_until(lambda: stored(again) == 1)

    assert again.select("SELECT message FROM logs") == [("new",)]


# Documentation and headers


def test_openapi_document_is_served(sqlite_server: Server) -> None:
    """The document describes all responses, and its page loads nothing from other hosts."""
    document = sqlite_server.get("/openapi.json")
    status, page, headers = sqlite_server.ask("GET", "/docs")

    assert {"200", "400", "401", "413", "415", "429", "503"} <= set(document["paths"]["/logs"]["post"]["responses"])
    assert status == 200
    assert "http://" not in page
    assert "https://" not in page
    assert "'unsafe-inline'" not in headers["content-security-policy"].partition("style-src")[0]
    assert sqlite_server.ask("GET", "/docs/static/swagger-ui-bundle.js")[0] == 200


def test_every_response_has_a_strict_policy(sqlite_server: Server) -> None:
    """The Content-Security-Policy allows only the server's own scripts."""
    for path in ("/health", "/nothing", "/openapi.json"):
        headers = sqlite_server.ask("GET", path)[2]
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
        assert headers["x-content-type-options"] == "nosniff"


def test_documentation_lists_all_options(capsys: pytest.CaptureFixture[str]) -> None:
    """``--help`` and docs/collector-server.md list the same options, and the page has each variable."""
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    shown = set(re.findall(r"^ +(--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    page = (DOCS / "collector-server.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(--[a-z-]+)` \| `(\w+)` \|", page, re.MULTILINE))

    assert set(listed) == shown - {"--help"}
    assert all(listed[option] == f"CONCURRENT_LOG_{option[2:].replace('-', '_').upper()}" for option in listed)

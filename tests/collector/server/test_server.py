"""The server takes batches over real HTTP, within its limits, and what it acknowledged is in the database.

The tests named after a bug of the original, log-collector-async and its server, say so in their first line.
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

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install 'concurrent_log[server]'")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install 'concurrent_log[server]'")

from concurrent_log.collector.server.settings import Settings
from concurrent_log.collector.server.uvicorn_server import listening
from support.collector_server import Server
from support.postgres_cluster import Cluster, programs
from support.processes import environment, wait_until

_TOKEN = "a-secret-of-the-tests"
_BEARER = {"Authorization": f"Bearer {_TOKEN}"}

Start = Callable[..., Server]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return one server on SQLite for all tests that leave nothing behind."""
    folder = tmp_path_factory.mktemp("shared")
    with Server(folder, str(folder / "logs.sqlite3")) as server:
        yield server


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return what starts a server on a database; it is killed after the test."""
    with contextlib.ExitStack() as servers:

        def started(database: str, *options: str, **variables: str) -> Server:
            return servers.enter_context(Server(tmp_path, database, *options, variables=variables))

        yield started


@pytest.fixture
def server(start: Start, database: str) -> Server:
    """Return a server as it is by default, one test with SQLite, one with PostgreSQL."""
    return start(database)


@pytest.fixture
def lite(start: Start, tmp_path: Path) -> Server:
    """Return a server on SQLite, for what no database is needed."""
    return start(str(tmp_path / "logs.sqlite3"))


@pytest.fixture
def guarded(start: Start, tmp_path: Path) -> Server:
    """Return a server with a token."""
    return start(str(tmp_path / "logs.sqlite3"), CONCURRENT_LOG_TOKEN=_TOKEN)


def stored(server: Server) -> int:
    """Return how many records its database has."""
    return int(server.select("SELECT count(*) FROM logs")[0][0])


# What it says, and how it begins and ends


def test_it_says_how_to_send_a_first_record(start: Start, tmp_path: Path) -> None:
    """The line that it prints works as it stands, with a token in the environment as well."""
    server = start(str(tmp_path / "logs.sqlite3"), CONCURRENT_LOG_TOKEN=_TOKEN)
    line = next(line for line in server.said.splitlines() if "curl" in line)
    command = line[line.index("curl") :].replace("curl", "curl -sS", 1)
    variables = {**environment(), "CONCURRENT_LOG_TOKEN": _TOKEN}
    done = subprocess.run(["bash", "-c", command], env=variables, capture_output=True, text=True, timeout=30)

    assert json.loads(done.stdout)["stored"] == 1
    assert server.select("SELECT level, message FROM logs") == [("INFO", "hello")]
    assert f"{server.url}/" in server.said
    assert _TOKEN not in server.said


def test_without_a_database_it_makes_one(tmp_path: Path) -> None:
    """The embedded database is in the data directory."""
    with Server(tmp_path, "", "--data-directory", str(tmp_path / "data")) as server:
        server.send([{"message": "one"}])

        assert (tmp_path / "data" / "logs.sqlite3").exists()
        assert str(tmp_path / "data" / "logs.sqlite3") in server.said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "0.0.0.0"], "everybody who reaches 0.0.0.0 could read and write: set CONCURRENT_LOG_TOKEN"),
        (["--host", "::"], "everybody who reaches :: could"),
        (["--port", "70000"], "port is a whole number from 0 to 65,535, not '70000'"),
        (["--retention-days", "0"], "retention-days is a whole number from 1"),
        (["--max-body", "lots"], "max-body is a size from 1K to 1G, such as 16M, not 'lots'"),
        (["--cors-origin", "shop.example"], "an origin is like https://shop.example"),
        (["--token-file", "missing.txt"], "the token's file cannot be read"),
        (["--token", "a b"], "without spaces"),
        (["--database", "/dev/null/logs"], "cannot be opened as an SQLite database"),
        (["--database", "postgresql://anna:secret@127.0.0.1:notaport/x"], "none that PostgreSQL understands"),
        (["--host", "203.0.113.1", "--token", "x"], "cannot listen at 203.0.113.1"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A wrong option ends it with status 2 and one line, in which there is no secret."""
    status = main(["serve", "--data-directory", str(tmp_path), "--port", "0", *arguments])
    said = capsys.readouterr().err

    assert status == 2
    assert words in said
    assert said.count("\n") == 1
    assert "secret@" not in said


def test_a_token_comes_from_a_file(start: Start, tmp_path: Path) -> None:
    """Other users see the options of a process, but not the content of a file."""
    (tmp_path / "token.txt").write_text(f"{_TOKEN}\n", encoding="utf-8")
    server = start(str(tmp_path / "logs.sqlite3"), "--host", "0.0.0.0", "--token-file", str(tmp_path / "token.txt"))

    assert server.ask("POST", "/logs", b'{"logs": []}')[0] == 401
    assert server.ask("POST", "/logs", b'{"logs": []}', **_BEARER)[0] == 200


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    """The command line works without the packages of the server, and names the command that installs them."""
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
        "concurrent-log serve: the server needs more packages: run pip install 'concurrent_log[server]'\n"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_it_is_told_to(server: Server, number: signal.Signals) -> None:
    """It ends with status 0, quietly, and what it acknowledged is there."""
    server.send([{"message": "one"}])

    assert server.end(number) == 0
    assert stored(server) == 1
    assert server.complaints == ""


def test_a_request_in_hand_is_finished(lite: Server) -> None:
    """A batch whose body is still coming when the server is told to end is stored and acknowledged."""
    body = b'{"logs": [{"message": "slow"}]}'
    with socket.create_connection(("127.0.0.1", lite.port)) as connection:
        connection.sendall(b"POST /logs HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body))
        connection.sendall(body[:10])
        time.sleep(0.3)  # until it waits for the rest; if it does not yet, the test is easier to pass
        lite.process.send_signal(signal.SIGTERM)
        connection.sendall(body[10:])
        answer = connection.makefile("rb").read()

    assert b'"stored":1' in answer
    assert lite.process.wait(30) == 0
    assert stored(lite) == 1


def test_what_is_acknowledged_survives_sigkill(server: Server) -> None:
    """The server killed under load: acknowledged but missing 0, stored twice 0, also of batches sent again."""

    def disturb() -> None:
        server.kill()
        server.start()

    _lose_nothing_while(server, disturb)


def test_what_is_acknowledged_survives_sigkill_of_postgresql(start: Start, cluster: Cluster) -> None:
    """PostgreSQL killed under load, with all its processes: the same, and the server goes on by itself."""
    server = start(cluster.address("postgres"))

    def disturb() -> None:
        cluster.kill()
        cluster.start()

    _lose_nothing_while(server, disturb)
    assert "Traceback" not in server.complaints


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Return a PostgreSQL of one's own."""
    folder = programs() if hasattr(os, "geteuid") else None
    if folder is None:
        reason = "initdb and postgres are not installed: install a server of PostgreSQL"
        pytest.fail(reason) if os.environ.get("CONCURRENT_LOG_REQUIRE_ALL") == "1" else pytest.skip(reason)
    with Cluster(folder) as cluster:
        yield cluster


def _lose_nothing_while(server: Server, disturb: Callable[[], None]) -> None:
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
                disturb()
            enough = len(acknowledged) + 25
            wait_until(lambda: len(acknowledged) >= enough or any(each.done() for each in senders))
        finally:
            is_over.set()
        for sender in senders:
            sender.result()
    server.end()
    messages = [message for (message,) in server.select("SELECT message FROM logs")]
    expected = {f"{batch_id}-{each}" for batch_id in acknowledged for each in range(20)}

    assert not expected - set(messages)
    assert len(messages) == len(set(messages))


def test_no_answer_waits_for_the_next_one() -> None:
    """The socket is known as TCP, on which asyncio turns Nagle's algorithm off; otherwise each answer takes 40 ms."""
    with listening(Settings("unused", port=0)) as where:
        assert where.proto == socket.IPPROTO_TCP


# The wire


def test_the_answer_counts(server: Server) -> None:
    """200 says how many came and are stored, and which are beyond repair, by index."""
    answer = server.send([{"message": "one"}, "two", None, {"message": "three"}, [4]], batch_id="b")

    assert {name: answer[name] for name in ("status", "count", "stored", "duplicate")} == {
        "status": "ok",
        "count": 5,
        "stored": 2,
        "duplicate": False,
    }
    assert answer["rejected"] == [
        {"index": 1, "reason": "a record is an object, not text"},
        {"index": 2, "reason": "a record is an object, not null"},
        {"index": 4, "reason": "a record is an object, not a list"},
    ]
    assert stored(server) == 2


def test_a_batch_that_comes_again_is_stored_once(server: Server) -> None:
    """Bug of the original: a batch that is sent again is stored twice."""
    first, second = (server.send([{"message": "one"}], batch_id="b-1", zipped=True) for _ in range(2))

    assert (first["stored"], first["duplicate"]) == (1, False)
    assert (second["stored"], second["duplicate"]) == (0, True)
    assert stored(server) == 1


def test_a_batch_is_stored_whole_or_in_parts(server: Server) -> None:
    """A part of what is stored is a duplicate; what is stored in parts is refused as too large, so that parts come."""
    server.send([{"message": "one"}, {"message": "two"}], batch_id="whole")
    part = server.send([{"message": "one"}], batch_id="whole:0-1", part_of=["whole"])
    server.send([{"message": "three"}], batch_id="parts:0-1", part_of=["parts"])
    late = json.dumps({"logs": [{"message": "three"}, {"message": "four"}], "batch_id": "parts"}).encode()
    status, answer, _ = server.ask("POST", "/logs", late)

    assert (part["stored"], part["duplicate"]) == (0, True)
    assert (status, answer) == (413, {"detail": "parts of the batch are stored: send it in these parts"})
    assert stored(server) == 3


def test_what_is_common_holds_for_each_record(server: Server) -> None:
    """A record says otherwise for itself; what is no column becomes an attribute."""
    server.send(
        [{"message": "one"}, {"message": "two", "service": "till", "shard": 2}],
        common={"service": "shop", "host": "web-1", "shard": 1, "process_id": 7},
    )

    assert server.select("SELECT service, host, process_id, attributes ->> 'shard' FROM logs ORDER BY message") == [
        ("shop", "web-1", 7, "1" if server.database.startswith("postgresql") else 1),
        ("till", "web-1", 7, "2" if server.database.startswith("postgresql") else 2),
    ]


def test_losses_and_clients_are_stored_with_the_batch(server: Server) -> None:
    """A batch of no records can still say what was lost."""
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
def test_what_is_no_batch_is_refused_in_one_line(shared: Server, body: bytes) -> None:
    """400, and nothing is stored."""
    status, answer, _ = shared.ask("POST", "/logs", body)

    assert status == 400
    assert list(answer) == ["detail"]
    assert "\n" not in answer["detail"]
    assert "Traceback" not in shared.complaints


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_compressed_body_may_be_broken(shared: Server, encoding: str) -> None:
    """Cut off, or not compressed at all: 400."""
    content = json.dumps({"logs": [{"message": "x" * 1000}]}).encode()
    good = gzip.compress(content) if encoding == "gzip" else zlib.compress(content)

    assert shared.ask("POST", "/logs", good, Content_Encoding=encoding)[0] == 200
    assert shared.ask("POST", "/logs", good[:-9], Content_Encoding=encoding)[0] == 400
    assert shared.ask("POST", "/logs", content, Content_Encoding=encoding)[0] == 400


def test_a_gzip_stream_may_have_members(shared: Server) -> None:
    """What several compressors wrote one after the other is one body, also one whose output ends with a step."""
    content = json.dumps({"logs": [{"message": "x" * ((1 << 18) - 27)}]}).encode()
    assert len(content) == 1 << 18
    parts = [gzip.compress(content[:1000]), gzip.compress(b""), gzip.compress(content[1000:])]

    assert shared.ask("POST", "/logs", b"".join(parts), Content_Encoding="gzip")[0] == 200
    assert shared.ask("POST", "/logs", gzip.compress(content), Content_Encoding="gzip")[0] == 200


def test_an_unknown_encoding_is_refused(shared: Server) -> None:
    """415 names it."""
    status, answer, _ = shared.ask("POST", "/logs", b"x", Content_Encoding="zstd")

    assert (status, "zstd" in answer["detail"]) == (415, True)


# Bugs of the original server


# What a record has besides, a column, and what is found there.
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


def test_a_strange_record_costs_no_other(server: Server) -> None:
    """Bug of the original: one bad record of ten rejects the whole batch. Here all are stored, this one normalised."""
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


def test_times_of_any_unit_are_the_same(server: Server) -> None:
    """Bug of the original: milliseconds, which its own JavaScript client sends, are the year 57861."""
    texts = ["2026-01-12T06:40:01.25Z", "2026-01-12T07:40:01.250000+01:00", "2026-01-12 06:40:01.250"]
    numbers = [1768200001.25, 1768200001250, 1768200001250000, 1768200001250000000]
    server.send([{"created_at": moment} for moment in texts + numbers])
    if server.database.startswith("postgresql"):
        sql = "SELECT DISTINCT (extract(epoch FROM created_at) * 1000000)::bigint FROM logs"
    else:
        sql = "SELECT DISTINCT created_at FROM logs"

    assert server.select(sql) == [(1_768_200_001_250_000,)]


def test_an_error_says_nothing_of_the_database(postgres: str, start: Start) -> None:
    """Bug of the original: 500 with the raw text of the database's error."""
    server = start(postgres)
    server.select("ALTER TABLE logs RENAME TO other")
    status, answer, _ = server.ask("POST", "/logs", b'{"logs": [{"message": "one"}]}')

    assert status in (500, 503)
    assert set(answer) == {"detail"}
    assert "relation" not in answer["detail"]
    assert "postgres" not in answer["detail"].lower()


# The original's own client


def test_the_original_client_is_understood(server: Server, require: Callable[[str], None], tmp_path: Path) -> None:
    """log-collector-async 1.1.1, unchanged: of 20,000 records that its queue can hold, each is stored once."""
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


def test_a_body_may_be_too_large(start: Start, tmp_path: Path) -> None:
    """413 before decompression and after, and by its records; a client that sends it all reads the answer."""
    server = start(str(tmp_path / "logs.sqlite3"), "--max-body", "1M")
    large = json.dumps({"logs": [{"message": "x" * (1 << 20)}]}).encode()
    fits = json.dumps({"logs": [{"message": "x," * 500_000}]}).encode()

    assert server.ask("POST", "/logs", large)[0] == 413
    assert server.ask("POST", "/logs", gzip.compress(large), Content_Encoding="gzip")[0] == 413
    assert server.ask("POST", "/logs", b'{"logs": [' + b"{}," * 100_000 + b"{}]}")[0] == 413
    assert server.ask("POST", "/logs", b'{"logs": [' + b"[]," * 200_000 + b"{}]}")[0] == 413
    assert server.ask("POST", "/logs", fits)[0] == 200
    assert stored(server) == 1


def test_a_chunked_body_may_be_too_large(start: Start, tmp_path: Path) -> None:
    """A body that does not say its length is measured as it comes."""
    server = start(str(tmp_path / "logs.sqlite3"), "--max-body", "1M")
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"POST /logs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(32):
            connection.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        answer = connection.recv(10_000)

    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of a process from /proc")
def test_no_body_makes_it_hold_more_than_its_limits(lite: Server) -> None:
    """Bug of the original: a decompression bomb of 1 MB takes a gigabyte, and holds up all requests."""
    lite.send([{"message": "before"}])
    before = lite.memory()
    bombs = [
        gzip.compress(b'{"logs": [{"message": "' + b"x" * (1 << 30) + b'"}]}', 1),
        gzip.compress(b'{"logs": [' + b"{}," * 5_000_000 + b"{}]}", 1),
        gzip.compress(b'{"logs": [{"a": ' + b"[" * 8_000_000 + b"]" * 8_000_000 + b"}]}", 1),
        gzip.compress(b'{"logs": [{"a": [' + b"1," * 8_000_000 + b"1]}]}", 1),
        gzip.compress(b"") * 500_000,
    ]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(lite.ask, "POST", "/logs", bomb, Content_Encoding="gzip") for bomb in bombs * 3]
        statuses = {each.result()[0] for each in sent}

    assert statuses <= {400, 413, 429}
    assert lite.memory() - before < 600 << 20
    assert lite.send([{"message": "after"}])["stored"] == 1


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of a process from /proc")
def test_many_slow_bodies_are_too_many(start: Start, tmp_path: Path) -> None:
    """Bodies that do not come to their end are held up to the limit; then others are sent away, until they are gone."""
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


def test_deep_json_costs_no_other_record(server: Server) -> None:
    """What is nested beyond reason is shortened, and all records are stored, also where another one is strange."""
    for depth in (100, 500, 100_000):
        deep = "[" * depth + "]" * depth
        for message in ("three", "\\ud800"):
            body = f'{{"logs": [{{"message": "one"}}, {{"message": "two", "a": {deep}}}, {{"message": "{message}"}}]}}'
            status, answer, _ = server.ask("POST", "/logs", body.encode())

            assert (status, answer.get("stored")) == (200, 3)


# Who may ask


def test_without_the_token_nothing_is_taken(guarded: Server) -> None:
    """401 for a wrong token and for none, also where much comes; health needs none."""
    body = json.dumps({"logs": [{"message": "x" * 100_000}]}).encode()
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {_TOKEN}"}):
        status, answer, answered = guarded.ask("POST", "/logs", body, **headers)
        assert (status, list(answer), answered["www-authenticate"]) == (401, ["detail"], "Bearer")

    assert guarded.ask("POST", "/logs", body, **_BEARER)[0] == 200
    assert guarded.get("/health") == {"status": "ok"}
    assert stored(guarded) == 1


def test_a_page_that_is_closed_has_the_token_in_its_body(guarded: Server) -> None:
    """SendBeacon has no headers, so text/plain may bring the token; it is stored nowhere."""
    for token, expected in ((_TOKEN, 200), ("wrong", 401), (None, 401)):
        body = json.dumps({"token": token, "logs": [{"message": "bye"}]}).encode()
        assert guarded.ask("POST", "/logs", body, Content_Type="text/plain;charset=UTF-8")[0] == expected

    assert guarded.select("SELECT message, attributes FROM logs") == [("bye", None)]


def test_the_token_is_in_no_output(guarded: Server, tmp_path: Path) -> None:
    """Whatever is asked, right or wrong, the token is not written anywhere."""
    guarded.send([{"message": "one"}], headers=_BEARER)
    guarded.ask("POST", "/logs", b"{", **_BEARER)
    guarded.ask("GET", f"/logs?token={_TOKEN}")
    guarded.ask("POST", "/login", json.dumps({"token": _TOKEN}).encode(), Content_Type="application/json")
    assert guarded.end() == 0

    assert guarded.complaints == ""
    assert guarded.process.stdout is not None
    assert _TOKEN not in guarded.said
    assert all(_TOKEN.encode() not in file.read_bytes() for file in tmp_path.iterdir())


def test_the_page_has_a_session(guarded: Server) -> None:
    """The token is given once, and answered with a cookie that no script and no other site can use."""
    assert guarded.get("/session") == {"token_needed": True, "logged_in": False}
    wrong = guarded.ask("POST", "/login", b'{"token": "wrong"}', Content_Type="application/json")
    right = guarded.ask("POST", "/login", json.dumps({"token": _TOKEN}).encode(), Content_Type="application/json")
    cookie, *flags = right[2]["set-cookie"].split("; ")

    assert (wrong[0], "set-cookie" in wrong[2]) == (401, False)
    assert right[0] == 204
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(flags)
    assert _TOKEN not in cookie
    assert guarded.get("/session", Cookie=cookie) == {"token_needed": True, "logged_in": True}
    name, expires, signature = re.split("[=.]", cookie)
    later = f"{name}={int(expires) + 1}.{signature}"
    assert guarded.get("/session", Cookie=later) == {"token_needed": True, "logged_in": False}
    assert guarded.ask("POST", "/logs", b'{"logs": []}', Cookie=cookie)[0] == 401
    assert 'concurrent_log_session=""' in guarded.ask("POST", "/logout")[2]["set-cookie"]


def test_a_login_is_a_small_object(guarded: Server) -> None:
    """Who has no token yet can make the server hold nothing by asking for a session."""
    too_large = json.dumps({"token": "x" * 10_000}).encode()

    assert guarded.ask("POST", "/login", too_large)[0] == 413
    for body in (b"", b"{", b"[]", b'{"token": 3}', b'{"token": "' + b"x" * 2000 + b'"}', b"\xff"):
        status, answer, _ = guarded.ask("POST", "/login", body)
        assert (status, list(answer)) == (422, ["detail"])


def test_pages_of_other_sites_are_refused(shared: Server) -> None:
    """A browser sends text/plain anywhere, without asking; CORS is closed."""
    same = {"Origin": shared.url}
    other = {"Origin": "https://evil.example"}
    status, answer, headers = shared.ask("POST", "/logs", b'{"logs": []}', **other)

    assert (status, "--cors-origin" in answer["detail"]) == (403, True)
    assert "access-control-allow-origin" not in headers
    assert shared.ask("POST", "/logs", b'{"logs": []}', **same)[0] == 200
    assert shared.ask("POST", "/logs", b'{"logs": []}', Host="evil.example")[0] == 403


def test_cors_is_opened_for_named_origins(start: Start, tmp_path: Path) -> None:
    """Named twice, allowed twice; nobody else is."""
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


# The database away


class Way:
    """A way to a port that can be closed: connections through it end, and new ones are refused."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self._listener: socket.socket | None = None

    def open(self) -> None:
        """Let connections through."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._begin(self._accept, self._listener)

    def _begin(self, target: Callable[..., None], *arguments: socket.socket) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments))
        self._threads[-1].start()

    def close(self) -> None:
        """End all connections, and refuse new ones."""
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
def way(postgres: str) -> Iterator[tuple[Way, str]]:
    """Return a closed way to PostgreSQL, and the address that goes by it."""
    from urllib.parse import urlsplit

    parts = urlsplit(postgres)
    way = Way((parts.hostname or "127.0.0.1", parts.port or 5432))
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    yield way, parts._replace(netloc=f"{user}127.0.0.1:{way.port}").geturl()
    way.close()


def test_it_waits_for_a_database_that_is_away(way: tuple[Way, str], start: Start) -> None:
    """503 with Retry-After while it is away, at the start and later; then records are stored, each once."""
    door, address = way
    server = start(address)
    body = b'{"batch_id": "b", "logs": [{"message": "one"}]}'

    status, answer, headers = server.ask("POST", "/logs", body)
    assert (status, headers["retry-after"], list(answer)) == (503, "2", ["detail"])
    assert server.ask("GET", "/health")[0] == 503
    door.open()
    wait_until(lambda: server.ask("POST", "/logs", body)[0] == 200)
    door.close()
    later = body.replace(b'"b"', b'"c"')
    assert server.ask("POST", "/logs", later)[0] == 503
    wait_until(lambda: server.ask("GET", "/health")[0] == 503)
    door.open()
    wait_until(lambda: server.ask("POST", "/logs", later)[0] == 200)
    wait_until(lambda: server.ask("GET", "/health")[0] == 200)
    server.ask("POST", "/logs", later)

    assert stored(server) == 2
    assert str(door.port) not in server.complaints
    assert server.complaints.count("\n") == 2


def test_retention_runs_by_itself(database: str, start: Start) -> None:
    """What is older than it may be is removed when the server starts."""
    server = start(database)
    server.send([{"message": "old", "created_at": time.time() - 10 * 86_400}, {"message": "new"}])
    server.end()
    again = start(database, "--retention-days", "7")
    wait_until(lambda: stored(again) == 1)

    assert again.select("SELECT message FROM logs") == [("new",)]


# What it documents


def test_the_routes_are_documented(shared: Server) -> None:
    """FastAPI's own page, with nothing from outside, and what each answer means."""
    document = shared.get("/openapi.json")
    status, page, headers = shared.ask("GET", "/docs")

    assert {"200", "400", "401", "413", "415", "429", "503"} <= set(document["paths"]["/logs"]["post"]["responses"])
    assert status == 200
    assert "http://" not in page
    assert "https://" not in page
    assert "'unsafe-inline'" not in headers["content-security-policy"].partition("style-src")[0]
    assert shared.ask("GET", "/docs/static/swagger-ui-bundle.js")[0] == 200


def test_every_answer_has_a_strict_policy(shared: Server) -> None:
    """No page of it runs what is not its own, whatever a message says."""
    for path in ("/health", "/nothing", "/openapi.json"):
        headers = shared.ask("GET", path)[2]
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
        assert headers["x-content-type-options"] == "nosniff"


def test_the_page_for_operators_has_all_options(capsys: pytest.CaptureFixture[str]) -> None:
    """What ``--help`` shows, and what docs/collector-server.md says with its variable, are the same options."""
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    shown = set(re.findall(r"^ +(--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    page = (DOCS / "collector-server.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(--[a-z-]+)` \| `(\w+)` \|", page, re.MULTILINE))

    assert set(listed) == shown - {"--help"}
    assert all(listed[option] == f"CONCURRENT_LOG_{option[2:].replace('-', '_').upper()}" for option in listed)

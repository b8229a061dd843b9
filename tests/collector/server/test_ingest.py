"""``POST /logs`` stores batches, and rejects invalid bodies.

Tests for a bug of the original, log-collector-async and its server, say so in their docstring.
"""

import gzip
import json
import subprocess
import sys
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.deadlines import DEADLINE
from support.paths import PROGRAMS

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from collector.server.conftest import StartServer
from support.collector_server import Server
from support.processes import environment


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
    assert server.count() == 2


def test_repeated_batch_is_stored_once(server: Server) -> None:
    """Bug of the original: a batch that is sent again is stored twice."""
    first, second = (server.send([{"message": "one"}], batch_id="b-1", zipped=True) for _ in range(2))

    assert (first["stored"], first["duplicate"]) == (1, False)
    assert (second["stored"], second["duplicate"]) == (0, True)
    assert server.count() == 1


def test_other_records_under_a_known_id_get_409(server: Server) -> None:
    """They are no duplicate, so that they are not lost silently; what else differs does not matter."""
    loss = {"reason": "queue full", "records": 2, "since": 1.0}
    server.send([{"message": "one"}], batch_id="b-1", common={"process_id": 1})
    again = server.send([{"message": "one"}], batch_id="b-1", common={"process_id": 2}, dropped=[loss], zipped=True)
    body = json.dumps({"logs": [{"message": "two"}], "batch_id": "b-1", "common": {"process_id": 1}}).encode()
    status, answer, headers = server.ask("POST", "/logs", body)

    assert again["duplicate"]
    assert (status, "retry-after" in headers) == (409, False)
    assert answer == {"detail": "other records are stored under this batch_id: send these under another one"}
    assert server.count() == 1


def test_batch_is_stored_whole_or_in_parts(server: Server) -> None:
    """A part of a stored batch is a duplicate; a batch with stored parts gets 413, so that the client sends parts."""
    server.send([{"message": "one"}, {"message": "two"}], batch_id="whole")
    part = server.send([{"message": "one"}], batch_id="whole:0-1", part_of=["whole"])
    server.send([{"message": "three"}], batch_id="parts:0-1", part_of=["parts"])
    whole = json.dumps({"logs": [{"message": "three"}, {"message": "four"}], "batch_id": "parts"}).encode()
    status, answer, _ = server.ask("POST", "/logs", whole)

    assert (part["stored"], part["duplicate"]) == (0, True)
    assert (status, answer) == (413, {"detail": "parts of the batch are stored: send it in these parts"})
    assert server.count() == 3


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
        b"[",
        b"3",
        b"{}",
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
    status, answer, _ = sqlite_server.ask("POST", "/logs", b"x", Content_Encoding="br")

    assert (status, "'br'" in answer["detail"]) == (415, True)


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


def test_error_does_not_reveal_the_database(postgres: str, start: StartServer) -> None:
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
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stderr

    assert server.select("SELECT count(*), count(DISTINCT message) FROM logs") == [(20_000, 20_000)]
    assert server.select("SELECT DISTINCT level, service, environment, user_id FROM logs") == [
        ("INFO", "shop", "production", "123")
    ]

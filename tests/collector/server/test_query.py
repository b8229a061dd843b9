"""Queries over HTTP: the responses are as documented, for any parameters."""

import asyncio
import concurrent.futures
import csv
import io
import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

import msgspec

from collector.server.conftest import TOKEN
from concurrent_log.collector.server.query.downloads import csv_rows
from concurrent_log.collector.store.reader import RecordPage
from support.collector_server import Server
from support.processes import environment

_BEARER = {"Authorization": f"Bearer {TOKEN}"}
_PATHS = [
    "/logs",
    "/logs/1-1",
    "/logs/1-1/context",
    "/histogram",
    "/values?field=service",
    "/groups",
    "/services",
    "/stats",
    "/live",
    "/download",
]


def numbered(count: int, **fields: Any) -> list[dict[str, Any]]:
    """Return records with different messages and times."""
    begin = int(time.time()) - count
    return [
        {"message": f"{number}", "created_at": begin + number, "level": "INFO", **fields} for number in range(count)
    ]


@pytest.mark.parametrize("wrong", ["2199-01-01T00:00:00Z", "1970-01-01T00:00:10Z", "an hour ahead"])
def test_one_wrong_clock_spoils_no_view(server: Server, wrong: str) -> None:
    """The record is marked, and has the time of its arrival; the histogram and the order of the others stay."""
    now = time.time()
    moment = now + 3600 if wrong == "an hour ahead" else wrong
    records = [{"message": f"normal {number}", "created_at": now - 60 + number} for number in range(50)]
    server.send(records)
    before = server.get("/histogram?since=15m&buckets=60")
    server.send([{"message": "wrong", "created_at": moment, "sequence": 1}])
    server.send([{"message": "later"}])
    after = server.get("/histogram?since=15m&buckets=60")
    newest = [record["message"] for record in server.get("/logs?since=15m&limit=3")["logs"]]
    marked = server.get("/logs?where=wrong_clock!=")["logs"]

    assert after["step"] == before["step"]
    assert server.get("/histogram?buckets=60")["step"] <= 2
    assert newest == ["later", "wrong", "normal 49"]
    assert [record["message"] for record in marked] == ["wrong"]


def test_pages_contain_each_record_once(server: Server) -> None:
    """Page by page, newest first, each record is returned once; the last page has no cursor."""
    server.send(numbered(25))
    found, cursor = [], ""
    while cursor is not None:
        page = server.get(f"/logs?limit=10{cursor and f'&cursor={cursor}'}")
        found.append([record["message"] for record in page["logs"]])
        cursor = page["next"]

    assert found == [[str(n) for n in range(24, 14, -1)], [str(n) for n in range(14, 4, -1)], ["4", "3", "2", "1", "0"]]


def test_record_and_its_context(server: Server) -> None:
    """A record is found by its id; its context is from the same process."""
    server.send(numbered(9, host="web-1"))
    server.send(numbered(9, host="web-2"))
    record = next(each for each in server.get("/logs?where=host=web-1")["logs"] if each["message"] == "4")
    context = server.get(f"/logs/{record['id']}/context?before=2&after=1")["logs"]

    assert server.get(f"/logs/{record['id']}") == record
    assert [(each["message"], each["host"]) for each in context] == [(n, "web-1") for n in "2345"]
    assert server.ask("GET", "/logs/1-1")[:2] == (404, {"detail": "there is no record 1-1"})
    assert server.ask("GET", "/logs/1-1/context")[:2] == (404, {"detail": "there is no record 1-1"})


def test_each_filter_works(server: Server) -> None:
    """Each filter finds the records that the documentation describes."""
    server.send(
        [
            {"message": "a", "level": "ERROR", "service": "shop", "environment": "production", "host": "h1", "n": 3},
            {"message": "Ärger", "level": "WARN", "service": "pay", "trace_id": "t", "host": "h2", "created_at": 1e9},
            {"message": "x", "stack_trace": "KeyError: 'q'", "service": "shop", "n": "3", "error_type": "KeyError"},
        ]
    )

    def found(**parameters: Any) -> str:
        return "".join(
            each["message"][0] for each in server.get(f"/logs?{urlencode(parameters, doseq=True)}")["logs"][::-1]
        )

    assert found() == "Äax"
    assert found(level="WARN") == "Äa"
    assert found(service=["shop", "pay"]) == "Äax"
    assert found(service="shop", level="error") == "a"
    assert found(environment="production") == "a"
    assert found(host=["h1", "h2"]) == "Äa"
    assert found(trace_id="t") == "Ä"
    assert found(q="keyerror") == "x"
    assert found(q="ÄRG") == "Ä"
    assert found(where="n=3") == "ax"
    assert found(where=["n=3", "error_type!=KeyError"]) == "a"
    assert found(where="n=") == "Ä"
    assert found(since="1h") == "ax"
    assert found(until="2001-09-09T01:46:41Z") == "Ä"
    assert found(order="asc")[::-1] == "Äax"


def test_histogram_covers_the_range(server: Server) -> None:
    """Every step is listed, even without records, and the counts include all records."""
    server.send([*numbered(60), *numbered(5, level="ERROR")])
    found = server.get("/histogram?since=1h&buckets=30")
    counted = [sum(bucket["counts"].get(level, 0) for bucket in found["buckets"]) for level in ("INFO", "ERROR")]

    assert counted == [60, 5]
    assert found["step"] == 300
    assert 12 <= len(found["buckets"]) <= 14
    assert found["since"] == found["buckets"][0]["start"]


def test_values_and_stats(new_server: Server) -> None:
    """The values of a column are counted for the last day, the statistics for all records."""
    new_server.send(
        [{"service": "shop"}, {"service": "shop"}, {"service": "pay"}, {"service": "old", "created_at": 1e9}]
    )
    stats = new_server.get("/stats")

    assert new_server.get("/values?field=service")["values"] == [
        {"value": "shop", "count": 2},
        {"value": "pay", "count": 1},
    ]
    assert stats["total_logs"] == 4
    assert {each["service"]: each["records"] for each in stats["services"]} == {"shop": 2, "pay": 1, "old": 1}
    assert (len(stats["partitions"]) > 0) is new_server.database.startswith("postgresql")


def test_groups_contain_records_with_the_same_message(server: Server) -> None:
    """Records that differ only in numbers are one group, with the id of the newest."""
    server.send(numbered(30, service="shop", error_type="E", level="ERROR"))
    server.send([{"message": "no answer in 3 s", "service": name, "level": "WARN"} for name in ("a", "b")])
    found = server.get("/groups?level=WARN&limit=1")
    group = found["groups"][0]

    assert (group["level"], group["error_type"], group["message"], group["count"]) == ("ERROR", "E", "<*>", 30)
    assert group["services"] == ["shop"]
    assert server.get(f"/logs/{group['newest']}")["created_at"] == group["last_seen"]
    assert (found["looked_at"], found["others"], found["is_sample"]) == (32, 2, False)
    assert [each["services"] for each in server.get("/groups?q=answer")["groups"]] == [["a", "b"]]
    assert server.get("/groups?service=unknown")["groups"] == []
    assert server.ask("GET", "/groups?limit=1001")[0] == 422


def test_download_is_exact(server: Server) -> None:
    """The file has every matching record exactly, oldest first."""
    for start in range(5):
        server.send([{"message": f"{start}-{number} \u2028 ü", "n": number} for number in range(700)])
    content = server.ask("GET", "/download?where=n!=5")[1]
    records = [json.loads(line) for line in content.split("\n")[:-1]]
    listed = server.get("/logs?where=n!=5&limit=1000&order=asc")["logs"]

    assert len(records) == 5 * 699
    assert records[:1000] == listed
    assert len({record["id"] for record in records}) == len(records)
    assert [record["created_at"] for record in records] == sorted(record["created_at"] for record in records)


_FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\uff1d1", "=cmd|' /C calc'!A0", "\n-2"]


def test_csv_has_no_formulas(server: Server) -> None:
    """Text that a spreadsheet would execute begins with an apostrophe; other text and all numbers are exact."""
    harmless = ["a=1", 'quote " and, comma', "line\nbreak", "1-1", "'"]
    server.send([{"message": text, "service": text, "duration_ms": -1.5} for text in [*_FORMULAS, *harmless]])
    _, content, headers = server.ask("GET", "/download?format=csv&order=desc")
    rows = list(csv.DictReader(io.StringIO(content, newline="")))[::-1]

    assert headers["content-type"] == "text/csv; charset=utf-8"
    assert headers["content-disposition"] == 'attachment; filename="logs.csv"'
    assert [row["message"] for row in rows] == [*(f"'{text}" for text in _FORMULAS), *harmless]
    assert [row["service"] for row in rows] == [row["message"] for row in rows]
    assert {row["duration_ms"] for row in rows} == {"-1.5"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a;=1+1", "a;'=1+1"),
        ("a; @SUM(A1)", "a; '@SUM(A1)"),
        ("a\t-2", "a\t'-2"),
        ('a;"=cmd', "a;\"'=cmd"),
        ("a;b=1", "a;b=1"),
    ],
)
def test_csv_has_no_formulas_between_semicolons(text: str, expected: str) -> None:
    """A spreadsheet may separate by semicolons or tabs instead of commas; each of these begins a cell then."""
    attributes = msgspec.Raw(b'{"a":"x;=1"}')
    content = csv_rows(RecordPage([{"message": text, "attributes": attributes}], None)).decode()
    row = next(csv.reader([content.rstrip("\r\n")], strict=True))

    assert expected in row
    assert """{"a":"x;'=1"}""" in row


def test_csv_attributes_are_not_formulas(sqlite_server: Server) -> None:
    """Attributes are one cell of JSON, which always begins with a brace."""
    sqlite_server.send([{"message": "a", "=key": "=1", "b": '"'}])
    rows = list(csv.DictReader(io.StringIO(sqlite_server.ask("GET", "/download?format=csv")[1], newline="")))

    assert json.loads(rows[0]["attributes"]) == {"=key": "=1", "b": '"'}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process from /proc")
def test_download_uses_little_memory(new_sqlite_server: Server) -> None:
    """A download of 100 MB is not held in memory, and neither is a second one to a client that does not read."""
    for _ in range(20):
        new_sqlite_server.send([{"message": "x" * 5000} for _ in range(1000)], zipped=True)
    before = new_sqlite_server.memory()
    with socket.create_connection(("127.0.0.1", new_sqlite_server.port)) as slow:
        slow.sendall(b"GET /download HTTP/1.1\r\nHost: localhost\r\n\r\n")
        content = new_sqlite_server.ask("GET", "/download")[1]

        assert len(content) > 100_000_000
        assert new_sqlite_server.memory() - before < 90_000_000


@pytest.mark.parametrize("path", _PATHS)
def test_reading_needs_the_token(guarded_server: Server, path: str) -> None:
    """Without the token, no route returns anything, for valid and invalid parameters."""
    assert guarded_server.ask("GET", path)[0] == 401
    assert guarded_server.ask("GET", path, Authorization="Bearer wrong")[0] == 401
    assert guarded_server.ask("GET", f"{path.partition('?')[0]}?nonsense=1")[0] in (401, 422)
    if path != "/live":
        assert guarded_server.ask("GET", path, **_BEARER)[0] in (200, 404)


@pytest.mark.parametrize(
    "query",
    [
        "since=0001-01-01",
        "since=99999999999999999999",
        "limit=99999999999999999999999",
        "limit=-1",
        "cursor=99999999999999999999-1",
        "cursor=%00",
        "where=%00",
        "order=%00",
        "level=%F0%9F%98%80",
        "service=" + "x" * 1001,
        "limit=10&limit=x",
        "nonsense=1",
    ],
)
def test_invalid_parameter_has_a_one_line_message(sqlite_server: Server, query: str) -> None:
    """The status is 422, and one line names the mistake."""
    for path in ("/logs", "/groups", "/services", "/live"):
        status, answer, _ = sqlite_server.ask("GET", f"{path}?{query}")

        assert status == 422
        assert set(answer) == {"detail"}
        assert "\n" not in answer["detail"]
        assert len(answer["detail"]) < 300


@pytest.mark.parametrize(
    "query",
    [
        "service=%00&service=%F0%9F%98%80",
        "q=%00%25_%5C",
        "where=%00=%00&where=a!=%00",
        "where=line_number=99999999999999999999999999999999&where=duration_ms!=1e999",
        "where=n=1e99&where=n=-0.0&where=n=99999999999999999999999999999",
        "where=" + quote("a.b.c.d.e.f.g.h=1"),
        "where=" + quote('"\\=1'),
        "since=1970-01-01&until=2199-12-31T23:59:59.999999999+23:59",
        "cursor=999999999999999999-999999999999999999",
        "cursor=0-0&order=asc",
        "q=" + quote(" ".join(f"{n:x}" for n in range(230))),
        "&".join(f"where=k{n}.x!={n}" for n in range(50)),
        "&".join(f"service=s{n}" for n in range(50)),
        "q=%ff%fe&service=%ed%a0%80",
    ],
)
def test_unusual_parameter_is_accepted(server: Server, query: str) -> None:
    """Every query accepts unusual but valid parameters."""
    server.send([{"message": "one", "a": 1, "n": 1e99, "s": {"x": [1]}}])
    for path in ("/logs?", "/histogram?", "/values?field=service&", "/groups?", "/download?"):
        if "cursor" not in query or path == "/logs?":
            status, answer, _ = server.ask("GET", path + query)

            assert status == 200, answer


@pytest.mark.slow
def test_slow_query_is_stopped(postgres: str, tmp_path: Path) -> None:
    """A query that takes too long gets 504 with a remedy; too many of them get 503 with Retry-After."""
    import asyncpg

    async def test(server: Server) -> None:
        connection = await asyncpg.connect(postgres, server_settings={"search_path": "concurrent_log"})
        async with connection.transaction():
            await connection.execute("LOCK TABLE logs IN ACCESS EXCLUSIVE MODE")
            loop = asyncio.get_running_loop()
            with concurrent.futures.ThreadPoolExecutor(9) as threads:
                requests = [loop.run_in_executor(threads, server.ask, "GET", "/logs") for _ in range(9)]
                responses = await asyncio.gather(*requests)
        await connection.close()

        statuses = [status for status, _, _ in responses]
        assert statuses.count(504) >= 4  # A request that comes late finds a free place, and waits as long.
        assert statuses.count(503) >= 1
        assert set(statuses) == {503, 504}
        for status, answer, headers in responses:
            message = "narrow the time range" if status == 504 else "too many queries at the same time"
            assert message in answer["detail"]
            assert ("retry-after" in headers) is (status == 503)
        assert server.get("/logs")["logs"] == []

    with Server(tmp_path, postgres) as server:
        asyncio.run(test(server))


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["coverage", pytest.param("fuzzing", marks=pytest.mark.long)])
def test_schemathesis_finds_no_issues(tmp_path: Path, database: str, phase: str) -> None:
    """For generated requests, valid or not, every response is as the OpenAPI document describes."""
    with Server(tmp_path, database, variables={"CONCURRENT_LOG_TOKEN": TOKEN}) as server:
        server.send(
            [{"message": f"{number}", "service": "shop", "customer": "Ada"} for number in range(20)], headers=_BEARER
        )
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"]
        # Without the stream, which never ends; its parameters are those of the other routes.
        options = [
            "--include-tag",
            "reading",
            "--exclude-path",
            "/live",
            "--warnings",
            "off",
            "--generation-deterministic",
        ]
        options += ["--phases", phase, "--max-examples", "20", "-H", f"Authorization: Bearer {TOKEN}"]
        run = subprocess.run(
            [*command, *options], cwd=tmp_path, env={**environment(), "NO_COLOR": "1"}, capture_output=True, text=True
        )

        assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]
        assert "No issues found" in run.stdout

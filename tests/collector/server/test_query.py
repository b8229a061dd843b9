"""What people ask over HTTP is answered as the contract says, whatever they ask."""

import asyncio
import concurrent.futures
import csv
import io
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install 'concurrent_log[server]'")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install 'concurrent_log[server]'")

from support.collector_server import Server
from support.processes import environment

_TOKEN = "a-secret-of-the-tests"
_BEARER = {"Authorization": f"Bearer {_TOKEN}"}
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


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, shared_database: str) -> Iterator[Server]:
    """Return one server with one record for all questions that leave nothing behind, on each database."""
    with Server(tmp_path_factory.mktemp("shared"), shared_database) as server:
        server.send([{"message": "one", "a": 1, "n": 1e99, "s": {"x": [1]}}])
        yield server


@pytest.fixture(scope="module")
def shared_lite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return one server on SQLite for all that is refused before a database is asked."""
    folder = tmp_path_factory.mktemp("shared")
    with Server(folder, str(folder / "logs.sqlite3")) as server:
        yield server


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return one server with a token for all who do not know it."""
    folder = tmp_path_factory.mktemp("guarded")
    with Server(folder, str(folder / "logs.sqlite3"), variables={"CONCURRENT_LOG_TOKEN": _TOKEN}) as server:
        yield server


@pytest.fixture
def server(tmp_path: Path, database: str) -> Iterator[Server]:
    """Return a server, one test with SQLite, one with PostgreSQL."""
    with Server(tmp_path, database) as server:
        yield server


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Server]:
    """Return a server on SQLite, for what no database matters to."""
    with Server(tmp_path, str(tmp_path / "logs.sqlite3")) as server:
        yield server


def numbered(count: int, **fields: Any) -> list[dict[str, Any]]:
    """Return records that differ in their message and time."""
    begin = int(time.time()) - count
    return [
        {"message": f"{number}", "created_at": begin + number, "level": "INFO", **fields} for number in range(count)
    ]


def test_pages_lead_through_everything(server: Server) -> None:
    """Page by page, newest first, each record comes once; the last page leads nowhere."""
    server.send(numbered(25))
    found, cursor = [], ""
    while cursor is not None:
        page = server.get(f"/logs?limit=10{cursor and f'&cursor={cursor}'}")
        found.append([record["message"] for record in page["logs"]])
        cursor = page["next"]

    assert found == [[str(n) for n in range(24, 14, -1)], [str(n) for n in range(14, 4, -1)], ["4", "3", "2", "1", "0"]]


def test_record_and_its_neighbours(server: Server) -> None:
    """A record is found by its id, and so are those around it, in the process that it is from."""
    server.send(numbered(9, host="web-1"))
    server.send(numbered(9, host="web-2"))
    record = next(each for each in server.get("/logs?where=host=web-1")["logs"] if each["message"] == "4")
    around = server.get(f"/logs/{record['id']}/context?before=2&after=1")["logs"]

    assert server.get(f"/logs/{record['id']}") == record
    assert [(each["message"], each["host"]) for each in around] == [(n, "web-1") for n in "2345"]
    assert server.ask("GET", "/logs/1-1")[:2] == (404, {"detail": "there is no record 1-1"})
    assert server.ask("GET", "/logs/1-1/context")[:2] == (404, {"detail": "there is no record 1-1"})


def test_filters_come_from_the_url(server: Server) -> None:
    """Each filter of the contract does what it says."""
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
    """Every step is there, also where nothing happened, and their counts are all records."""
    server.send([*numbered(60), *numbered(5, level="ERROR")])
    found = server.get("/histogram?since=1h&buckets=30")
    counted = [sum(bucket["counts"].get(level, 0) for bucket in found["buckets"]) for level in ("INFO", "ERROR")]

    assert counted == [60, 5]
    assert found["step"] == 300
    assert 12 <= len(found["buckets"]) <= 14
    assert found["since"] == found["buckets"][0]["start"]


def test_values_and_stats(server: Server) -> None:
    """The services are known with how many records they have, of the last day; the figures know of all."""
    server.send([{"service": "shop"}, {"service": "shop"}, {"service": "pay"}, {"service": "old", "created_at": 1e9}])
    stats = server.get("/stats")

    assert server.get("/values?field=service")["values"] == [
        {"value": "shop", "count": 2},
        {"value": "pay", "count": 1},
    ]
    assert stats["total_logs"] == 4
    assert {each["service"]: each["records"] for each in stats["services"]} == {"shop": 2, "pay": 1, "old": 1}
    assert (len(stats["partitions"]) > 0) is server.database.startswith("postgresql")


def test_groups_are_of_what_says_the_same(server: Server) -> None:
    """Records that differ in numbers only are one group, of those that the filters find, with an example."""
    server.send(numbered(30, service="shop", error_type="E", level="ERROR"))
    server.send([{"message": "no answer in 3 s", "service": name, "level": "WARN"} for name in ("a", "b")])
    found = server.get("/groups?level=WARN&limit=1")
    group = found["groups"][0]

    assert (group["level"], group["error_type"], group["message"], group["count"]) == ("ERROR", "E", "<*>", 30)
    assert group["services"] == ["shop"]
    assert server.get(f"/logs/{group['newest']}")["created_at"] == group["last_seen"]
    assert (found["looked_at"], found["others"], found["is_sample"]) == (32, 2, False)
    assert [each["services"] for each in server.get("/groups?q=answer")["groups"]] == [["a", "b"]]
    assert server.get("/groups?service=nobody")["groups"] == []
    assert server.ask("GET", "/groups?limit=1001")[0] == 422


def test_download_is_exact(server: Server) -> None:
    """The file has each record that the filters find as it is, oldest first; as many as there are."""
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


def test_table_has_no_formulas(server: Server) -> None:
    """What a spreadsheet would calculate begins with an apostrophe; all else, and every number, is as it was."""
    harmless = ["a=1", 'quote " and, comma', "line\nbreak", "1-1", "'"]
    server.send([{"message": text, "service": text, "duration_ms": -1.5} for text in [*_FORMULAS, *harmless]])
    _, content, headers = server.ask("GET", "/download?format=csv&order=desc")
    rows = list(csv.DictReader(io.StringIO(content, newline="")))[::-1]

    assert headers["content-type"] == "text/csv; charset=utf-8"
    assert headers["content-disposition"] == 'attachment; filename="logs.csv"'
    assert [row["message"] for row in rows] == [*(f"'{text}" for text in _FORMULAS), *harmless]
    assert [row["service"] for row in rows] == [row["message"] for row in rows]
    assert {row["duration_ms"] for row in rows} == {"-1.5"}


def test_attributes_are_no_formulas_either(lite: Server) -> None:
    """Attributes are one cell of JSON, which begins with a brace whatever is in them."""
    lite.send([{"message": "a", "=key": "=1", "b": '"'}])
    rows = list(csv.DictReader(io.StringIO(lite.ask("GET", "/download?format=csv")[1], newline="")))

    assert json.loads(rows[0]["attributes"]) == {"=key": "=1", "b": '"'}


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_download_needs_no_memory(lite: Server) -> None:
    """A download of 100 MB is never held: nor are two, of which one goes to a client that does not read."""
    for _ in range(20):
        lite.send([{"message": "x" * 5000} for _ in range(1000)], zipped=True)
    before = lite.memory()
    with socket.create_connection(("127.0.0.1", lite.port)) as slow:
        slow.sendall(b"GET /download HTTP/1.1\r\nHost: localhost\r\n\r\n")
        content = lite.ask("GET", "/download")[1]

        assert len(content) > 100_000_000
        assert lite.memory() - before < 90_000_000


@pytest.mark.parametrize("path", _PATHS)
def test_nothing_is_read_without_the_token(guarded: Server, path: str) -> None:
    """Who does not know the token learns nothing, from no path, whether the parameters are right or not."""
    assert guarded.ask("GET", path)[0] == 401
    assert guarded.ask("GET", path, Authorization="Bearer wrong")[0] == 401
    assert guarded.ask("GET", f"{path.partition('?')[0]}?nonsense=1")[0] in (401, 422)
    if path != "/live":
        assert guarded.ask("GET", path, **_BEARER)[0] in (200, 404)


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
def test_wrong_parameter_is_refused_in_one_line(shared_lite: Server, query: str) -> None:
    """It is the client's mistake, and one line says which."""
    for path in ("/logs", "/groups", "/services", "/live"):
        status, answer, _ = shared_lite.ask("GET", f"{path}?{query}")

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
def test_strange_parameter_is_answered(shared: Server, query: str) -> None:
    """Whatever is asked for that makes sense is answered, by each query in the same way."""
    for path in ("/logs?", "/histogram?", "/values?field=service&", "/groups?", "/download?"):
        if "cursor" not in query or path == "/logs?":
            status, answer, _ = shared.ask("GET", path + query)

            assert status == 200, answer


def test_question_that_takes_too_long_is_stopped(postgres: str, tmp_path: Path) -> None:
    """It is answered with 504 and what to do, and a crowd of them with 503 and when to ask again."""
    import asyncpg

    async def test(server: Server) -> None:
        connection = await asyncpg.connect(postgres, server_settings={"search_path": "concurrent_log"})
        async with connection.transaction():
            await connection.execute("LOCK TABLE logs IN ACCESS EXCLUSIVE MODE")
            loop = asyncio.get_running_loop()
            with concurrent.futures.ThreadPoolExecutor(9) as threads:
                asked = [loop.run_in_executor(threads, server.ask, "GET", "/logs") for _ in range(9)]
                answers = await asyncio.gather(*asked)
        await connection.close()

        assert [status for status, _, _ in answers].count(504) == 6
        assert [status for status, _, _ in answers].count(503) == 3
        for status, answer, headers in answers:
            words = "narrow the time range" if status == 504 else "too many queries at the same time"
            assert words in answer["detail"]
            assert ("retry-after" in headers) is (status == 503)
        assert server.get("/logs")["logs"] == []

    with Server(tmp_path, postgres) as server:
        asyncio.run(test(server))


@pytest.mark.parametrize("phase", ["coverage", "fuzzing"])
def test_schemathesis_finds_nothing(tmp_path: Path, database: str, phase: str) -> None:
    """No request that it makes of the OpenAPI document, valid or not, is answered otherwise than documented."""
    with Server(tmp_path, database, variables={"CONCURRENT_LOG_TOKEN": _TOKEN}) as server:
        server.send(
            [{"message": f"{number}", "service": "shop", "customer": "Ada"} for number in range(20)], headers=_BEARER
        )
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"]
        # Not the stream that never ends, whose parameters are those of the others.
        options = [
            "--include-tag",
            "reading",
            "--exclude-path",
            "/live",
            "--warnings",
            "off",
            "--generation-deterministic",
        ]
        options += ["--phases", phase, "--max-examples", "20", "-H", f"Authorization: Bearer {_TOKEN}"]
        run = subprocess.run(
            [*command, *options], cwd=tmp_path, env={**environment(), "NO_COLOR": "1"}, capture_output=True, text=True
        )

        assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]
        assert "No issues found" in run.stdout

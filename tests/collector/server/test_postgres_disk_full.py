"""A full disk of PostgreSQL: intake gets 503, reading goes on, and all resumes without a restart by hand."""

import json
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from collector.server.conftest import StartServer
from collector.server.test_disk_full import ballast
from support.collector_server import execute
from support.postgres_cluster import Cluster, programs
from support.processes import wait_until

pytestmark = pytest.mark.slow

_SIZE = 32  # MiB
_BODY = json.dumps({"batch_id": "b", "logs": [{"message": "b" * 5000}] * 1000}).encode()


@pytest.fixture
def disk(mount: Callable[..., None]) -> Iterator[pathlib.Path]:
    """Return the folder of a small disk that PostgreSQL may use."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="disk-"))
    try:
        mount(folder, "-t", "tmpfs", "-o", f"size={_SIZE}m,mode=755", "tmpfs")
        (folder / "tables").mkdir()
        shutil.chown(folder / "tables", "postgres")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def small_database(disk: pathlib.Path, skip_or_fail: Callable[[str], None]) -> Iterator[str]:
    """Return the address of a database whose tables are on the small disk."""
    folder = programs()
    if folder is None:
        skip_or_fail("initdb is not installed: install PostgreSQL")
    assert folder is not None
    with Cluster(folder) as cluster:
        execute(cluster.address("postgres"), f"CREATE TABLESPACE small LOCATION '{disk / 'tables'}'")
        execute(cluster.address("postgres"), "CREATE DATABASE logs TABLESPACE small")
        yield cluster.address("logs")


def test_server_resumes_when_the_disk_has_room(disk: pathlib.Path, small_database: str, start: StartServer) -> None:
    """A disk that is full at the first start, and later: each batch is stored once, and the log says what is full."""
    with ballast(disk):
        server = start(small_database)
        assert server.ask("POST", "/logs", b'{"logs": [{"message": "before"}]}')[0] == 503
    wait_until(lambda: server.ask("POST", "/logs", b'{"batch_id": "a", "logs": [{"message": "before"}]}')[0] == 200)
    with ballast(disk):
        status, answer, headers = server.ask("POST", "/logs", _BODY)
        assert (status, answer["detail"]) == (503, "the disk of the database is full: try again")
        assert headers["retry-after"] == "2"
        assert server.get("/logs?limit=1")["logs"][0]["message"] == "before"
        wait_until(lambda: server.ask("GET", "/health")[0] == 503)
    wait_until(lambda: server.ask("POST", "/logs", _BODY)[0] == 200)

    assert server.ask("POST", "/logs", _BODY)[1]["duplicate"]
    assert server.select("SELECT left(message, 1), count(*) FROM logs GROUP BY 1 ORDER BY 1") == [("b", 1001)]
    assert "the disk of the database is full: could not extend file" in server.errors
    assert "Traceback" not in server.errors

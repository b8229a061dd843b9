"""A full disk: intake gets 503, reading goes on, retention makes room, and all resumes without a restart by hand."""

import contextlib
import json
import os
import pathlib
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from collector.server.conftest import StartServer
from concurrent_log.collector.store.sqlite.disk_reserve import DiskReserve
from support.collector_server import Server
from support.processes import wait_until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="mounts a disk")

_SIZE = 32  # MiB


@pytest.fixture
def disk(mount: Callable[..., None], tmp_path: pathlib.Path) -> pathlib.Path:
    """Return the folder of a small disk."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(folder, "-t", "tmpfs", "-o", f"size={_SIZE}m", "tmpfs")
    return folder


@contextlib.contextmanager
def ballast(folder: pathlib.Path) -> Iterator[None]:
    """Use up all space of a disk."""
    path = folder / "ballast"
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 65_536)
    yield
    path.unlink()


def fill(server: Server, created_at: float) -> tuple[set[str], Any]:
    """Send batches until one is not stored; return the stored ids, and the answer to the last."""
    stored: set[str] = set()
    while True:
        batch = f"{created_at}-{len(stored)}"
        records = [{"created_at": created_at + i, "message": f"{batch} {'x' * 300}"} for i in range(1000)]
        status, answer, _ = server.ask("POST", "/logs", _body(batch, records))
        if status != 200:
            return stored, (status, answer)
        stored.add(batch)


def _body(batch: str, records: list[dict[str, Any]]) -> bytes:
    return json.dumps({"batch_id": batch, "logs": records}).encode()


def batches(database: pathlib.Path) -> list[tuple[str, int]]:
    """Return the id of each batch of which there are records, and their number."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        words = "substr(message, 1, instr(message, ' ') - 1)"
        return connection.execute(f"SELECT {words}, count(*) FROM logs GROUP BY 1").fetchall()


@pytest.mark.slow
def test_retention_makes_room_on_a_full_disk(start: StartServer, disk: pathlib.Path) -> None:
    """The server starts on a full disk, removes old records, and stores new ones; once it never did again."""
    database = disk / "logs.sqlite3"
    server = start(str(database))
    _, (status, answer) = fill(server, time.time() - 5 * 86_400)

    assert (status, answer["detail"]) == (503, "the disk of the database is full: try again")
    assert server.ask("GET", "/health")[0] == 503
    assert server.get("/logs?limit=1")["logs"]
    server.kill()
    again = start(str(database), "--retention-days", "1")
    wait_until(lambda: again.ask("GET", "/health")[0] == 200 and not batches(database))
    stored, _ = fill(again, time.time())
    assert dict(batches(database)) == dict.fromkeys(stored, 1000)
    assert "Traceback" not in again.errors


@pytest.mark.slow
def test_retention_by_size_keeps_a_small_disk_from_filling(start: StartServer, disk: pathlib.Path) -> None:
    """With a limit on the size, the oldest records make room when the disk is full, while the server runs."""
    database = disk / "logs.sqlite3"
    server = start(str(database), "--retention-size", "8M")
    for day in (5, 4, 3):
        fill(server, time.time() - day * 86_400)
        wait_until(lambda: server.ask("GET", "/health")[0] == 200)

    assert server.send([{"message": "new"}])["stored"] == 1
    assert database.stat().st_size < _SIZE << 20


@pytest.mark.slow
def test_server_resumes_when_another_program_frees_space(start: StartServer, disk: pathlib.Path) -> None:
    """Whatever fills the disk: batches get 503 and are stored later, once; reading goes on."""
    database = disk / "logs.sqlite3"
    server = start(str(database))
    server.send([{"message": "before x"}])
    body = _body("b", [{"message": f"b {'x' * 5000}"}] * 1000)
    with ballast(disk):
        assert server.ask("POST", "/logs", body)[0] == 503
        assert server.get("/logs?limit=1")["logs"][0]["message"] == "before x"
    wait_until(lambda: server.ask("POST", "/logs", body)[0] == 200)
    assert server.ask("POST", "/logs", body)[1]["duplicate"]
    assert dict(batches(database)) == {"before": 1, "b": 1000}


@pytest.mark.slow
@pytest.mark.parametrize("is_new", [True, False], ids=["new", "migration"])
def test_server_starts_when_the_disk_has_room(start: StartServer, disk: pathlib.Path, is_new: bool) -> None:
    """A disk that is full at the first start, or in a migration, is a temporary state."""
    database = disk / "logs.sqlite3"
    if not is_new:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.execute("CREATE TABLE schema_version (version INTEGER NOT NULL)")
    with ballast(disk):
        server = start(str(database))
        assert server.ask("POST", "/logs", b'{"logs": [{}]}')[0] == 503
    wait_until(lambda: server.ask("POST", "/logs", b'{"logs": [{}]}')[0] == 200)


def test_reserve_is_a_part_of_the_disk(disk: pathlib.Path) -> None:
    """The reserve leaves most of a small disk free; it is given back, and not taken while the disk is full."""
    reserve = DiskReserve(disk / "reserve")
    with ballast(disk):
        reserve.fill()
        assert not reserve.is_filled
    reserve.fill()
    before = shutil.disk_usage(disk).free

    assert (reserve.is_filled, reserve.size) == (True, (_SIZE << 20) // 8)
    assert os.stat(disk / "reserve").st_mode & 0o777 == 0o600
    assert reserve.release()
    assert shutil.disk_usage(disk).free == before + reserve.size
    assert not reserve.release()

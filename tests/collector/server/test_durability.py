"""Acknowledged batches survive a kill of the server or of PostgreSQL."""

import concurrent.futures
import contextlib
import http.client
import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from collector.server.conftest import StartServer
from support.collector_server import Server
from support.postgres_cluster import Cluster, programs
from support.processes import wait_until


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)], indirect=True)
def test_acknowledged_batches_survive_sigkill(new_server: Server) -> None:
    """When the server is killed under load, no acknowledged batch is lost, and no batch is stored twice."""

    def kill_and_restart() -> None:
        new_server.kill()
        new_server.start()

    _check_no_loss(new_server, kill_and_restart)


@pytest.mark.slow
def test_acknowledged_batches_survive_sigkill_of_postgresql(start: StartServer, cluster: Cluster) -> None:
    """When PostgreSQL is killed under load, the same holds, and the server recovers by itself."""
    server = start(cluster.address("postgres"))

    def kill_and_restart() -> None:
        cluster.kill()
        cluster.start()

    _check_no_loss(server, kill_and_restart)
    assert "Traceback" not in server.errors


@pytest.fixture
def cluster(skip_or_fail: Callable[[str], None]) -> Iterator[Cluster]:
    """Return a PostgreSQL server for this test alone."""
    folder = programs() if hasattr(os, "geteuid") else None
    if folder is None:
        skip_or_fail("initdb and postgres are not installed: install a PostgreSQL server")
    assert folder is not None
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

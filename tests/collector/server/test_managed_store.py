"""The server recovers from an unavailable database, and removes old records."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from collector.server.conftest import StartServer
from support.processes import wait_until


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


def test_server_recovers_when_the_database_returns(
    proxied_postgres: tuple[ClosableProxy, str], start: StartServer
) -> None:
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

    assert server.count() == 2
    assert str(proxy.port) not in server.errors
    lines = server.errors.splitlines()
    assert all(lines.count(line) <= 2 for line in lines)
    assert len(lines) <= 6


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)], indirect=True)
def test_one_service_is_kept_for_a_shorter_time(database: str, start: StartServer) -> None:
    """The records of the named service are removed by age; those of others, and its new ones, stay."""
    server, old = start(database), time.time() - 10 * 86_400
    records = [{"service": name, "created_at": at} for name in ("shop", "web") for at in (old, time.time())]
    server.send(records)
    server.stop()
    again = start(database, "--service-retention", "shop=7", "--service-retention", "web=30")

    wait_until(lambda: "removed 1 records of shop that were older than 7 days" in again.errors)
    assert again.count() == 3


def test_retention_runs_at_the_start(database: str, start: StartServer) -> None:
    """Old records are removed when the server starts."""
    server = start(database)
    server.send([{"message": "old", "created_at": time.time() - 10 * 86_400}, {"message": "new"}])
    server.stop()
    again = start(database, "--retention-days", "7")
    wait_until(lambda: again.count() == 1)

    assert again.select("SELECT message FROM logs") == [("new",)]

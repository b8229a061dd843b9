"""Who listens is sent each record once as it is committed, however late, and holds nobody up."""

import asyncio
import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

import uvicorn

from concurrent_log.collector.server.app import create_app
from concurrent_log.collector.server.query import endpoints as reading
from concurrent_log.collector.server.query import live_tail as live
from concurrent_log.collector.server.settings import Settings
from concurrent_log.collector.store import Batch, store_of
from concurrent_log.collector.store.postgres.reader import Position, _following
from concurrent_log.collector.store.reader import PAGE_BYTES, reader_of
from concurrent_log.collector.store.sql.statements import Comparison, Filters
from support import query_model
from support.collector_server import Server
from support.processes import wait_until

_SECOND = 1_000_000
_DEADLINE = 40.0


def messages(records: list[dict[str, Any]]) -> list[str]:
    """Return the messages, in order."""
    return [record["message"] for record in records]


@contextlib.asynccontextmanager
async def opened(database: str) -> Any:
    """Open the store of ``database``, and what reads it."""
    store = store_of(database)
    await store.open()
    reader = reader_of(store)
    await reader.ready()
    try:
        yield store, reader
    finally:
        await reader.close()
        await store.close()


def test_each_look_finds_what_has_arrived_since(database: str) -> None:
    """What another server commits is found as well; a look finds nothing again, and only what the filters find."""

    async def test() -> None:
        async with opened(database) as (store, reader), opened(database) as (other, _):
            await store.add(Batch([query_model.row(message="before")]))
            position = await reader.position()
            filters, found = Filters(where=(Comparison("message", "no", is_equal=False),)), []
            for number in range(5):
                await store.add(Batch([query_model.row(message=f"here {number}"), query_model.row(message="no")]))
                await other.add(
                    Batch([query_model.row(message=f"there {number}", created_at=query_model.BEGIN - number)])
                )
                arrived = await reader.arrived(filters, position, 100)
                found.append(messages(arrived.records))
                position = arrived.position
                assert arrived.skipped == 0

            assert [sorted(each) for each in found] == [[f"here {number}", f"there {number}"] for number in range(5)]
            assert (await reader.arrived(filters, position, 100)).records == []

    asyncio.run(test())


def test_transaction_that_commits_late_is_not_missed(postgres: str) -> None:
    """A record whose transaction began first, and took its id first, but is committed last, is found when it is."""
    import asyncpg

    async def test() -> None:
        async with opened(postgres) as (store, reader):
            late = await asyncpg.connect(postgres, server_settings={"search_path": "concurrent_log"})
            columns = "INSERT INTO logs (created_at, level, level_number, message) VALUES (now(), 'INFO', 20, $1)"
            position = await reader.position()
            transaction = late.transaction()
            await transaction.start()
            await late.execute(columns, "late")
            found = []
            for number in range(4):
                await store.add(Batch([query_model.row(message=f"{number}")]))
                if number == 2:
                    await transaction.commit()
                arrived = await reader.arrived(Filters(), position, 100)
                found.append(sorted(messages(arrived.records)))
                position = arrived.position
            await late.close()

            assert found == [["0"], ["1"], ["2", "late"], ["3"]]

    asyncio.run(test())


def test_row_that_the_database_refuses_hides_no_other(postgres: str) -> None:
    """Records of a batch in which one had to be left out are found, too, whenever somebody looks.

    This needs all of them to have the number of the transaction itself, since a snapshot tells no other.
    """

    async def test() -> None:
        async with opened(postgres) as (store, reader):
            position = await reader.position()
            rows = [query_model.row(message=str(number)) for number in range(5)]
            rows[3] = query_model.row(message="\0")
            added = await store.add(Batch(rows, "batch-1"))
            arrived = await reader.arrived(Filters(), position, 100)
            numbers = await store.reading.fetch("SELECT xmin FROM batches UNION SELECT xmin FROM logs")

            assert added.stored == 4
            assert messages(arrived.records) == ["0", "1", "2", "4"]
            assert len(numbers) == 1

    asyncio.run(test())


def test_rush_is_cut_to_the_latest(database: str) -> None:
    """Of more records than one look may return, the latest come, and the others are counted."""

    async def test() -> None:
        async with opened(database) as (store, reader):
            position = await reader.position()
            for start in range(0, 1000, 100):
                rows = [query_model.row(message=str(number), level="INFO") for number in range(start, start + 100)]
                await store.add(Batch([*rows, query_model.row(message="debug", level="DEBUG")]))
            arrived = await reader.arrived(Filters(level=20), position, 30)

            assert messages(arrived.records) == [str(number) for number in range(970, 1000)]
            assert arrived.skipped == 970
            assert (await reader.arrived(Filters(), arrived.position, 30)).records == []

    asyncio.run(test())


def test_rush_of_large_records_is_cut_as_well(database: str) -> None:
    """A look has no more bytes than a page, and counts what it leaves out."""

    async def test() -> None:
        async with opened(database) as (store, reader):
            position = await reader.position()
            await store.add(Batch([query_model.row(message=f"{number} {'x' * 500_000}") for number in range(40)]))
            arrived = await reader.arrived(Filters(), position, 500)

            assert sum(map(len, messages(arrived.records))) < PAGE_BYTES + 1_000_000
            assert len(arrived.records) + arrived.skipped == 40
            assert messages(arrived.records)[-1].startswith("39 ")

    asyncio.run(test())


def test_floor_rises_when_older_transactions_have_ended() -> None:
    """A look does not go back further than it must: to the last time before which nothing can come any more."""
    begin = 1_000 * _SECOND
    position = Position("10:10:", begin - 60 * _SECOND, ((begin, 10),))
    held = _following(position, "10:12:10", behind=10, ahead=12, now=begin + 20 * _SECOND)
    still = _following(held, "11:14:11", behind=11, ahead=14, now=begin + 30 * _SECOND)
    free = _following(still, "14:14:", behind=14, ahead=14, now=begin + 31 * _SECOND)
    forgotten = _following(still, "11:14:11", behind=11, ahead=14, now=begin + 100 * _SECOND)

    assert held.floor == begin - 5 * _SECOND
    assert held.checkpoints == ((begin + 20 * _SECOND, 12),)
    assert still.floor == held.floor
    assert still.checkpoints == ((begin + 20 * _SECOND, 12), (begin + 30 * _SECOND, 14))
    assert free.floor == begin + 25 * _SECOND
    assert forgotten.floor == begin + 40 * _SECOND
    assert forgotten.checkpoints == ((begin + 100 * _SECOND, 14),)


class Listener:
    """Listens to a server, in a thread; to be used with ``with``.

    Attributes:
        events: The name and the content of each event, in order.
        pings: How many comments there were.
        is_over: Whether the server has ended it.
    """

    def __init__(self, port: int, query: str = "") -> None:
        self.events: list[tuple[str, Any]] = []
        self.pings = 0
        self.is_over = False
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_DEADLINE)
        self._query = query

    def __enter__(self) -> "Listener":
        self._connection.request("GET", f"/live?{self._query}")
        self._socket = self._connection.sock
        self._response = self._connection.getresponse()
        assert self._response.status == 200
        assert self._response.getheader("Content-Type", "").startswith("text/event-stream")
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._response.close()
        self._connection.close()
        self._socket.close()

    def _listen(self) -> None:
        name = ""
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            for line in self._response:
                key, _, content = line.decode().rstrip("\n").partition(": ")
                if key == "event":
                    name = content
                elif key == "data":
                    self.events.append((name, json.loads(content)))
                elif key == "":
                    self.pings += content != ""
        self.is_over = True

    @property
    def messages(self) -> list[str]:
        """The messages of all records that came."""
        return [message for name, content in self.events if name == "logs" for message in messages(content)]

    @property
    def skipped(self) -> int:
        """How many records were left out."""
        return sum(content for name, content in self.events if name == "skipped")


def test_listeners_are_sent_what_they_asked_for(database: str, tmp_path: Path) -> None:
    """Each listener is sent what its filters find, each record once, also what another server has stored."""
    with Server(tmp_path, database) as here, Server(tmp_path, database) as there:  # noqa: SIM117 - it would be too long
        with Listener(here.port) as everything, Listener(here.port, "level=ERROR&where=n!=3") as errors:
            for number in range(10):
                server = here if number % 2 else there
                server.send(
                    [{"level": level, "message": f"{level} {number}", "n": number} for level in ("INFO", "ERROR")]
                )
            wait_until(lambda: len(everything.messages) >= 20 and len(errors.messages) >= 9)

            assert sorted(everything.messages) == sorted(
                f"{level} {n}" for level in ("INFO", "ERROR") for n in range(10)
            )
            assert sorted(errors.messages) == [f"ERROR {n}" for n in range(10) if n != 3]
            assert everything.skipped == errors.skipped == 0


def test_rush_reaches_the_listener_in_small_events(database: str, tmp_path: Path) -> None:
    """However many come at once, no event has more than 500, and what is left out is counted to the last one."""
    with Server(tmp_path, database) as server, Listener(server.port) as listener:
        for start in range(0, 10_000, 1000):
            server.send([{"message": str(number)} for number in range(start, start + 1000)])
        wait_until(lambda: len(listener.messages) + listener.skipped >= 10_000)

        assert len(listener.messages) + listener.skipped == 10_000
        assert len(set(listener.messages)) == len(listener.messages)
        assert max(len(content) for name, content in listener.events if name == "logs") <= live.AT_ONCE
        assert listener.skipped > 0


def test_server_that_ends_ends_the_listening(database: str, tmp_path: Path) -> None:
    """Who listens does not keep the server from ending, and sees that it has."""
    with Server(tmp_path, database) as server, Listener(server.port) as listener:
        server.send([{"message": "last"}])
        wait_until(lambda: listener.messages == ["last"])
        status = server.end()
        wait_until(lambda: listener.is_over)

        assert status == 0
        assert server.complaints == ""


@contextlib.contextmanager
def serving_here(path: Path) -> Iterator[tuple[int, Any]]:
    """Serve in a thread of this process, and provide the port and the application's state."""
    app = create_app(Settings(database=str(path / "logs.sqlite3")))
    where = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [where]})
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield where.getsockname()[1], app.state
    finally:
        server.should_exit = True
        thread.join()
        where.close()


def send(port: int, records: list[dict[str, Any]]) -> None:
    """Send a batch."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_DEADLINE)
    with contextlib.closing(connection):
        connection.request("POST", "/logs", json.dumps({"logs": records}))
        assert connection.getresponse().status == 200


def test_silence_is_a_heartbeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing comes in, comments show that the server is there."""
    monkeypatch.setattr(reading, "_HEARTBEAT", 0.05)
    with serving_here(tmp_path) as (port, _), Listener(port) as listener:
        wait_until(lambda: listener.pings >= 3)

        assert listener.events == []


def test_listener_that_does_not_read_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes nothing for too long is cut, and the others are served."""
    monkeypatch.setattr(reading, "_SLOWEST", 0.5)
    with serving_here(tmp_path) as (port, state), Listener(port) as other, socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", port))
        slow.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: state.listeners == 2)
        give_up_at, number = time.monotonic() + _DEADLINE, 0
        while state.listeners == 2:
            assert time.monotonic() < give_up_at
            send(port, [{"message": f"{number} {'x' * 500_000}"}])
            number += 1
        wait_until(lambda: len(other.messages) + other.skipped == number)

        assert state.listeners == 1


def test_too_many_listeners_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so many may listen; who comes later is told so, until one of them goes."""
    monkeypatch.setattr(live, "LISTENERS", 1)
    with serving_here(tmp_path) as (port, state):
        with Listener(port):
            wait_until(lambda: state.listeners == 1)
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_DEADLINE)
            with contextlib.closing(connection):
                connection.request("GET", "/live")
                answer = connection.getresponse()

                assert answer.status == 503
                assert json.load(answer) == {"detail": "1 listen already: try again later"}
        wait_until(lambda: state.listeners == 0)
        with Listener(port) as listener:
            send(port, [{"message": "one"}])
            wait_until(lambda: listener.messages == ["one"])

"""The live tail sends each record once after its commit, and a slow listener delays no other."""

import asyncio
import contextlib
import http.client
import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from concurrent_log.collector.server.query import endpoints, live_tail
from concurrent_log.collector.store.factory import create_reader, create_store
from concurrent_log.collector.store.interface import IncomingBatch
from concurrent_log.collector.store.postgres.reader import TailPosition, next_position
from concurrent_log.collector.store.reader import MAX_RESULT_BYTES
from concurrent_log.collector.store.sql.filters import Comparison, Filters
from support import query_model
from support.collector_server import Server
from support.deadlines import DEADLINE
from support.in_process_server import serve_in_thread
from support.processes import wait_until

_SECOND = 1_000_000


def messages(records: list[dict[str, Any]]) -> list[str]:
    """Return the messages in order."""
    return [record["message"] for record in records]


@contextlib.asynccontextmanager
async def opened(database: str) -> Any:
    """Provide an open store, and its reader."""
    store = create_store(database)
    await store.open()
    reader = create_reader(store)
    await reader.prepare()
    try:
        yield store, reader
    finally:
        await reader.close()
        await store.close()


def test_query_finds_records_since_the_position(database: str) -> None:
    """Each query finds the matching records since the last one, also from another server, and none twice."""

    async def test() -> None:
        async with opened(database) as (store, reader), opened(database) as (other, _):
            await store.add(IncomingBatch([query_model.row(message="before")]))
            position = await reader.position()
            filters, found = Filters(where=(Comparison("message", "no", is_equal=False),)), []
            for number in range(5):
                await store.add(
                    IncomingBatch([query_model.row(message=f"here {number}"), query_model.row(message="no")])
                )
                await other.add(
                    IncomingBatch([query_model.row(message=f"there {number}", created_at=query_model.BEGIN - number)])
                )
                new = await reader.new_records(filters, position, 100)
                found.append(messages(new.records))
                position = new.position
                assert new.skipped == 0

            assert [sorted(each) for each in found] == [[f"here {number}", f"there {number}"] for number in range(5)]
            assert (await reader.new_records(filters, position, 100)).records == []

    asyncio.run(test())


def test_delayed_commit_is_not_missed(postgres: str) -> None:
    """A record whose transaction began first and is committed last is found after its commit."""
    import asyncpg

    async def test() -> None:
        async with opened(postgres) as (store, reader):
            delayed = await asyncpg.connect(postgres, server_settings={"search_path": "concurrent_log"})
            columns = "INSERT INTO logs (created_at, level, level_number, message) VALUES (now(), 'INFO', 20, $1)"
            position = await reader.position()
            transaction = delayed.transaction()
            await transaction.start()
            await delayed.execute(columns, "delayed")
            found = []
            for number in range(4):
                await store.add(IncomingBatch([query_model.row(message=f"{number}")]))
                if number == 2:
                    await transaction.commit()
                new = await reader.new_records(Filters(), position, 100)
                found.append(sorted(messages(new.records)))
                position = new.position
            await delayed.close()

            assert found == [["0"], ["1"], ["2", "delayed"], ["3"]]

    asyncio.run(test())


def test_rejected_row_hides_no_other(postgres: str) -> None:
    """The other records of a batch with a rejected row are found.

    All of them must have the id of the transaction itself, because a snapshot contains no subtransactions.
    """

    async def test() -> None:
        async with opened(postgres) as (store, reader):
            position = await reader.position()
            rows = [query_model.row(message=str(number)) for number in range(5)]
            rows[3] = query_model.row(message="\0")
            added = await store.add(IncomingBatch(rows, "batch-1"))
            new = await reader.new_records(Filters(), position, 100)
            numbers = await store.reading.fetch("SELECT xmin FROM batches UNION SELECT xmin FROM logs")

            assert added.stored == 4
            assert messages(new.records) == ["0", "1", "2", "4"]
            assert len(numbers) == 1

    asyncio.run(test())


def test_burst_is_limited_to_the_latest_records(database: str) -> None:
    """Of too many records, the latest are returned, and the others are counted."""

    async def test() -> None:
        async with opened(database) as (store, reader):
            position = await reader.position()
            for start in range(0, 1000, 100):
                rows = [query_model.row(message=str(number), level="INFO") for number in range(start, start + 100)]
                await store.add(IncomingBatch([*rows, query_model.row(message="debug", level="DEBUG")]))
            new = await reader.new_records(Filters(level=20), position, 30)

            assert messages(new.records) == [str(number) for number in range(970, 1000)]
            assert new.skipped == 970
            assert (await reader.new_records(Filters(), new.position, 30)).records == []

    asyncio.run(test())


def test_burst_of_large_records_is_limited(database: str) -> None:
    """The result has at most as many bytes as a page, and counts the omitted records."""

    async def test() -> None:
        async with opened(database) as (store, reader):
            position = await reader.position()
            await store.add(
                IncomingBatch([query_model.row(message=f"{number} {'x' * 500_000}") for number in range(40)])
            )
            new = await reader.new_records(Filters(), position, 500)

            assert sum(map(len, messages(new.records))) < MAX_RESULT_BYTES + 1_000_000
            assert len(new.records) + new.skipped == 40
            assert messages(new.records)[-1].startswith("39 ")

    asyncio.run(test())


def test_floor_rises_when_older_transactions_end() -> None:
    """The floor is the last time before which no new record can appear."""
    begin = 1_000 * _SECOND
    position = TailPosition("10:10:", begin - 60 * _SECOND, ((begin, 10),))
    held = next_position(position, "10:12:10", xmin=10, xmax=12, now=begin + 20 * _SECOND)
    still = next_position(held, "11:14:11", xmin=11, xmax=14, now=begin + 30 * _SECOND)
    free = next_position(still, "14:14:", xmin=14, xmax=14, now=begin + 31 * _SECOND)
    forgotten = next_position(still, "11:14:11", xmin=11, xmax=14, now=begin + 100 * _SECOND)

    assert held.floor == begin - 5 * _SECOND
    assert held.checkpoints == ((begin + 20 * _SECOND, 12),)
    assert still.floor == held.floor
    assert still.checkpoints == ((begin + 20 * _SECOND, 12), (begin + 30 * _SECOND, 14))
    assert free.floor == begin + 25 * _SECOND
    assert forgotten.floor == begin + 40 * _SECOND
    assert forgotten.checkpoints == ((begin + 100 * _SECOND, 14),)


class Listener:
    """Listens to a server in a thread; use it as a context manager.

    Attributes:
        events: The name and the data of each event, in order.
        pings: The number of comments.
        is_over: Whether the server closed the connection.
    """

    def __init__(self, port: int, query: str = "") -> None:
        self.events: list[tuple[str, Any]] = []
        self.pings = 0
        self.is_over = False
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
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
        """The messages of all received records."""
        return [message for name, content in self.events if name == "logs" for message in messages(content)]

    @property
    def skipped(self) -> int:
        """The number of skipped records."""
        return sum(content for name, content in self.events if name == "skipped")


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)], indirect=True)
def test_listeners_receive_matching_records(database: str, tmp_path: Path) -> None:
    """Each listener receives the records that match its filters, each once, also from another server."""
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


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)], indirect=True)
def test_events_have_a_maximum_length(database: str, tmp_path: Path) -> None:
    """No event has more than 500 records, and every omitted record is counted."""
    with Server(tmp_path, database) as server, Listener(server.port) as listener:
        for start in range(0, 10_000, 1000):
            server.send([{"message": str(number)} for number in range(start, start + 1000)])
        wait_until(lambda: len(listener.messages) + listener.skipped >= 10_000)

        assert len(listener.messages) + listener.skipped == 10_000
        assert len(set(listener.messages)) == len(listener.messages)
        assert max(len(content) for name, content in listener.events if name == "logs") <= live_tail.MAX_EVENT_LENGTH
        assert listener.skipped > 0


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)], indirect=True)
def test_shutdown_ends_the_live_tail(database: str, tmp_path: Path) -> None:
    """A listener does not delay the shutdown, and its connection is closed."""
    with Server(tmp_path, database) as server, Listener(server.port) as listener:
        server.send([{"message": "last"}])
        wait_until(lambda: listener.messages == ["last"])
        status = server.stop()
        wait_until(lambda: listener.is_over)

        assert status == 0
        assert server.errors == ""


def send(port: int, records: list[dict[str, Any]]) -> None:
    """Send a batch of records."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    with contextlib.closing(connection):
        connection.request("POST", "/logs", json.dumps({"logs": records}))
        assert connection.getresponse().status == 200


def test_heartbeat_without_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While no records arrive, comments show that the server is alive."""
    monkeypatch.setattr(endpoints, "_HEARTBEAT_INTERVAL", 0.05)
    with serve_in_thread(tmp_path) as (port, _), Listener(port) as listener:
        wait_until(lambda: listener.pings >= 3)

        assert listener.events == []


def test_listener_that_does_not_read_is_disconnected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener that does not read in time is disconnected; the others receive records."""
    monkeypatch.setattr(endpoints, "_SEND_TIMEOUT", 0.5)
    with serve_in_thread(tmp_path) as (port, state), Listener(port) as other, socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", port))
        slow.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: state.listeners.taken == 2)
        deadline, number = time.monotonic() + DEADLINE, 0
        while state.listeners.taken == 2:
            assert time.monotonic() < deadline
            send(port, [{"message": f"{number} {'x' * 500_000}"}])
            number += 1
        wait_until(lambda: len(other.messages) + other.skipped == number)

        assert state.listeners.taken == 1


def test_number_of_listeners_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener beyond the limit gets 503, until another one disconnects."""
    monkeypatch.setattr(live_tail, "MAX_LISTENERS", 1)
    with serve_in_thread(tmp_path) as (port, state):
        with Listener(port):
            wait_until(lambda: state.listeners.taken == 1)
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
            with contextlib.closing(connection):
                connection.request("GET", "/live")
                answer = connection.getresponse()

                assert answer.status == 503
                assert json.load(answer) == {"detail": "the limit of 1 listeners is reached: try again later"}
        wait_until(lambda: state.listeners.taken == 0)
        with Listener(port) as listener:
            send(port, [{"message": "one"}])
            wait_until(lambda: listener.messages == ["one"])

"""Figure: logging to the collector: the price of a call, and the number and delay of the records that arrive."""

import asyncio
import gc
import gzip
import json
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from logging.handlers import QueueHandler, QueueListener
from queue import Queue
from time import perf_counter, perf_counter_ns, time
from typing import Any

from collector_stack import Database, Server
from measuring import Duel, Figure, Work, serve

from concurrent_log.collector.store.columns import COLUMNS

_ORIGINAL = "log-collector-async 1.1.1, `info()`"
_QUEUE = "standard `QueueHandler` + `QueueListener`"
_CLAIM = 20_000.0  # records per second, as the original claims
_BATCH = 1000  # records
_BEGIN = time() - 60


def figure(quick: bool) -> Figure:
    """Return the figure: our client and server, beside the original and a plain COPY."""
    return Figure(
        name="collector",
        title="The collector",
        text="Client, server and PostgreSQL run together on this machine. *Calls*: 5,000 calls of "
        "`AsyncLogClient.info()` with two fields, or of `logger.info()` through a `CollectorHandler`, while "
        "our server receives the records; each call is timed separately. The listener of the standard queue drops "
        "its records. *Burst*: 100,000 records are logged as fast as possible, then the client is closed, and the "
        "rows in the database are counted. *From call "
        "to COMMIT*: the same burst, until `flush()` reports that all records are committed. *Server alone*: "
        "100 prepared, compressed batches of 1,000 records are sent by POST, each after the response to the "
        "previous one. The other side copies the same rows with asyncpg, 1,000 at a time, into a table with "
        "the same columns: either a plain table, with nothing to parse, no index and no partitions, or our "
        "table with both. *Four at once*: the same over four connections, on both sides.",
        duels=[
            _duel(quick, "median of a call, `AsyncLogClient.info()`", _ORIGINAL, "µs", "client", "calls", 1.0, 0.6),
            _duel(quick, "median of a call, `CollectorHandler`", _ORIGINAL, "µs", "handler", "calls"),
            _call_of_queue(quick),
            _duel(quick, "lost of a burst of 100,000", _ORIGINAL, "%", "client", "lost", 0.0),
            _claimed(quick),
            _alone(quick, "server alone, from POST to COMMIT", 1, bar=0.4, goal=0.7),
            _alone(quick, "server alone, four at once", 4),
            _alone(quick, "server alone, from POST to COMMIT", 1, table="logs"),
            _alone(quick, "server alone, four at once", 4, table="logs"),
        ],
    )


def _duel(
    quick: bool,
    title: str,
    against: str,
    unit: str,
    way: str,
    value: str,
    bar: float | None = None,
    goal: float | None = None,
) -> Duel:
    records = 1_000 if quick else {"calls": 5_000, "lost": 100_000}[value]
    ours, theirs = (
        Work("collector.py", {"way": each, "value": value, "records": records}) for each in (way, "original")
    )
    few = quick or value == "lost"  # counted, not timed
    return Duel(title, against, unit, ours, theirs, 1 if few else 5, 1 if few else 3, bar, goal, bar is not None)


def _call_of_queue(quick: bool) -> Duel:
    shared = {"value": "calls", "records": 1_000 if quick else 5_000}
    return Duel(
        title="median of a call, `CollectorHandler`",
        against=_QUEUE,
        unit="µs",
        ours=Work("collector.py", {**shared, "way": "handler"}),
        theirs=Work("collector.py", {**shared, "way": "queue"}),
        pairs=1 if quick else 5,
        rounds=1 if quick else 3,
        bar=1.1,
        goal=0.8,
    )


def _claimed(quick: bool) -> Duel:
    records = 2_000 if quick else 100_000
    return Duel(
        title="from call to COMMIT",
        against="the 20,000/s that the original claims",
        unit="records/s",
        ours=Work("collector.py", {"way": "client", "value": "speed", "records": records}),
        theirs=Work("collector.py", {"way": "claim", "value": "speed", "records": records}),
        pairs=1 if quick else 3,
        rounds=1 if quick else 3,
        bar=1.0,
        goal=2.0,
    )


def _alone(
    quick: bool, title: str, lanes: int, bar: float | None = None, goal: float | None = None, table: str = "plain"
) -> Duel:
    shared = {"value": "speed", "records": (4 if quick else 100) * _BATCH, "lanes": lanes, "table": table}
    ours, theirs = (Work("collector.py", {**shared, "way": way}) for way in ("server", "copy"))
    against = "asyncpg COPY into a plain table" if table == "plain" else "asyncpg COPY into our table"
    return Duel(title, against, "records/s", ours, theirs, 1 if quick else 3, 1 if quick else 3, bar, goal)


# The child.


def _prepare(
    folder: str, way: str, value: str, records: int, lanes: int = 1, table: str = ""
) -> Callable[[], dict[str, Any]]:
    if way == "claim":
        return lambda: {"value": _CLAIM}
    database = Database()
    server = Server(database.url, folder)
    if way == "copy":
        rows = [_row(_record(number)) for number in range(records)]
        return lambda: {"value": asyncio.run(_copied(database, rows, lanes, table))}
    if way == "server":
        bodies = list(_bodies(records))
        return lambda: _posted(server, database, bodies, lanes)
    log, finish = _WAYS[way](server.url)
    for number in range(500):
        log(number)
    return {"calls": _timed, "lost": _lost, "speed": _speed}[value](log, finish, database, records)


def _client(url: str) -> tuple[Callable[[int], None], Callable[[], object]]:
    from concurrent_log.collector import AsyncLogClient

    client = AsyncLogClient(url, service="shop")
    info = client.info
    return lambda number: info("order accepted", number=number, customer="Ada Lovelace"), lambda: client.flush(120)


def _handler(url: str) -> tuple[Callable[[int], None], Callable[[], object]]:
    from concurrent_log.collector import CollectorHandler

    handler = CollectorHandler(url, service="shop")
    logger = logging.Logger("shop.orders", logging.DEBUG)
    logger.addHandler(handler)
    extra = {"customer": "Ada Lovelace"}
    return lambda number: logger.info("order %d accepted", number, extra=extra), lambda: handler.flush(120)


def _queue(url: str) -> tuple[Callable[[int], None], Callable[[], object]]:
    """Return the same call with the standard queue, whose listener has no handler: nothing competes with the call."""
    queue: Queue[Any] = Queue(-1)
    QueueListener(queue, logging.NullHandler()).start()
    logger = logging.Logger("shop.orders", logging.DEBUG)
    logger.addHandler(QueueHandler(queue))
    extra = {"customer": "Ada Lovelace"}
    return lambda number: logger.info("order %d accepted", number, extra=extra), queue.join


def _original(url: str) -> tuple[Callable[[int], None], Callable[[], object]]:
    from log_collector import AsyncLogClient

    client = AsyncLogClient(url, service="shop", environment="test")
    info = client.info
    return lambda number: info("order accepted", number=number, customer="Ada Lovelace"), client.flush


_WAYS = {"client": _client, "handler": _handler, "queue": _queue, "original": _original}
_Log = Callable[[int], None]
_Finish = Callable[[], object]


def _timed(log: _Log, finish: _Finish, database: Database, records: int) -> Callable[[], dict[str, Any]]:
    def one_round() -> dict[str, Any]:
        calls = []
        for number in range(records):
            start = perf_counter_ns()
            log(number)
            calls.append(perf_counter_ns() - start)
        finish()
        return {"value": sorted(calls)[records // 2] / 1e3}

    return one_round


def _lost(log: _Log, finish: _Finish, database: Database, records: int) -> Callable[[], dict[str, Any]]:
    def one_round() -> dict[str, Any]:
        finish()
        before = database.settled_count()
        for number in range(records):
            log(number)
        finish()
        lost = before + records - database.settled_count()
        return {"value": 100 * lost / records, "lost": lost}

    return one_round


def _speed(log: _Log, finish: _Finish, database: Database, records: int) -> Callable[[], dict[str, Any]]:
    def one_round() -> dict[str, Any]:
        finish()
        before = database.count()
        gc.collect()
        start = perf_counter()
        for number in range(records):
            log(number)
        finish()
        seconds = perf_counter() - start
        return {"value": records / seconds, "lost": before + records - database.count()}

    return one_round


def _record(number: int) -> dict[str, Any]:
    return {
        "created_at": _BEGIN + number / 1e4,
        "level": "INFO",
        "service": "shop",
        "message": f"order {number} accepted",
        "file_path": "/srv/shop/orders.py",
        "line_number": 42,
        "function_name": "accept",
        "customer": "Ada Lovelace",
        "number": number,
    }


def _bodies(records: int) -> Iterator[bytes]:
    for first in range(0, records, _BATCH):
        logs = [_record(number) for number in range(first, first + _BATCH)]
        yield gzip.compress(json.dumps({"logs": logs}).encode(), 1)


def _posted(server: Server, database: Database, bodies: list[bytes], lanes: int) -> dict[str, Any]:
    before = database.count()
    with ThreadPoolExecutor(lanes) as pool:
        start = perf_counter()
        list(pool.map(_post, [server.url] * lanes, [bodies[lane::lanes] for lane in range(lanes)]))
        seconds = perf_counter() - start
    records = len(bodies) * _BATCH
    return {"value": records / seconds, "lost": before + records - database.count()}


def _post(url: str, bodies: list[bytes]) -> None:
    import urllib3

    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    with urllib3.PoolManager(retries=False) as pool:
        for body in bodies:
            answer = pool.request("POST", f"{url}/logs", body=body, headers=headers)
            if answer.status != 200:
                raise RuntimeError(f"{answer.status}: {answer.data!r}")


async def _copied(database: Database, rows: list[tuple[Any, ...]], lanes: int, table: str) -> float:
    """Copy ``rows`` into ``plain``, which has the columns of ours and nothing else, or ours; return records/s."""
    import asyncpg

    batches = [rows[first : first + _BATCH] for first in range(0, len(rows), _BATCH)]
    connections = [await asyncpg.connect(database.url) for _ in range(lanes)]
    try:
        await connections[0].execute("CREATE TABLE IF NOT EXISTS concurrent_log.plain (LIKE concurrent_log.logs)")
        start = perf_counter()
        await asyncio.gather(*(_copy(each, batches[lane::lanes], table) for lane, each in enumerate(connections)))
        return len(rows) / (perf_counter() - start)
    finally:
        for connection in connections:
            await connection.close()


async def _copy(connection: Any, batches: list[list[tuple[Any, ...]]], table: str) -> None:
    columns = ["id", "received_at", *COLUMNS]
    for batch in batches:
        await connection.copy_records_to_table(table, schema_name="concurrent_log", records=batch, columns=columns)


def _row(record: dict[str, Any]) -> tuple[Any, ...]:
    created = datetime.fromtimestamp(record["created_at"], timezone.utc)
    attributes = json.dumps({"customer": record["customer"], "number": record["number"]})
    columns = {**record, "created_at": created, "level_number": 20, "attributes": attributes}
    return (1, created, *(columns.get(name) for name in COLUMNS))


if __name__ == "__main__":
    serve(_prepare)

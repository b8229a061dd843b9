"""Figure: shipping logs to the collector: what a call costs, and how many records arrive, how soon."""

import asyncio
import gc
import json
import logging
from collections.abc import Callable, Iterator
from time import perf_counter, perf_counter_ns
from typing import Any

from collecting import Database, Server
from measuring import Duel, Figure, Work, serve

_ORIGINAL = "log-collector-async 1.1.1, `info()`"
_CLAIM = 20_000.0  # records per second, as the original claims
_BATCH = 1000  # records
_COLUMNS = ("created_at", "level", "service", "message", "file_path", "line_number", "function_name", "attributes")


def figure(quick: bool) -> Figure:
    """Return the figure: our client and server, beside the original and a plain COPY."""
    return Figure(
        name="collector",
        title="The collector",
        text="Client, server and PostgreSQL run on this machine together. *Calls*: `AsyncLogClient.info()` with two "
        "fields, and `logger.info()` through a `CollectorHandler`, 5,000 of them, while our server takes what they "
        "ship; each call is timed by itself. *Burst*: 100,000 records are logged as fast as possible, then the client "
        "is closed; the rows in the database are counted. *From call to COMMIT*: the same burst of ours, until "
        "`flush()` says that all are committed. *Server alone*: 100 batches of 1,000 records that were made before "
        "are posted over one connection, compressed; the other side copies rows of the same content by asyncpg "
        "into a plain table, 1,000 rows at a time, in one connection, with nothing to parse and no index.",
        duels=[
            _duel(quick, "median of a call, `AsyncLogClient.info()`", _ORIGINAL, "µs", "client", "calls", 1.0, 0.6),
            _duel(quick, "median of a call, `CollectorHandler`", _ORIGINAL, "µs", "handler", "calls"),
            _duel(quick, "lost of a burst of 100,000", _ORIGINAL, "%", "client", "lost", 0.0),
            _claimed(quick),
            _alone(quick),
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
        headline=True,
    )


def _alone(quick: bool) -> Duel:
    batches = 2 if quick else 100
    ours, theirs = (
        Work("collector.py", {"way": way, "value": "speed", "records": batches * _BATCH}) for way in ("server", "copy")
    )
    return Duel(
        title="server alone, from POST to COMMIT",
        against="asyncpg COPY into a plain table",
        unit="records/s",
        ours=ours,
        theirs=theirs,
        pairs=1 if quick else 3,
        rounds=1 if quick else 3,
        bar=0.4,
        goal=0.7,
    )


# The child.


def _prepare(folder: str, way: str, value: str, records: int) -> Callable[[], dict[str, Any]]:
    if way == "claim":
        return lambda: {"value": _CLAIM}
    database = Database()
    if way == "copy":
        return lambda: {"value": records / asyncio.run(_copy(database, records))}
    server = Server(database.url, folder)
    if way == "server":
        bodies = list(_bodies(records))
        return lambda: _posted(server, database, bodies, records)
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


def _original(url: str) -> tuple[Callable[[int], None], Callable[[], object]]:
    from log_collector import AsyncLogClient

    client = AsyncLogClient(url, service="shop", environment="test")
    info = client.info
    return lambda number: info("order accepted", number=number, customer="Ada Lovelace"), client.flush


_WAYS = {"client": _client, "handler": _handler, "original": _original}
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
        "created_at": 1.7e9 + number / 1e4,
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
    import gzip

    for first in range(0, records, _BATCH):
        logs = [_record(number) for number in range(first, first + _BATCH)]
        yield gzip.compress(json.dumps({"logs": logs}).encode(), 1)


def _posted(server: Server, database: Database, bodies: list[bytes], records: int) -> dict[str, Any]:
    import urllib3

    before = database.count()
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    with urllib3.PoolManager(retries=False) as pool:
        start = perf_counter()
        for body in bodies:
            answer = pool.request("POST", f"{server.url}/logs", body=body, headers=headers)
            if answer.status != 200:
                raise RuntimeError(f"{answer.status}: {answer.data!r}")
        seconds = perf_counter() - start
    return {"value": records / seconds, "lost": before + records - database.count()}


async def _copy(database: Database, records: int) -> float:
    import asyncpg

    connection = await asyncpg.connect(database.url)
    try:
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS plain (created_at timestamptz, level text, service text, message text, "
            "file_path text, line_number integer, function_name text, attributes jsonb)"
        )
        rows = [_row(_record(number)) for number in range(records)]
        start = perf_counter()
        for first in range(0, records, _BATCH):
            await connection.copy_records_to_table("plain", records=rows[first : first + _BATCH], columns=_COLUMNS)
        return perf_counter() - start
    finally:
        await connection.close()


def _row(record: dict[str, Any]) -> tuple[Any, ...]:
    from datetime import datetime, timezone

    attributes = json.dumps({"customer": record["customer"], "number": record["number"]})
    created = datetime.fromtimestamp(record["created_at"], timezone.utc)
    return (created, *(record[name] for name in _COLUMNS[1:-1]), attributes)


if __name__ == "__main__":
    serve(_prepare)

"""Figure: the time of a query, with five million records in the store."""

import asyncio
import json
import random
import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import perf_counter, time
from typing import Any

from collector_stack import Database, Server
from measuring import Duel, Figure, Work, serve

_AT_ONCE = 10_000  # records
_DAYS = 5
_SERVICES = 20
_LEVELS = {"DEBUG": 30, "INFO": 60, "WARN": 7, "ERROR": 3}  # how often, of a hundred
_QUESTIONS = {
    "newest 100 of a service, ERROR and above": "level=ERROR&service=service-7",
    "newest 100 of all": "",
    "newest 100 of a trace": "trace_id=trace-4242",
    "newest 100 with a word of one in 5,000": "q=needle",
}
_MAY_TAKE = 50.0  # ms
_ASKED = 20  # times a round


def figure(quick: bool) -> Figure:
    """Return the figure: the response time of the server beside its limit."""
    return Figure(
        name="collector-query",
        title="A question to the collector",
        text=f"The store holds five million records from {_DAYS} days, {_SERVICES} services and four levels; three "
        "in a hundred have the level ERROR. `GET /logs` requests the newest 100, and the whole response is "
        f"read; the value is the median of {_ASKED} requests. A word is searched for record by record, newest "
        "first. The query plans below are those of the first request, shortened.",
        duels=[_duel(quick, store) for store in ("PostgreSQL", "SQLite")],
    )


def _duel(quick: bool, store: str) -> Duel:
    arguments = {"store": store, "records": 50_000 if quick else 5_000_000}
    ours, theirs = (Work("collector_query.py", {**arguments, "way": way}) for way in ("ours", "claim"))
    first, *further = _QUESTIONS
    return Duel(
        title=f"{first}, {store}",
        against="the 50 ms that it may take",
        unit="ms",
        ours=ours,
        theirs=theirs,
        pairs=1,
        rounds=1 if quick else 3,
        bar=1.0,
        further={question: f"{question}, {store}" for question in further},
    )


def _prepare(folder: str, store: str, records: int, way: str) -> Callable[[], dict[str, Any]]:
    if way == "claim":
        return lambda: _with_value(dict.fromkeys(_QUESTIONS, _MAY_TAKE))
    database = Database().url if store == "PostgreSQL" else str(Path(folder, "logs.sqlite"))
    asyncio.run(_fill(database, records))
    url = Server(database, folder).url

    def one_round() -> dict[str, Any]:
        asked = {name: f"{url}/logs?limit=100&{filters}" for name, filters in _QUESTIONS.items()}
        times = {name: median(_ask(each) for _ in range(_ASKED)) for name, each in asked.items()}
        return {**_with_value(times), "plan": asyncio.run(_plan(database))}

    return one_round


async def _plan(database: str) -> str:
    """Return the database's plan of the first query, shortened."""
    from concurrent_log.collector.store.factory import create_reader, create_store
    from concurrent_log.collector.store.sql.dialect import Statement
    from concurrent_log.collector.store.sql.filters import Filters

    store = create_store(database)
    await store.open()
    reader = create_reader(store)
    rows, asked = reader.rows, []

    async def noted(statement: Statement, *seconds: float) -> Any:
        asked.append(statement)
        return await rows(statement, *seconds)

    reader.rows = noted  # type: ignore[method-assign]  # what the server would ask, and nothing like it
    await reader.find(Filters(level=40, service=("service-7",)), limit=100)
    explain = "EXPLAIN (ANALYZE, COSTS OFF)" if reader.dialect.has_partitions else "EXPLAIN QUERY PLAN"
    found = [await rows(Statement(reader.dialect, f"{explain} {each.sql}", each.arguments)) for each in asked]
    await reader.close()
    await store.close()
    return "\n".join(_short(str(row[-1])) for plan in found for row in plan if _IS_STEP.search(str(row[-1])))


# Of PostgreSQL, the steps with what they took; of SQLite, whose lines have no figures, all of them.
_IS_STEP = re.compile(r"\(actual |\(never executed\)|^Execution Time|^(?!.*(Planning|: ))[A-Z]")


def _short(line: str) -> str:
    line = re.sub(r" on \w+ logs_\d+", "", line)  # the name of the index contains that of the table
    return re.sub(r"\(actual time=\S+?\.\.(\S+) rows=([\d.]+) loops=1\)", r"(\2 rows, \1 ms)", line)


def _with_value(times: dict[str, float]) -> dict[str, float]:
    return {"value": next(iter(times.values())), **times}


def _ask(url: str) -> float:
    start = perf_counter()
    with urllib.request.urlopen(url) as answer:
        found = json.load(answer)["logs"]
    if not found:
        raise RuntimeError(f"nothing found: {url}")
    return (perf_counter() - start) * 1e3


async def _fill(database: str, records: int) -> None:
    from concurrent_log.collector.store.factory import create_store
    from concurrent_log.collector.store.interface import IncomingBatch

    store = create_store(database)
    await store.open()
    for rows in _rows(records):
        await store.add(IncomingBatch(rows))
    await store.close()


def _rows(records: int) -> Iterator[list[tuple[Any, ...]]]:
    from concurrent_log.collector.store.columns import COLUMNS, LEVELS

    chance = random.Random(1)
    first = int((time() - _DAYS * 86_400) * 1e6)
    step = int(_DAYS * 86_400e6 / records)
    levels = chance.choices(list(_LEVELS), list(_LEVELS.values()), k=_AT_ONCE)
    for start in range(0, records, _AT_ONCE):
        rows = []
        for number in range(start, start + _AT_ONCE):
            level = levels[(number * 7919) % _AT_ONCE]
            row = {
                "created_at": first + number * step,
                "level": level,
                "level_number": LEVELS[level],
                "service": f"service-{chance.randrange(_SERVICES)}",
                "host": f"host-{number % 8}",
                "trace_id": f"trace-{number // 10 % 10_000}",
                "message": f"order {number} accepted" + " with a needle" * (number % 5_000 == 17),
                "attributes": '{"customer": "Ada Lovelace"}',
            }
            rows.append(tuple(row.get(name) for name in COLUMNS))
        yield rows


if __name__ == "__main__":
    serve(_prepare)

"""Figure: the memory of client and server during an outage of the server or the database."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from collector_stack import Database, Gate, Server, free_port
from measuring import Course, Figure, Work, serve
from memory import resident_memory

_AN_HOUR = 3_600_000  # records, at 1,000 a second
_BATCH = 1000
_POINTS = 20
_Points = list[tuple[float, float]]


def figure(quick: bool) -> Figure:
    """Return the figure: the memory of clients and of the server over an hour's outage."""
    works = {
        "client, in memory": "memory",
        "client, spooling": "spool",
        "server, database away": "server",
    }
    records = 20_000 if quick else _AN_HOUR
    return Figure(
        name="collector-outage",
        title="An outage of an hour",
        text="A program that logs 1,000 records a second logs 3.6 million in an hour. Here they are logged as fast "
        "as possible while no server listens: by an `AsyncLogClient` that keeps 100,000 records in memory "
        "(the default), and by one that spools up to 64 MiB. They are also sent to a server whose database is "
        "unavailable, which responds with 503.",
        courses=[
            Course(
                quantities={"memory": ("Memory of the process during an outage", "resident memory, MiB")},
                x="minutes of the outage",
                works={
                    label: Work("collector_outage.py", {"way": way, "records": records}) for label, way in works.items()
                },
            )
        ],
    )


def _prepare(folder: str, way: str, records: int) -> Callable[[], dict[str, Any]]:
    course = _server if way == "server" else _client
    return lambda: {"value": {"memory": course(folder, way, records)}}


def _client(folder: str, way: str, records: int) -> _Points:
    from concurrent_log.collector import AsyncLogClient

    spool = {"spool_directory": Path(folder, "spool"), "spool_bytes": 64 * 2**20} if way == "spool" else {}
    client = AsyncLogClient(f"http://127.0.0.1:{free_port()}", service="shop", stop_timeout=1.0, **spool)
    points = [(0.0, resident_memory())]
    for number in range(records):
        client.info("order accepted", number=number, customer="Ada Lovelace")
        if (number + 1) % (records // _POINTS) == 0:
            points.append((60 * (number + 1) / records, resident_memory()))
    client.close()
    return points


def _server(folder: str, way: str, records: int) -> _Points:
    import urllib3

    gate = Gate(Database())
    server = Server(gate.url, folder)
    logs = [{"level": "INFO", "service": "shop", "message": f"order {number} accepted"} for number in range(_BATCH)]
    body = gzip.compress(json.dumps({"logs": logs}).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    points = [(0.0, resident_memory(server.pid))]
    gate.shut()
    with urllib3.PoolManager(retries=False) as pool:
        for number in range(1, records // _BATCH + 1):
            answer = pool.request("POST", f"{server.url}/logs", body=body, headers=headers)
            if answer.status not in (429, 503):
                raise RuntimeError(f"{answer.status}: {answer.data!r}")
            if number % (records // _BATCH // _POINTS) == 0:
                points.append((60 * number * _BATCH / records, resident_memory(server.pid)))
    return points


if __name__ == "__main__":
    serve(_prepare)

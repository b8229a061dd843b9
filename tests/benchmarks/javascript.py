"""Figure: the JavaScript client in Node.js: the price of a call, and the number of records that arrive."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from collector_stack import Database, Server
from measuring import Duel, Figure, MeasuringError, Work, serve

import concurrent_log

_HERE = Path(__file__).parent
_TOOLS = _HERE.parent / "javascript"
_CLIENT = Path(concurrent_log.__file__).parent / "collector" / "javascript" / "node.js"
_PINO = "pino 10 with a worker transport"
_CLAIMS = {"calls": 10.0, "accepted": 100_000.0}  # microseconds, and records per second, as the original says


def figure(quick: bool) -> Figure:
    """Return the figure: our client beside pino and what the original claims."""
    return Figure(
        name="javascript",
        title="The JavaScript client in Node.js",
        text="Each call logs a message with three fields. *Calls*: 5,000 in a row, each timed separately, while "
        "the server receives the records; pino passes its lines to a worker, which writes them to "
        "`/dev/null`. pino does not record the function, file and line of a call; nearly all the time of our "
        "call is spent on that, and `caller: false` omits it. *Accepted*: 100,000 records at once; the rows "
        "in the database are counted at the end. *From call to COMMIT*: the same, until `flush()` reports "
        "that all records are committed.",
        duels=[
            _duel(quick, "a call in Node.js, median", _PINO, "µs", "client", "pino", "calls", 2.0, 1.0),
            _duel(quick, "a call in Node.js, median, `caller: false`", _PINO, "µs", "bare", "pino", "calls", 2.0, 1.0),
            _duel(
                quick, "a call in Node.js, median", "the 10 µs that the original claims", "µs", "client", "claim",
                "calls", 1.0
            ),
            _duel(
                quick, "accepted of a burst in Node.js", "the 100,000/s that the original claims", "records/s",
                "client", "claim", "accepted", 1.0
            ),
            _duel(
                quick, "from call to COMMIT, Node.js", "our Python client", "records/s", "client", "python", "stored"
            ),
        ],
    )  # fmt: skip


def _duel(
    quick: bool,
    title: str,
    against: str,
    unit: str,
    ours: str,
    theirs: str,
    value: str,
    bar: float | None = None,
    goal: float | None = None,
) -> Duel:
    records = 1_000 if quick else {"calls": 5_000}.get(value, 100_000)
    works = (Work("javascript.py", {"way": way, "value": value, "records": records}) for way in (ours, theirs))
    return Duel(title, against, unit, *works, 1 if quick else 5, 1 if quick else 3, bar, goal)


# The child.


def _prepare(folder: str, way: str, value: str, records: int) -> Callable[[], dict[str, Any]]:
    if way == "claim":
        return lambda: {"value": _CLAIMS[value]}
    if way == "pino":
        ask = _program(way, value, records, "")
        return lambda: {"value": ask()}
    database = Database()
    server = Server(database.url, folder)
    ask = _python(server, records) if way == "python" else _program(way, value, records, server.url)

    def one_round() -> dict[str, Any]:
        before = database.count()
        found = ask()
        return {"value": found, "lost": before + records - database.count()}

    return one_round


def _program(way: str, value: str, records: int, url: str) -> Callable[[], float]:
    """Start the program, and return a function that runs its work once."""
    if not (_TOOLS / "node_modules").exists():
        raise MeasuringError(f"the tools are not installed: run npm ci in {_TOOLS}")
    arguments = {"way": way, "value": value, "records": records, "url": url}
    arguments |= {"client": _CLIENT.as_uri(), "tools": str(_TOOLS / "package.json")}
    command = [shutil.which("node") or "node", str(_HERE / "javascript.mjs"), json.dumps(arguments)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    lines, answers = process.stdin, process.stdout
    answers.readline()

    def ask() -> float:
        lines.write("\n")
        lines.flush()
        return float(answers.readline())

    return ask


def _python(server: Server, records: int) -> Callable[[], float]:
    from time import perf_counter

    from concurrent_log.collector import AsyncLogClient

    client = AsyncLogClient(server.url, service="shop")

    def ask() -> float:
        start = perf_counter()
        for number in range(records):
            client.info("order accepted", number=number, customer="Ada", amount=9.5)
        client.flush(120)
        return records / (perf_counter() - start)

    return ask


if __name__ == "__main__":
    serve(_prepare)

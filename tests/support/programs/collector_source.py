"""A program that logs to a collector until it is told to end; `collector_torture` starts, kills and stops it.

Each thread of each process is a source: its records are numbered from 1, and a file of its own that survives a kill
says how many calls have returned, and up to which number a flush was a success. Who ends by himself leaves a report.
"""

import contextlib
import json
import logging
import mmap
import os
import random
import struct
import sys
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from concurrent_log.collector import AsyncLogClient, CollectorHandler

_NUMBERS = struct.Struct("qq")
_STRANGE: list[Any] = [
    float("nan"), b"\xff", "\0", "\ud800", {1, 2}, Decimal("1.5"), 2**80, [[[[]]]], {"a": object()}, "ü" * 3000,
]  # fmt: skip

Log = Callable[[str, int], None]


class Ledger:
    """How many calls of a source have returned, and up to which one a flush was a success."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(_NUMBERS.size))
        with path.open("r+b") as file:
            self._cells = mmap.mmap(file.fileno(), _NUMBERS.size)
        self.returned = self.flushed = 0

    def note(self) -> None:
        """Let what is known survive."""
        _NUMBERS.pack_into(self._cells, 0, self.returned, self.flushed)


def numbers_in(path: Path) -> tuple[int, int]:
    """Return how many calls had returned, and up to which one a flush was a success."""
    content = path.read_bytes()  # nothing, where the process was killed before it began
    returned, flushed = _NUMBERS.unpack(content or bytes(_NUMBERS.size))
    return returned, flushed


class Program:
    """One process of sources."""

    def __init__(self, order: dict[str, Any], name: str) -> None:
        self.order = order
        self.name = name
        self.folder = Path(order["folder"])
        self.random = random.Random(f"{order['seed']} {name}")
        self.ledgers: dict[str, Ledger] = {}
        self.children: list[int] = []

    def begin(self) -> None:
        """Make what sends."""
        order = self.order
        if order["kind"] == "client":
            self.client: Any = AsyncLogClient(order["url"], env_file=None, **order["options"])
            self.log: Log = lambda source, number: self.client.info("torture", **self.extra(source, number))
            return
        self.client = CollectorHandler(order["url"], **order["options"])
        logger = logging.Logger("torture")
        logger.addFilter(self.step)
        logger.addHandler(self.client)
        self.log = lambda source, number: logger.info("torture", extra=self.extra(source, number))

    def extra(self, source: str, number: int) -> dict[str, Any]:
        """Return what a record has besides."""
        found: dict[str, Any] = {"source": source, "number": number}
        if number % 50 == 7:
            found["strange"] = self.random.choice(_STRANGE)
        return found

    def step(self, record: logging.LogRecord) -> bool:
        """Let the clock be wrong for some records, by up to some years."""
        if self.order["clock_steps"] and record.__dict__["number"] // 100 % 7 == 3:
            record.created += self.random.choice([-1e9, -9e6, -86400.0, 3600.0, 86400.0, 1e6, 1e8])
        return True

    def run(self) -> None:
        """Log from all threads until it is time to end."""
        threads = [threading.Thread(target=self.work, args=(f"{self.name}.{n}",)) for n in range(self.order["threads"])]
        for thread in threads:
            thread.start()
        while not self.is_over():
            self.disturb()
        for thread in threads:
            thread.join()
        self.end()

    def is_over(self) -> bool:
        """Return whether it is time to end."""
        return Path(self.order["end"]).exists()

    def disturb(self) -> None:
        """Fork now and then, in the middle of what the threads do."""
        time.sleep(self.random.uniform(0.05, 0.4))
        if self.order["forks"] and len(self.children) < 3 and self.random.random() < 0.5:
            name = f"{self.name}f{len(self.children)}"
            pid = os.fork()
            if pid == 0:
                _child(self, name)
            self.children.append(pid)

    def work(self, source: str) -> None:
        """Log in bursts, and flush now and then."""
        ledger = self.ledgers[source] = Ledger(self.folder / f"{source}.ledger")
        while not self.is_over() and ledger.returned < self.order["most"]:
            for _ in range(self.random.choice([1, 5, 50, 200])):
                self.log(source, ledger.returned + 1)
                ledger.returned += 1
                ledger.note()
            if self.random.random() < 0.03 and self.client.flush(1.0):
                ledger.flushed = ledger.returned
                ledger.note()
            time.sleep(self.random.uniform(0, self.order["pause"]))

    def end(self) -> None:
        """Send all, end, and say what became of it."""
        for pid in self.children:
            os.waitpid(pid, 0)
        self.client.flush(self.order["patience"])
        self.client.close()
        stats = self.client.stats()
        report = {
            "logged": {source: ledger.returned for source, ledger in self.ledgers.items()},
            "dropped": stats.dropped,
            "queued": stats.queued,
            "acknowledged": stats.acknowledged,
        }
        (self.folder / f"{self.name}.report").write_text(json.dumps(report))


def _child(parent: Program, name: str) -> None:
    """Log a little in a child, in a thread besides, and end it one way or the other."""
    with contextlib.suppress(BaseException):
        program = Program(parent.order, name)
        program.client, program.log = parent.client, parent.log
        until = time.monotonic() + program.random.uniform(0.1, 1.0)
        program.is_over = lambda: time.monotonic() > until  # type: ignore[method-assign]
        thread = threading.Thread(target=program.work, args=(f"{name}.0",))
        thread.start()
        program.work(f"{name}.1")
        thread.join()
        program.end()
    os._exit(0)


if __name__ == "__main__":
    main = Program(json.loads(sys.argv[1]), json.loads(sys.argv[1])["name"])
    main.begin()
    main.run()

"""A program that logs to a collector until a file appears; the collector's torture test starts, kills and stops it.

Each thread of each process is a source, and numbers its records from 1. A file for each source survives a kill: it
contains the number of calls that returned, and the last number before a successful flush. A process that exits writes
a report.
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
    """The number of calls of a source that returned, and the last number before a successful flush."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(_NUMBERS.size))
        with path.open("r+b") as file:
            self._cells = mmap.mmap(file.fileno(), _NUMBERS.size)
        self.returned = self.flushed = 0

    def save(self) -> None:
        """Write the numbers to a memory-mapped file, which survives a kill."""
        _NUMBERS.pack_into(self._cells, 0, self.returned, self.flushed)


def numbers_in(path: Path) -> tuple[int, int]:
    """Return the numbers of a `Ledger` file."""
    content = path.read_bytes()  # empty if the process was killed early
    returned, flushed = _NUMBERS.unpack(content or bytes(_NUMBERS.size))
    return returned, flushed


class Program:
    """One process, with a source in each thread."""

    def __init__(self, order: dict[str, Any], name: str) -> None:
        self.order = order
        self.name = name
        self.folder = Path(order["folder"])
        self.random = random.Random(f"{order['seed']} {name}")
        self.ledgers: dict[str, Ledger] = {}
        self.children: list[int] = []

    def configure(self) -> None:
        """Create the handler or the client."""
        order = self.order
        if order["kind"] == "client":
            self.client: Any = AsyncLogClient(order["url"], env_file=None, **order["options"])
            self.log: Log = lambda source, number: self.client.info("torture", **self.extra(source, number))
            return
        self.client = CollectorHandler(order["url"], **order["options"])
        logger = logging.Logger("torture")
        logger.addFilter(self.change_clock)
        logger.addHandler(self.client)
        self.log = lambda source, number: logger.info("torture", extra=self.extra(source, number))

    def extra(self, source: str, number: int) -> dict[str, Any]:
        """Return the extra fields of a record."""
        fields: dict[str, Any] = {"source": source, "number": number}
        if number % 50 == 7:
            fields["strange"] = self.random.choice(_STRANGE)
        return fields

    def change_clock(self, record: logging.LogRecord) -> bool:
        """Move the time of some records by up to 30 years."""
        if self.order["clock_steps"] and record.__dict__["number"] // 100 % 7 == 3:
            record.created += self.random.choice([-1e9, -9e6, -86400.0, 3600.0, 86400.0, 1e6, 1e8])
        return True

    def run(self) -> None:
        """Log in all threads until the end."""
        threads = [threading.Thread(target=self.work, args=(f"{self.name}.{n}",)) for n in range(self.order["threads"])]
        for thread in threads:
            thread.start()
        while not self.is_over():
            self.fork_sometimes()
        for thread in threads:
            thread.join()
        self.end()

    def is_over(self) -> bool:
        """Return whether the program must end."""
        return Path(self.order["end"]).exists()

    def fork_sometimes(self) -> None:
        """Fork at random, while the threads log."""
        time.sleep(self.random.uniform(0.05, 0.4))
        if self.order["forks"] and len(self.children) < 3 and self.random.random() < 0.5:
            name = f"{self.name}f{len(self.children)}"
            pid = os.fork()
            if pid == 0:
                _run_child(self, name)
            self.children.append(pid)

    def work(self, source: str) -> None:
        """Log in bursts, and flush at random."""
        ledger = self.ledgers[source] = Ledger(self.folder / f"{source}.ledger")
        while not self.is_over() and ledger.returned < self.order["most"]:
            for _ in range(self.random.choice([1, 5, 50, 200])):
                self.log(source, ledger.returned + 1)
                ledger.returned += 1
                ledger.save()
            if self.random.random() < 0.03 and self.client.flush(1.0):
                ledger.flushed = ledger.returned
                ledger.save()
            time.sleep(self.random.uniform(0, self.order["pause"]))

    def end(self) -> None:
        """Send all records and write the report."""
        for pid in self.children:
            os.waitpid(pid, 0)
        self.client.flush(self.order["flush_timeout"])
        self.client.close()
        stats = self.client.stats()
        report = {
            "logged": {source: ledger.returned for source, ledger in self.ledgers.items()},
            "dropped": stats.dropped,
            "queued": stats.queued,
            "acknowledged": stats.acknowledged,
        }
        (self.folder / f"{self.name}.report").write_text(json.dumps(report))


def _run_child(parent: Program, name: str) -> None:
    """Log for a short time in the child, in two threads, and end it without exit callbacks."""
    with contextlib.suppress(BaseException):
        program = Program(parent.order, name)
        program.client, program.log = parent.client, parent.log
        end = time.monotonic() + program.random.uniform(0.1, 1.0)
        program.is_over = lambda: time.monotonic() > end  # type: ignore[method-assign]
        thread = threading.Thread(target=program.work, args=(f"{name}.0",))
        thread.start()
        program.work(f"{name}.1")
        thread.join()
        program.end()
    os._exit(0)


if __name__ == "__main__":
    main = Program(json.loads(sys.argv[1]), json.loads(sys.argv[1])["name"])
    main.configure()
    main.run()

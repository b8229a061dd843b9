"""The collector's server in a process of its own, on a free port."""

import asyncio
import contextlib
import gzip
import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

from support.deadlines import DEADLINE
from support.processes import environment


class Server:
    """``concurrent-log serve`` with ``options``, in ``folder``; use it as a context manager.

    Attributes:
        database: The path or the address of its database.
        port: Its port on 127.0.0.1; it is the same after a restart.
        output: What it printed when it started.
        process: The process.
    """

    process: "subprocess.Popen[str]"

    def __init__(self, folder: Path, database: str, *options: str, variables: dict[str, str] | None = None) -> None:
        self.database = database
        self.port = 0
        self.output = ""
        self._folder = folder
        self._options = options
        self._variables = variables or {}

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start the server, and return when it accepts requests."""
        command = [sys.executable, "-m", "concurrent_log", "serve", "--port", str(self.port), *self._options]
        variables = {"CONCURRENT_LOG_DATABASE": self.database, **self._variables}
        with open(self._folder / "stderr.txt", "a", encoding="utf-8") as stderr:
            self.process = subprocess.Popen(
                command,
                cwd=self._folder,
                env={**environment(), **variables},
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        assert self.process.stdout is not None
        self.output = ""
        while "/logs -d" not in self.output:
            line = self.process.stdout.readline()
            assert line, f"the server ended: {self.errors}"
            self.output += line
        self.port = int(self.output.partition("/logs -d")[0].rpartition(":")[2])

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def errors(self) -> str:
        """Everything that it printed on stderr."""
        return (self._folder / "stderr.txt").read_text(encoding="utf-8")

    def kill(self) -> None:
        """Kill the server if it is running."""
        with self.process:
            self.process.kill()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and return the exit status."""
        self.process.send_signal(number)
        with self.process:
            return self.process.wait(DEADLINE)

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> "tuple[int, Any, dict[str, str]]":
        """Send one request, and return the status, the JSON or the text, and the headers in lower case."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        with contextlib.closing(connection):
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            content = response.read()
            response_headers = {name.lower(): value for name, value in response.getheaders()}
        is_json = response_headers.get("content-type") == "application/json"
        return response.status, json.loads(content) if is_json else content.decode(errors="replace"), response_headers

    def get(self, path: str, **headers: str) -> Any:
        """Return the JSON of a GET request that must succeed."""
        status, found, _ = self.ask("GET", path, **headers)
        assert status == 200, found
        return found

    def send(self, records: Any, *, zipped: bool = False, headers: dict[str, str] | None = None, **body: Any) -> Any:
        """Send a batch that must be accepted, and return the response."""
        content = json.dumps({"logs": records, **body}).encode()
        sent_headers = dict(headers or {})
        if zipped:
            content, sent_headers["Content-Encoding"] = gzip.compress(content), "gzip"
        status, answer, _ = self.ask("POST", "/logs", content, **sent_headers)
        assert status == 200, answer
        return answer

    def select(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query on its database."""
        return select(self.database, sql)

    def count(self) -> int:
        """Return the number of stored records."""
        return int(self.select("SELECT count(*) FROM logs")[0][0])

    def clear(self) -> None:
        """Remove all records, batches, clients and losses."""
        execute(self.database, "DELETE FROM logs; DELETE FROM batches; DELETE FROM clients; DELETE FROM drops;")

    def memory(self) -> int:
        """Return the peak memory of the process in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024

    def processor_time(self) -> float:
        """Return the processor time of the process in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def select(database: str, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    if database.startswith("postgresql://"):
        with ThreadPoolExecutor(1) as thread:  # Playwright may run an event loop in this thread.
            return thread.submit(asyncio.run, _select(database, sql)).result()
    with contextlib.closing(sqlite3.connect(f"file:{os.fspath(database)}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def execute(database: str, sql: str) -> None:
    """Run SQL statements."""
    if database.startswith("postgresql://"):
        with ThreadPoolExecutor(1) as thread:  # Playwright may run an event loop in this thread.
            thread.submit(asyncio.run, _execute(database, sql)).result()
        return
    with contextlib.closing(sqlite3.connect(database, timeout=DEADLINE)) as connection:
        connection.executescript(sql)


async def _execute(address: str, sql: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(address, server_settings={"search_path": "concurrent_log"})
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def _select(address: str, sql: str) -> list[tuple[Any, ...]]:
    import asyncpg

    connection = await asyncpg.connect(address, server_settings={"search_path": "concurrent_log"})
    try:
        return [tuple(each) for each in await connection.fetch(sql)]
    finally:
        await connection.close()

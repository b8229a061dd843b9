"""The collector's server as a process of its own, on a free port."""

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
    """``concurrent-log serve`` with ``options``, in ``folder``; to be used with ``with``.

    Attributes:
        database: Where it keeps its records.
        port: Where it listens at 127.0.0.1; it stays when the server is started again.
        said: What it said on stdout, up to the first request that it can take.
        process: The process.
    """

    process: "subprocess.Popen[str]"

    def __init__(self, folder: Path, database: str, *options: str, variables: dict[str, str] | None = None) -> None:
        self.database = database
        self.port = 0
        self.said = ""
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
        """Start it, and return when it answers."""
        command = [sys.executable, "-m", "concurrent_log", "serve", "--port", str(self.port), *self._options]
        given = {"CONCURRENT_LOG_DATABASE": self.database, **self._variables}
        with open(self._folder / "stderr.txt", "a", encoding="utf-8") as stderr:
            self.process = subprocess.Popen(
                command,
                cwd=self._folder,
                env={**environment(), **given},
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        assert self.process.stdout is not None
        self.said = ""
        while "curl" not in self.said:
            line = self.process.stdout.readline()
            assert line, f"it ended: {self.complaints}"
            self.said += line
        self.port = int(self.said.partition("/logs -d")[0].rpartition(":")[2])

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def complaints(self) -> str:
        """All that it said on stderr."""
        return (self._folder / "stderr.txt").read_text(encoding="utf-8")

    def kill(self) -> None:
        """Kill it, if it still runs."""
        with self.process:
            self.process.kill()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to end, and return its exit status."""
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
            answered = {name.lower(): value for name, value in response.getheaders()}
        is_json = answered.get("content-type") == "application/json"
        return response.status, json.loads(content) if is_json else content.decode(), answered

    def get(self, path: str, **headers: str) -> Any:
        """Return the JSON of a request that must succeed."""
        status, found, _ = self.ask("GET", path, **headers)
        assert status == 200, found
        return found

    def send(self, records: Any, *, zipped: bool = False, headers: dict[str, str] | None = None, **body: Any) -> Any:
        """Send a batch, which must be taken, and return the answer."""
        content = json.dumps({"logs": records, **body}).encode()
        given = dict(headers or {})
        if zipped:
            content, given["Content-Encoding"] = gzip.compress(content), "gzip"
        status, answer, _ = self.ask("POST", "/logs", content, **given)
        assert status == 200, answer
        return answer

    def select(self, sql: str) -> list[tuple[Any, ...]]:
        """Return what its database answers."""
        return select(self.database, sql)

    def memory(self) -> int:
        """Return how many bytes it has had in memory at most."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024


def select(database: str, sql: str) -> list[tuple[Any, ...]]:
    """Return what the database answers."""
    if database.startswith("postgresql://"):
        with ThreadPoolExecutor(1) as thread:  # In this one, Playwright may have an event loop.
            return thread.submit(asyncio.run, _select(database, sql)).result()
    with contextlib.closing(sqlite3.connect(f"file:{os.fspath(database)}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


async def _select(address: str, sql: str) -> list[tuple[Any, ...]]:
    import asyncpg

    connection = await asyncpg.connect(address, server_settings={"search_path": "concurrent_log"})
    try:
        return [tuple(each) for each in await connection.fetch(sql)]
    finally:
        await connection.close()

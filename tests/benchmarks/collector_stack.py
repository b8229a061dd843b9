"""A private database and server for the benchmarks of the collector; they end with the child process."""

import asyncio
import atexit
import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_ADMIN = os.environ.get("POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
_START = 60.0  # seconds that a server may take to start, and to store everything


class Database:
    """A PostgreSQL database that is dropped at the end.

    Attributes:
        url: Where it is.
    """

    def __init__(self) -> None:
        name = f"concurrent_log_{uuid.uuid4().hex[:12]}"
        self.url = f"{_ADMIN.rpartition('/')[0]}/{name}"
        _run(_ADMIN, f"CREATE DATABASE {name}")
        atexit.register(_run, _ADMIN, f"DROP DATABASE {name} WITH (FORCE)")

    def count(self) -> int:
        """Return the number of records in it."""
        return int(_run(self.url, "SELECT count(*) FROM concurrent_log.logs"))

    def settled_count(self) -> int:
        """Return the number of records when no more arrive."""
        before, found = -1, self.count()
        while found != before:
            time.sleep(3)
            before, found = found, self.count()
        return found


class Server:
    """Our server, in a process of its own.

    Attributes:
        url: Where it is.
        pid: Its process.
    """

    def __init__(self, database: str, folder: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "concurrent_log", "serve", "--port", str(port), "--database", database]
        self._said = Path(folder, "server.txt")
        with self._said.open("w") as output:
            self._process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
        self.pid = self._process.pid
        atexit.register(self.stop)
        self._wait()

    def stop(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait()

    def processor_time(self) -> float:
        """Return the processor time of its process in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _wait(self) -> None:
        end = time.monotonic() + _START
        while time.monotonic() < end and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/health"):
                    return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"the server did not start: {self._said.read_text()[-1000:]}")


class Gate:
    """A relay to PostgreSQL that can be closed, as if the database were unavailable.

    Attributes:
        url: The address of the database by this way.
    """

    def __init__(self, database: Database) -> None:
        parts = urlsplit(database.url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        user = f"{parts.username}@" if parts.username else ""
        self.url = parts._replace(netloc=f"{user}127.0.0.1:{port}").geturl()
        threading.Thread(target=self._serve, daemon=True).start()

    def shut(self) -> None:
        """Close all connections and refuse new ones."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # else who waits in ``accept`` goes on
        self._listener.close()
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._open += (near, far)
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(1 << 16):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(url: str, statement: str) -> Any:
    async def run() -> Any:
        import asyncpg

        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(run())

"""A PostgreSQL server that a test can kill and suspend."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import asyncpg

from support.deadlines import DEADLINE
from support.freezing import freeze

_USER = "postgres"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "16MB",
    "max_connections": "40",
    "max_wal_size": "128MB",
}


def programs() -> Path | None:
    """Return the folder with the programs of the newest PostgreSQL, or None."""
    known = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    found = shutil.which("initdb")
    return known[-1].parent if known else Path(found).resolve().parent if found else None


class Cluster:
    """A server with a folder of its own; ``access`` are the first lines of its pg_hba.conf."""

    def __init__(self, bin_folder: Path, access: str = "") -> None:
        self._bin = bin_folder
        self._folder = Path(tempfile.mkdtemp(prefix="cluster-"))
        # PostgreSQL refuses to run as root.
        self._user = _USER if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self._folder, self._user)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self._do("initdb", "-D", str(self._folder / "data"), "-A", "trust", "-U", _USER, "-E", "UTF8", "--no-sync")
        rules = self._folder / "data" / "pg_hba.conf"
        rules.write_text(access + rules.read_text())

    def __enter__(self) -> "Cluster":
        self.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self.remove()

    def _do(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._bin / program, *arguments], user=self._user, cwd=self._folder, check=True, capture_output=True
        )

    def address(self, database: str) -> str:
        """Return the address of a database."""
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server; after a kill, it recovers."""
        settings = [f"--{name}={value}" for name, value in {**_SETTINGS, "port": self.port}.items()]
        with (self._folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._folder / "data", *settings],
                user=self._user, cwd=self._folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        deadline = time.monotonic() + DEADLINE
        while not self._responds():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError((self._folder / "log.txt").read_text()[-2000:])
            time.sleep(0.05)

    def _responds(self) -> bool:
        try:
            asyncio.run(self._execute("postgres", "SELECT 1"))
        except (OSError, asyncio.TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True

    def create(self, database: str) -> str:
        """Create a database, and return its address."""
        asyncio.run(self._execute("postgres", f"CREATE DATABASE {database}"))
        return self.address(database)

    def drop(self, database: str) -> None:
        """Remove a database."""
        asyncio.run(self._execute("postgres", f"DROP DATABASE IF EXISTS {database} WITH (FORCE)"))

    async def _execute(self, database: str, sql: str) -> None:
        connection = await asyncpg.connect(self.address(database), timeout=DEADLINE)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    def kill(self) -> None:
        """Kill all its processes at once."""
        self._signal(signal.SIGKILL)
        self._wait()

    def kill_backend(self) -> None:
        """Kill a backend; then PostgreSQL ends all of them, and recovers."""
        for pid in [pid for pid in self._children() if "127.0.0.1(" in _command(pid)][-1:]:
            _send(pid, signal.SIGKILL)

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server, by default without a checkpoint."""
        if self._process is not None and self._process.poll() is None:
            self._do("pg_ctl", "stop", "-D", str(self._folder / "data"), "-m", mode)
            self._wait()

    def freeze(self) -> None:
        """Suspend all its processes, and return when none of them runs."""
        assert self._process is not None
        freeze(self._process.pid)  # first, so that it starts no others
        freeze(*self._children())

    def thaw(self) -> None:
        """Resume all its processes."""
        self._signal(signal.SIGCONT)

    def remove(self) -> None:
        """Kill the server, and remove its files."""
        if self._process is not None:
            self.kill()
        shutil.rmtree(self._folder)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        # The main process is first, so that it starts no others.
        for pid in [self._process.pid, *self._children()]:
            _send(pid, number)

    def _children(self) -> list[int]:
        assert self._process is not None
        path = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [int(pid) for pid in path.read_text().split()] if path.exists() else []

    def _wait(self) -> None:
        assert self._process is not None
        self._process.wait(DEADLINE)
        deadline = time.monotonic() + DEADLINE
        while self._is_in_use() and time.monotonic() < deadline:
            time.sleep(0.02)

    def _is_in_use(self) -> bool:
        """Return whether a process still runs in the data folder."""
        data = str(self._folder / "data")
        for path in Path("/proc").glob("[0-9]*/cwd"):
            try:
                if os.readlink(path) == data:
                    return True
            except OSError:
                pass
        return False


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
    except OSError:
        return ""


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)

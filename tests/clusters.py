"""A PostgreSQL of one's own, which can be killed."""

import glob
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
from types import TracebackType
from typing import Any

from serving import wait_until


def programs() -> pathlib.Path | None:
    """Return the folder of initdb and postgres, also where only a distribution looks for it; None without them."""
    found = shutil.which("initdb")
    folders = [str(pathlib.Path(found).resolve().parent)] if found else []
    folders += sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)
    return next((pathlib.Path(each) for each in folders if pathlib.Path(each, "postgres").exists()), None)


class Cluster:
    """A PostgreSQL server, begun by `start`, with its files in a new folder; to be used with ``with``."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._programs = folder
        self._process: subprocess.Popen[bytes] | None = None
        # It refuses to be root's; and the folders of pytest are for one user only.
        self._options: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        self._folder = tempfile.mkdtemp()
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = probe.getsockname()[1]

    @property
    def address(self) -> str:
        """The address of its database."""
        return f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    def __enter__(self) -> "Cluster":
        if self._options:
            shutil.chown(self._folder, "postgres", "postgres")
        command = [self._programs / "initdb", "--auth=trust", "--username=postgres", "--no-sync", "-D", self._data]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", **self._options)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self._folder)

    @property
    def _data(self) -> str:
        return f"{self._folder}/data"

    def start(self) -> None:
        """Start it, and return when it answers."""
        command = [self._programs / "postgres", "-D", self._data, "-p", str(self._port), "-k", self._folder]
        with open(f"{self._folder}/log.txt", "ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **self._options)
        ready = [self._programs / "pg_isready", "--quiet", "-h", "127.0.0.1", "-p", str(self._port)]
        wait_until(lambda: subprocess.run(ready).returncode == 0)

    def kill(self) -> None:
        """Kill all its processes at once, as the end of the power would."""
        if self._process is not None:
            # The first one would tell the others to end in order.
            children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self._process.pid)], capture_output=True)
            for pid in (self._process.pid, *map(int, children.stdout.split())):
                os.kill(pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

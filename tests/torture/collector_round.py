"""Plays a round of the collector's torture test: real programs, servers and databases, and everything goes wrong."""

import contextlib
import dataclasses
import heapq
import itertools
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import portalocker

from concurrent_log.collector import CollectorHandler
from concurrent_log.collector.client.queue.segment import content_of
from support.collector_server import Server, select
from support.hostile_proxy import Proxy, Record
from support.postgres_cluster import Cluster
from support.processes import PROGRAMS, environment
from torture.collector_plan import PATIENCE, Event, Fault, Round, Source

SMALL = 600_000  # bytes of a small disk, or more where it has to take what is stored
_FOREVER = 90.0  # seconds in which everything has to end that was told to
_MOST, _MOST_ALONE = 6_000, 200  # records of a source, and of one that sends each in a request


@dataclasses.dataclass
class Outcome:
    """What a round came to.

    Attributes:
        folder: Its files.
        database: Where the records are.
        proxy: What it knows.
        killed: The names of the programs that were killed, or may have been.
        started: The names of all programs, with what they are.
        damaged: The records of damaged lines.
        left: What the finishing process could not send, by spool.
        faults: What was done, and how often.
        complaints: What programs and servers said on stderr.
        stored: Source, number and sequence of each record in the store, in the order in which they were stored.
        drops: How many losses clients have reported to the server.
    """

    folder: Path
    database: str
    proxy: Proxy
    killed: set[str] = dataclasses.field(default_factory=set)
    started: dict[str, Source] = dataclasses.field(default_factory=dict)
    damaged: set[Record] = dataclasses.field(default_factory=set)
    left: dict[str, int] = dataclasses.field(default_factory=dict)
    faults: "Counter[Fault]" = dataclasses.field(default_factory=Counter)
    complaints: str = ""
    stored: list[tuple[str, int, int]] = dataclasses.field(default_factory=list)
    drops: int = 0


def play(plan: Round, folder: Path, cluster: Cluster | None) -> Outcome:
    """Play a round, and return what it came to; on PostgreSQL the database is in ``cluster``, and runs afterwards."""
    with contextlib.ExitStack() as ends:
        stage = _Stage(plan, folder, cluster, ends)
        stage.play()
        return stage.outcome


class _Stage:
    """A round that is played."""

    def __init__(self, plan: Round, folder: Path, cluster: Cluster | None, ends: contextlib.ExitStack) -> None:
        self.plan = plan
        self.folder = folder
        self.cluster = cluster
        self._ends = ends
        self._names = itertools.count()
        self._programs: dict[str, subprocess.Popen[bytes]] = {}
        self._is_database_up = True
        (folder / "notes").mkdir()
        self._disk = self._small_disk()
        self._servers = [self._server(number) for number in range(plan.servers)]
        proxy = Proxy(
            [server.port for server in self._servers], plan.seed, PATIENCE, plan.trouble, plan.limit, plan.poison
        )
        ends.callback(proxy.stop)
        self.outcome = Outcome(folder, self._servers[0].database, proxy)
        # Whoever has the other end lives: programs, and the children that they forked.
        self._alive, self._held = os.pipe()
        ends.callback(os.close, self._alive)

    # The stage.

    def _small_disk(self) -> Path | None:
        if self.plan.small_disk is None:
            return None
        disk = self.folder / "disk"
        disk.mkdir()
        size = SMALL if self.plan.small_disk == "spool" else 200 * SMALL
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], check=True)
        self._ends.callback(subprocess.run, ["umount", "--lazy", disk], check=True)
        return disk

    def _server(self, number: int) -> Server:
        folder = self.folder / f"server-{number}"
        folder.mkdir()
        if self.cluster is not None:
            name = f"torture_{self.plan.seed}"
            if number == 0:
                self.cluster.drop(name)
                self.cluster.create(name)
            database = self.cluster.address(name)
        else:
            where = self._disk if self.plan.small_disk == "database" else self.folder
            database = str(where / "logs.sqlite3")  # type: ignore[operator]  # there is one then
        server = Server(folder, database)
        server.start()
        self._ends.callback(server.kill)
        return server

    def _spool(self, number: int) -> Path:
        parent = self._disk if self.plan.small_disk == "spool" else self.folder
        return parent / f"spool-{number}"  # type: ignore[operator]  # there is one then

    # The play.

    def play(self) -> None:
        """Let programs log, let everything go wrong, and let it be right again at last."""
        for source in self.plan.sources:
            self._start(source)
        began = time.monotonic()
        for at, act in self._acts():
            time.sleep(max(0.0, began + at - time.monotonic()))
            act()
        time.sleep(max(0.0, began + self.plan.seconds - time.monotonic()))
        self._heal()
        self._end_programs()
        self._pick_up()
        self.outcome.proxy.wait_until_idle(_FOREVER)
        self.outcome.stored, self.outcome.drops = _stored_records(self.outcome), _stored_drops(self.outcome)
        said = [path for path in self.folder.rglob("stderr*.txt") if path.is_file()]
        self.outcome.complaints = "".join(path.read_text(errors="replace") for path in said)

    def _acts(self) -> Iterator[tuple[float, Callable[[], None]]]:
        """Yield what is to be done, and when."""
        acts: list[tuple[float, int, Callable[[], None]]] = []
        for number, event in enumerate(self.plan.events):
            begin, end = _ACTS[event.fault]
            heapq.heappush(acts, (event.at, number, lambda event=event, begin=begin: begin(self, event)))  # type: ignore[misc]
            if end is not None:
                heapq.heappush(acts, (event.at + event.lasting, number, lambda event=event, end=end: end(self, event)))  # type: ignore[misc]
        while acts:
            at, _, act = heapq.heappop(acts)
            yield at, act

    def _count(self, event: Event) -> None:
        self.outcome.faults[event.fault] += 1

    # Programs.

    def _start(self, source: Source) -> str:
        name = f"p{next(self._names)}"
        options = dict(source.options)
        if source.spool is not None:
            options["spool_directory"] = str(self._spool(source.spool))
        order = {
            **dataclasses.asdict(source), "options": options, "name": name, "url": self.outcome.proxy.url,
            "seed": self.plan.seed, "folder": str(self.folder / "notes"), "end": str(self.folder / "end"),
            "most": _MOST if source.options["batch_size"] > 1 else _MOST_ALONE, "patience": 40.0,
        }  # fmt: skip
        command = [sys.executable, str(PROGRAMS / "collector_source.py"), json.dumps(order)]
        with (self.folder / f"stderr-{name}.txt").open("wb") as stderr:
            self._programs[name] = subprocess.Popen(
                command, cwd=self.folder, env={**environment(), "PYTHONWARNINGS": "ignore::DeprecationWarning"},
                stdin=subprocess.DEVNULL, stderr=stderr, pass_fds=[self._held], start_new_session=True,
            )  # fmt: skip
        self._ends.callback(self._kill_group, name)
        self.outcome.started[name] = source
        return name

    def _kill_group(self, name: str) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._programs[name].pid, signal.SIGKILL)
        self._programs[name].wait()

    def _whom(self, event: Event) -> str | None:
        """Return the name of the program that the event strikes."""
        living = [name for name, program in self._programs.items() if program.poll() is None]
        return living[int(event.whom * len(living))] if living else None

    def _kill_program(self, event: Event, *, damage: bool = False) -> None:
        name = self._whom(event)
        if name is None:
            return
        self._count(event)
        self.outcome.killed.add(name)
        if damage or event.whom * 10 % 1 < 0.5:
            self._kill_group(name)
        else:
            self._programs[name].kill()  # Its children live on.
            self._programs[name].wait()
        source = self.outcome.started[name]
        if damage and source.spool is not None:
            self.outcome.damaged |= _damage(self._spool(source.spool), event.whom)
        self._start(source)

    def _damage(self, event: Event) -> None:
        self._kill_program(event, damage=True)

    def _freeze_program(self, event: Event) -> None:
        name = self._whom(event)
        if name is not None:
            self._count(event)
            os.kill(self._programs[name].pid, signal.SIGSTOP)

    def _thaw_programs(self, _: Event | None = None) -> None:
        for program in self._programs.values():
            if program.poll() is None:
                program.send_signal(signal.SIGCONT)

    # Servers.

    def _server_of(self, event: Event) -> Server:
        return self._servers[int(event.whom * len(self._servers))]

    def _kill_server(self, event: Event) -> None:
        if self._server_of(event).process.poll() is None:
            self._count(event)
            self._server_of(event).kill()

    def _end_server(self, event: Event) -> None:
        server = self._server_of(event)
        if server.process.poll() is None:
            self._count(event)
            server.process.send_signal(signal.SIGCONT)
            server.stop()

    def _freeze_server(self, event: Event) -> None:
        if self._server_of(event).process.poll() is None:
            self._count(event)
            self._server_of(event).process.send_signal(signal.SIGSTOP)

    def _thaw_servers(self, _: Event | None = None) -> None:
        for server in self._servers:
            if server.process.poll() is None:
                server.process.send_signal(signal.SIGCONT)

    def _restart_servers(self, _: Event | None = None) -> None:
        for server in self._servers:
            if server.process.poll() is not None:
                self._empty_disk()  # It does not start where the database's disk is full.
                if self.cluster is not None and self._is_database_up:
                    self.cluster.thaw()
                server.start()

    # The database.

    def _kill_database(self, event: Event) -> None:
        self._take_down(event, lambda cluster: cluster.kill())

    def _crash_database(self, event: Event) -> None:
        self._take_down(event, lambda cluster: cluster.stop())

    def _take_down(self, event: Event, how: Callable[[Cluster], None]) -> None:
        if self.cluster is not None and self._is_database_up:
            self._count(event)
            self.cluster.thaw()
            how(self.cluster)
            self._is_database_up = False

    def _kill_backend(self, event: Event) -> None:
        if self.cluster is not None and self._is_database_up:
            self._count(event)
            self.cluster.kill_backend()

    def _freeze_database(self, event: Event) -> None:
        if self.cluster is not None and self._is_database_up:
            self._count(event)
            self.cluster.freeze()

    def _bring_database_back(self, _: Event | None = None) -> None:
        if self.cluster is not None and not self._is_database_up:
            self.cluster.start()
            self._is_database_up = True
        elif self.cluster is not None:
            self.cluster.thaw()

    # Disks.

    def _fill_disk(self, event: Event) -> None:
        if self._disk is not None:
            self._count(event)
            with contextlib.suppress(OSError), (self._disk / "ballast").open("ab", buffering=0) as ballast:
                while ballast.write(b"\0" * 4096):
                    pass

    def _empty_disk(self, _: Event | None = None) -> None:
        if self._disk is not None:
            (self._disk / "ballast").unlink(missing_ok=True)

    # The end.

    def _heal(self) -> None:
        self.outcome.proxy.trouble = 0.0
        self._empty_disk()
        self._thaw_programs()
        self._thaw_servers()
        self._bring_database_back()
        self._restart_servers()

    def _end_programs(self) -> None:
        (self.folder / "end").touch()
        os.close(self._held)
        os.set_blocking(self._alive, False)
        give_up_at = time.monotonic() + _FOREVER
        while time.monotonic() < give_up_at:
            with contextlib.suppress(BlockingIOError):
                if os.read(self._alive, 1) == b"":
                    return
            time.sleep(0.02)
        self.outcome.proxy.problems.append("programs that were told to end still run")

    def _pick_up(self) -> None:
        """Let a new process send what killed ones left."""
        for spool in {source.spool for source in self.plan.sources if source.spool is not None}:
            url = self.outcome.proxy.url
            handler = CollectorHandler(url, spool_directory=self._spool(spool), flush_interval=0.05)
            handler.handle(logging.makeLogRecord({"msg": "last", "source": f"last-{spool}", "number": 1}))
            handler.shipper.close(_FOREVER)
            found = handler.stats().queued + len(list(self._spool(spool).glob("*.spool")))
            self.outcome.left[str(spool)] = found


_Act = Callable[[_Stage, Event], None]
_ACTS: dict[Fault, tuple[_Act, _Act | None]] = {
    Fault.KILL_CLIENT: (_Stage._kill_program, None),
    Fault.FREEZE_CLIENT: (_Stage._freeze_program, _Stage._thaw_programs),
    Fault.KILL_SERVER: (_Stage._kill_server, _Stage._restart_servers),
    Fault.END_SERVER: (_Stage._end_server, _Stage._restart_servers),
    Fault.FREEZE_SERVER: (_Stage._freeze_server, _Stage._thaw_servers),
    Fault.KILL_DATABASE: (_Stage._kill_database, _Stage._bring_database_back),
    Fault.CRASH_DATABASE: (_Stage._crash_database, _Stage._bring_database_back),
    Fault.KILL_BACKEND: (_Stage._kill_backend, None),
    Fault.FREEZE_DATABASE: (_Stage._freeze_database, _Stage._bring_database_back),
    Fault.DAMAGE: (_Stage._damage, None),
    Fault.FILL_SPOOL: (_Stage._fill_disk, _Stage._empty_disk),
    Fault.FILL_DATABASE: (_Stage._fill_disk, _Stage._empty_disk),
}


def _damage(spool: Path, how: float) -> set[Record]:
    """Damage one segment of a dead process: a byte of a line, or its end; return whose lines it was."""
    for path in sorted(spool.glob("*.spool")):
        try:
            with portalocker.Lock(path.parent / f"{path.name[:32]}.lock", "ab", timeout=0, fail_when_locked=True):
                return _damage_segment(path, how)
        except (OSError, portalocker.exceptions.LockException):
            continue
    return set()


def _damage_segment(path: Path, how: float) -> set[Record]:
    lines = path.read_bytes().splitlines(keepends=True)
    if len(lines) < 2:
        return set()
    struck = 1 + int(how * (len(lines) - 1))
    if how * 100 % 1 < 0.5:
        content = bytearray(lines[struck])
        content[len(content) // 2] ^= 1
        before, lost = b"".join([*lines[:struck], bytes(content), *lines[struck + 1 :]]), [lines[struck]]
    else:
        before, lost = b"".join([*lines[:struck], lines[struck][:-5]]), lines[struck:]
    path.write_bytes(before)
    # What was damaged before is known from then.
    entries = [json.loads(content) for line in lost if (content := content_of(line)) is not None]
    return {(entry["source"], entry["number"]) for entry in entries}


def _stored_records(outcome: Outcome) -> list[tuple[str, int, int]]:
    is_postgres = outcome.database.startswith("postgresql://")
    order = "received_at, id" if is_postgres else "id"
    take = "json_extract(attributes, '$.source'), json_extract(attributes, '$.number')"
    if is_postgres:
        take = "attributes ->> 'source', (attributes ->> 'number')::int"
    found: list[Any] = select(outcome.database, f"SELECT {take}, sequence FROM logs ORDER BY {order}")
    return found


def _stored_drops(outcome: Outcome) -> int:
    return int(select(outcome.database, "SELECT coalesce(sum(records), 0) FROM drops")[0][0])

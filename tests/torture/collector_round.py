"""Runs a round of the collector's torture test: real programs, servers and databases, with injected faults."""

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
from concurrent_log.collector.store.interface import CHANGES
from support.collector_server import Server, select
from support.deadlines import DEADLINE
from support.hostile_proxy import Proxy, Record
from support.postgres_cluster import Cluster
from support.processes import PROGRAMS, environment
from torture.collector_plan import CLIENT_TIMEOUT, Event, Fault, Round, Source

_SMALL_DISK = 600_000  # bytes, for a spool; a disk for the database is larger
_END_DEADLINE = 2 * DEADLINE  # seconds; longer than the last flush of a program
_MAX_RECORDS, _MAX_SINGLE_RECORDS = 6_000, 200  # of a source, and of one that sends each record in its own request


@dataclasses.dataclass
class Outcome:
    """The outcome of a round.

    Attributes:
        folder: The files of the round.
        database: The database with the records.
        proxy: The proxy, with its counts.
        killed: The names of the programs that were killed.
        started: The sources of all programs by name.
        damaged: The records of damaged lines.
        left: The number of records and segments that the last process could not send, by spool.
        faults: The number of times that each fault was injected.
        errors: The output of all programs and servers on stderr.
        stored: Source, number and sequence of each record in the store, in the order in which they were stored.
        drops: The number of losses that clients have reported to the server.
    """

    folder: Path
    database: str
    proxy: Proxy
    killed: set[str] = dataclasses.field(default_factory=set)
    started: dict[str, Source] = dataclasses.field(default_factory=dict)
    damaged: set[Record] = dataclasses.field(default_factory=set)
    left: dict[str, int] = dataclasses.field(default_factory=dict)
    faults: "Counter[Fault]" = dataclasses.field(default_factory=Counter)
    errors: str = ""
    stored: list[tuple[str, int, int]] = dataclasses.field(default_factory=list)
    drops: int = 0


def run_round(plan: Round, folder: Path, cluster: Cluster | None) -> Outcome:
    """Run a round and return its outcome. A PostgreSQL database is in ``cluster``, which still runs afterwards."""
    with contextlib.ExitStack() as cleanup:
        running = _RunningRound(plan, folder, cluster, cleanup)
        running.run()
        return running.outcome


class _RunningRound:
    """A round in progress: its programs, servers, database and disk."""

    def __init__(self, plan: Round, folder: Path, cluster: Cluster | None, cleanup: contextlib.ExitStack) -> None:
        self.plan = plan
        self.folder = folder
        self.cluster = cluster
        self._cleanup = cleanup
        self._names = itertools.count()
        self._programs: dict[str, subprocess.Popen[bytes]] = {}
        self._is_database_up = True
        (folder / "notes").mkdir()
        self._disk = self._mount_small_disk()
        self._servers = [self._start_server(number) for number in range(plan.servers)]
        proxy = Proxy(
            [server.port for server in self._servers],
            plan.seed,
            CLIENT_TIMEOUT,
            plan.fault_rate,
            plan.limit,
            plan.bad_rate,
        )
        cleanup.callback(proxy.stop)
        self.outcome = Outcome(folder, self._servers[0].database, proxy)
        # The pipe is closed when all programs, and the children that they forked, have ended.
        self._closed_at_end, self._inherited = os.pipe()
        cleanup.callback(os.close, self._closed_at_end)

    # Setting up.

    def _mount_small_disk(self) -> Path | None:
        if self.plan.small_disk is None:
            return None
        disk = self.folder / "disk"
        disk.mkdir()
        size = _SMALL_DISK if self.plan.small_disk == "spool" else 200 * _SMALL_DISK
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], check=True)
        self._cleanup.callback(subprocess.run, ["umount", "--lazy", disk], check=True)
        return disk

    def _start_server(self, number: int) -> Server:
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
            database = str(where / "logs.sqlite3")  # type: ignore[operator]  # The disk exists then.
        server = Server(folder, database)
        server.start()
        self._cleanup.callback(server.kill)
        return server

    def _spool(self, number: int) -> Path:
        parent = self._disk if self.plan.small_disk == "spool" else self.folder
        return parent / f"spool-{number}"  # type: ignore[operator]  # The disk exists then.

    # Running.

    def run(self) -> None:
        """Start the programs, inject the faults, repair everything, and collect the results."""
        for source in self.plan.sources:
            self._start(source)
        start = time.monotonic()
        for at, action in self._actions():
            time.sleep(max(0.0, start + at - time.monotonic()))
            action()
        time.sleep(max(0.0, start + self.plan.seconds - time.monotonic()))
        self._repair()
        self._end_programs()
        self._send_orphans()
        self.outcome.proxy.wait_until_idle(_END_DEADLINE)
        self.outcome.stored, self.outcome.drops = _stored_records(self.outcome), _stored_drops(self.outcome)
        outputs = [path for path in self.folder.rglob("stderr*.txt") if path.is_file()]
        self.outcome.errors = "".join(path.read_text(errors="replace") for path in outputs)

    def _actions(self) -> Iterator[tuple[float, Callable[[], None]]]:
        """Yield the beginning and the end of each fault, with the time."""
        actions: list[tuple[float, int, Callable[[], None]]] = []
        for number, event in enumerate(self.plan.events):
            begin, end = _ACTIONS[event.fault]
            heapq.heappush(actions, (event.at, number, lambda event=event, begin=begin: begin(self, event)))  # type: ignore[misc]
            if end is not None:
                heapq.heappush(
                    actions, (event.at + event.duration, number, lambda event=event, end=end: end(self, event))
                )  # type: ignore[misc]
        while actions:
            at, _, action = heapq.heappop(actions)
            yield at, action

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
            "most": _MAX_RECORDS if source.options["batch_size"] > 1 else _MAX_SINGLE_RECORDS,
            "flush_timeout": DEADLINE,
        }  # fmt: skip
        command = [sys.executable, str(PROGRAMS / "collector_source.py"), json.dumps(order)]
        with (self.folder / f"stderr-{name}.txt").open("wb") as stderr:
            self._programs[name] = subprocess.Popen(
                command, cwd=self.folder, env={**environment(), "PYTHONWARNINGS": "ignore::DeprecationWarning"},
                stdin=subprocess.DEVNULL, stderr=stderr, pass_fds=[self._inherited], start_new_session=True,
            )  # fmt: skip
        self._cleanup.callback(self._kill_group, name)
        self.outcome.started[name] = source
        return name

    def _kill_group(self, name: str) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._programs[name].pid, signal.SIGKILL)
        self._programs[name].wait()

    def _target(self, event: Event) -> str | None:
        """Return the name of the program that the event affects."""
        living = [name for name, program in self._programs.items() if program.poll() is None]
        return living[int(event.target * len(living))] if living else None

    def _kill_program(self, event: Event, *, damage: bool = False) -> None:
        name = self._target(event)
        if name is None:
            return
        self._count(event)
        self.outcome.killed.add(name)
        if damage or event.target * 10 % 1 < 0.5:
            self._kill_group(name)
        else:
            self._programs[name].kill()  # Its children continue.
            self._programs[name].wait()
        source = self.outcome.started[name]
        if damage and source.spool is not None:
            self.outcome.damaged |= _damage(self._spool(source.spool), event.target)
        self._start(source)

    def _damage(self, event: Event) -> None:
        self._kill_program(event, damage=True)

    def _suspend_program(self, event: Event) -> None:
        name = self._target(event)
        if name is not None:
            self._count(event)
            os.kill(self._programs[name].pid, signal.SIGSTOP)

    def _resume_programs(self, _: Event | None = None) -> None:
        for program in self._programs.values():
            if program.poll() is None:
                program.send_signal(signal.SIGCONT)

    # Servers.

    def _target_server(self, event: Event) -> Server:
        return self._servers[int(event.target * len(self._servers))]

    def _kill_server(self, event: Event) -> None:
        if self._target_server(event).process.poll() is None:
            self._count(event)
            self._target_server(event).kill()

    def _end_server(self, event: Event) -> None:
        server = self._target_server(event)
        if server.process.poll() is None:
            self._count(event)
            server.process.send_signal(signal.SIGCONT)
            server.stop()

    def _suspend_server(self, event: Event) -> None:
        if self._target_server(event).process.poll() is None:
            self._count(event)
            self._target_server(event).process.send_signal(signal.SIGSTOP)

    def _resume_servers(self, _: Event | None = None) -> None:
        for server in self._servers:
            if server.process.poll() is None:
                server.process.send_signal(signal.SIGCONT)

    def _restart_servers(self, _: Event | None = None) -> None:
        for server in self._servers:
            if server.process.poll() is not None:
                self._empty_disk()  # The server does not start if the disk of the database is full.
                if self.cluster is not None and self._is_database_up:
                    self.cluster.thaw()
                server.start()

    # The database.

    def _kill_database(self, event: Event) -> None:
        self._end_database(event, lambda cluster: cluster.kill())

    def _stop_database(self, event: Event) -> None:
        self._end_database(event, lambda cluster: cluster.stop())

    def _end_database(self, event: Event, end: Callable[[Cluster], None]) -> None:
        if self.cluster is not None and self._is_database_up:
            self._count(event)
            self.cluster.thaw()
            end(self.cluster)
            self._is_database_up = False

    def _kill_backend(self, event: Event) -> None:
        if self.cluster is not None and self._is_database_up:
            self._count(event)
            self.cluster.kill_backend()

    def _suspend_database(self, event: Event) -> None:
        if self.cluster is not None and self._is_database_up:
            self._count(event)
            self.cluster.freeze()

    def _restart_database(self, _: Event | None = None) -> None:
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

    # Ending.

    def _repair(self) -> None:
        self.outcome.proxy.fault_rate = 0.0
        self._empty_disk()
        self._resume_programs()
        self._resume_servers()
        self._restart_database()
        self._restart_servers()

    def _end_programs(self) -> None:
        (self.folder / "end").touch()
        os.close(self._inherited)
        os.set_blocking(self._closed_at_end, False)
        give_up_at = time.monotonic() + _END_DEADLINE
        while time.monotonic() < give_up_at:
            with contextlib.suppress(BlockingIOError):
                if os.read(self._closed_at_end, 1) == b"":
                    return
            time.sleep(0.02)
        self.outcome.proxy.problems.append("programs did not end in time")

    def _send_orphans(self) -> None:
        """Send the records of killed processes from this one."""
        for spool in {source.spool for source in self.plan.sources if source.spool is not None}:
            url = self.outcome.proxy.url
            handler = CollectorHandler(url, spool_directory=self._spool(spool), flush_interval=0.05)
            handler.handle(logging.makeLogRecord({"msg": "last", "source": f"last-{spool}", "number": 1}))
            handler.shipper.close(_END_DEADLINE)
            left = handler.stats().queued + len(list(self._spool(spool).glob("*.spool")))
            self.outcome.left[str(spool)] = left


_Action = Callable[[_RunningRound, Event], None]
_ACTIONS: dict[Fault, tuple[_Action, _Action | None]] = {
    Fault.KILL_CLIENT: (_RunningRound._kill_program, None),
    Fault.FREEZE_CLIENT: (_RunningRound._suspend_program, _RunningRound._resume_programs),
    Fault.KILL_SERVER: (_RunningRound._kill_server, _RunningRound._restart_servers),
    Fault.END_SERVER: (_RunningRound._end_server, _RunningRound._restart_servers),
    Fault.FREEZE_SERVER: (_RunningRound._suspend_server, _RunningRound._resume_servers),
    Fault.KILL_DATABASE: (_RunningRound._kill_database, _RunningRound._restart_database),
    Fault.CRASH_DATABASE: (_RunningRound._stop_database, _RunningRound._restart_database),
    Fault.KILL_BACKEND: (_RunningRound._kill_backend, None),
    Fault.FREEZE_DATABASE: (_RunningRound._suspend_database, _RunningRound._restart_database),
    Fault.DAMAGE: (_RunningRound._damage, None),
    Fault.FILL_SPOOL: (_RunningRound._fill_disk, _RunningRound._empty_disk),
    Fault.FILL_DATABASE: (_RunningRound._fill_disk, _RunningRound._empty_disk),
}


def _damage(spool: Path, position: float) -> set[Record]:
    """Damage one segment of a dead process, one byte or its end, and return the damaged records."""
    for path in sorted(spool.glob("*.spool")):
        try:
            with portalocker.Lock(path.parent / f"{path.name[:32]}.lock", "ab", timeout=0, fail_when_locked=True):
                return _damage_segment(path, position)
        except (OSError, portalocker.exceptions.LockException):
            continue
    return set()


def _damage_segment(path: Path, position: float) -> set[Record]:
    lines = path.read_bytes().splitlines(keepends=True)
    if len(lines) < 2:
        return set()
    damaged = 1 + int(position * (len(lines) - 1))
    if position * 100 % 1 < 0.5:
        content = bytearray(lines[damaged])
        content[len(content) // 2] ^= 1
        before, lost = b"".join([*lines[:damaged], bytes(content), *lines[damaged + 1 :]]), [lines[damaged]]
    else:
        before, lost = b"".join([*lines[:damaged], lines[damaged][:-5]]), lines[damaged:]
    path.write_bytes(before)
    # Lines that were already damaged are not counted again.
    entries = [json.loads(content) for line in lost if (content := content_of(line)) is not None]
    return {(entry["source"], entry["number"]) for entry in entries}


def _stored_records(outcome: Outcome) -> list[tuple[str, int, int]]:
    is_postgres = outcome.database.startswith("postgresql://")
    order = "received_at, id" if is_postgres else "id"
    columns = "json_extract(attributes, '$.source'), json_extract(attributes, '$.number')"
    if is_postgres:
        columns = "attributes ->> 'source', (attributes ->> 'number')::int"
    records: list[Any] = select(outcome.database, f"SELECT {columns}, sequence FROM logs ORDER BY {order}")
    return records


def _stored_drops(outcome: Outcome) -> int:
    """Return the number of reported losses, without records that arrived divided or shortened."""
    reported = select(outcome.database, "SELECT reason, sum(records) FROM drops GROUP BY reason")
    return sum(int(records) for reason, records in reported if reason not in CHANGES)

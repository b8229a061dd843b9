"""The plan of a round of the collector's torture test, derived from a seed."""

import enum
import random
from dataclasses import dataclass
from typing import Any

CLIENT_TIMEOUT = 1.5  # seconds after which a client abandons a request


class Fault(enum.Enum):
    """A fault that is injected, in addition to those of the proxy."""

    KILL_CLIENT = "clients killed"
    FREEZE_CLIENT = "clients stopped for a while"
    KILL_SERVER = "servers killed"
    END_SERVER = "servers terminated"
    FREEZE_SERVER = "servers stopped for a while"
    KILL_DATABASE = "databases killed"
    CRASH_DATABASE = "databases stopped immediately"
    KILL_BACKEND = "processes of databases killed"
    FREEZE_DATABASE = "databases stopped for a while"
    DAMAGE = "segments damaged"
    FILL_SPOOL = "disks of spools filled"
    FILL_DATABASE = "disks of databases filled"


_ANYWHERE = [Fault.KILL_CLIENT] * 3 + [Fault.FREEZE_CLIENT, Fault.KILL_SERVER, Fault.KILL_SERVER, Fault.END_SERVER]
_ANYWHERE += [Fault.FREEZE_SERVER]
_IN_POSTGRES = [Fault.KILL_DATABASE, Fault.CRASH_DATABASE, Fault.KILL_BACKEND, Fault.KILL_BACKEND]
_IN_POSTGRES += [Fault.FREEZE_DATABASE]


@dataclass(frozen=True)
class Event:
    """One fault: its time and duration in seconds, and a number below 1 that selects its target."""

    at: float
    fault: Fault
    duration: float
    target: float


@dataclass(frozen=True)
class Source:
    """A program that logs.

    Attributes:
        kind: ``handler`` or ``client``, which is `AsyncLogClient`.
        spool: The number of its spool, which programs may share; None for a queue in memory.
        options: Further options of its handler or client.
        threads: The number of threads that log.
        forks: Whether it forks while they log.
        clock_steps: Whether the clock is wrong for some of its records.
        pause: Maximum seconds between two bursts.
    """

    kind: str
    spool: int | None
    options: dict[str, Any]
    threads: int
    forks: bool
    clock_steps: bool
    pause: float


@dataclass(frozen=True)
class Round:
    """One round.

    Attributes:
        seed: The seed of the plan.
        store: ``sqlite`` or ``postgres``.
        seconds: The time during which the programs log.
        fault_rate: The share of requests into which the proxy injects a fault.
        limit: Maximum records of a request.
        bad_rate: The share of requests that are refused until they have a single record.
        servers: The number of servers with the same database.
        small_disk: What is on a small disk: ``spool``, ``database`` or nothing.
        sources: The programs.
        events: The faults in order.
    """

    seed: int
    store: str
    seconds: float
    fault_rate: float
    limit: int
    bad_rate: float
    servers: int
    small_disk: str | None
    sources: tuple[Source, ...]
    events: tuple[Event, ...]


def draw(seed: int, store: str, *, can_mount: bool) -> Round:
    """Return the plan for a seed."""
    random_ = random.Random(f"{seed} {store}")
    seconds = random_.uniform(2.0, 6.0)
    small_disk = _small_disk(random_, store) if can_mount else None
    limit, bad_rate = random_.choice([1000, 1000, 250, 40]), random_.choice([0.0, 0.0, 0.05])
    faults = _ANYWHERE + (_IN_POSTGRES if store == "postgres" else [])
    if small_disk == "spool":
        # Records that are queued in memory instead would be lost with their process.
        faults = [fault for fault in faults if fault is not Fault.KILL_CLIENT] + [Fault.FILL_SPOOL] * 5
    elif small_disk == "database":
        faults = faults + [Fault.FILL_DATABASE] * 6
    else:
        faults = [*faults, Fault.DAMAGE, Fault.DAMAGE]
    sources = tuple(_source(random_, small_disk) for _ in range(random_.randint(2, 5)))
    events = sorted(
        (_event(random_, seconds, faults) for _ in range(random_.randint(2, 7))), key=lambda event: event.at
    )
    fault_rate = random_.choice([0.0, 0.2, 0.4, 0.7])
    servers = random_.choice([1, 1, 2])
    return Round(seed, store, seconds, fault_rate, limit, bad_rate, servers, small_disk, sources, tuple(events))


def _small_disk(random_: random.Random, store: str) -> str | None:
    disks = ["spool"] if store == "postgres" else ["spool", "database"]
    return random_.choice(disks) if random_.random() < 0.25 else None


def _source(random_: random.Random, small_disk: str | None) -> Source:
    options: dict[str, Any] = {
        "timeout": CLIENT_TIMEOUT,
        "flush_interval": random_.choice([0.05, 0.3, 1.0]),
        "batch_size": random_.choice([1, 20, 300, 1000]),
        "stop_timeout": 5.0,
    }
    kind = random_.choice(["handler", "handler", "client"])
    spool = random_.randrange(2) if small_disk == "spool" or random_.random() < 0.6 else None
    if spool is None and random_.random() < 0.3:
        options["max_queue_size" if kind == "client" else "capacity"] = random_.choice([50, 1000])
    if options["batch_size"] == 1:
        options["flush_interval"] = 0.05
    pause = 1.0 if options["batch_size"] == 1 else random_.choice([0.05, 0.2])
    return Source(
        kind, spool, options, random_.randint(1, 3), random_.random() < 0.3, random_.random() < 0.2, pause
    )  # fmt: skip


def _event(random_: random.Random, seconds: float, faults: list[Fault]) -> Event:
    return Event(random_.uniform(0.3, seconds), random_.choice(faults), random_.uniform(0.1, 2.5), random_.random())

"""The collector's torture test: rounds of programs that log to it, with everything going wrong, until time is over.

Real programs, a real server, on SQLite or on a PostgreSQL of its own. Clients, servers and databases are killed and
stopped; a proxy between them loses, cuts, delays and doubles requests and answers, and refuses some; disks are full,
clocks are wrong, segments of spools are damaged. After each round the store itself is counted: nothing acknowledged
may be missing, nothing may be there twice, and what a client that ended by itself lost must be what it says.

    python tests/torture collector --minutes 10 --store postgres

A round that fails prints the command that plays it again, and leaves its files.
"""

import argparse
import contextlib
import itertools
import pathlib
import random
import shlex
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from support import postgres_cluster
from torture.collector_check import check, faults_of
from torture.collector_plan import Round, draw
from torture.collector_round import play
from torture.files_plan import can_mount


@dataclass
class Totals:
    """What all rounds together came to."""

    rounds: int = 0
    failed: int = 0
    logged: int = 0
    stored: int = 0
    dropped: int = 0
    unsaved: int = 0
    requests: int = 0
    acknowledged: int = 0
    faults: "Counter[str]" = field(default_factory=Counter)


def main(arguments: list[str]) -> int:
    """Play the rounds and return the exit status: 0 where nothing is wrong, else 1."""
    options = _parser().parse_args(arguments)
    totals = Totals()
    with _cluster(options.store) as cluster:
        for seed in _seeds(options, totals):
            plan = draw(seed, options.store, can_mount=can_mount())
            folder = pathlib.Path(tempfile.mkdtemp(prefix=f"torture-{seed}-", dir=options.directory))
            problems = _play(plan, folder, cluster, totals)
            if problems:
                _complain(plan, folder, problems)
                totals.failed += 1
            else:
                shutil.rmtree(folder)
            if problems and not options.go_on:
                break
    _show(totals)
    return 1 if totals.failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python tests/torture collector", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float, metavar="N", help="begin rounds until N minutes are over")
    length.add_argument("--rounds", type=int, metavar="N", help="play N rounds")
    parser.add_argument("--seed", type=int, metavar="S", help="the seed of the first round; the next one has S + 1")
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite", help="where the records are kept")
    parser.add_argument("--go-on", action="store_true", help="go on after a round that failed")
    parser.add_argument("--directory", metavar="PATH", help="where to write, if not among the temporary files")
    return parser


@contextlib.contextmanager
def _cluster(store: str) -> Iterator["postgres_cluster.Cluster | None"]:
    if store == "sqlite":
        yield None
        return
    programs = postgres_cluster.programs()
    if programs is None:
        sys.exit("torture: there is no PostgreSQL whose programs could be started: install it")
    with postgres_cluster.Cluster(programs) as cluster:
        yield cluster


def _seeds(options: argparse.Namespace, totals: Totals) -> Iterator[int]:
    """Yield the seeds of the rounds, and say how far it is."""
    first = random.randrange(10**6) if options.seed is None else options.seed
    began = time.monotonic()
    for number in itertools.count():
        minutes = (time.monotonic() - began) / 60
        if number >= options.rounds if options.rounds else minutes >= options.minutes:
            return
        print(
            f"{minutes:5.1f} min  seed {first + number}  {totals.stored:,} records stored", file=sys.stderr, flush=True
        )
        yield first + number


def _play(plan: Round, folder: pathlib.Path, cluster: "postgres_cluster.Cluster | None", totals: Totals) -> list[str]:
    """Play one round, add it to the totals, and return what is wrong."""
    try:
        outcome = play(plan, folder, cluster)
        found = check(plan, outcome)
    except Exception:
        return [traceback.format_exc()]
    totals.rounds += 1
    totals.faults += faults_of(outcome)
    totals.requests += outcome.proxy.requests
    totals.acknowledged += len(outcome.proxy.acknowledged)
    for name in ("logged", "stored", "dropped", "unsaved"):
        setattr(totals, name, getattr(totals, name) + getattr(found, name))
    return found.problems


def _complain(plan: Round, folder: pathlib.Path, problems: list[str]) -> None:
    again = ["collector", "--store", plan.store, "--seed", str(plan.seed), "--rounds", "1"]
    print(f"\nround {plan.seed} failed:", *problems, sep="\n  ")
    print(f"  {plan}\n  its files: {folder}\n  again: {shlex.join([sys.executable, sys.argv[0], *again])}", flush=True)


def _show(totals: Totals) -> None:
    for name in ("rounds", "failed", "logged", "stored", "dropped", "unsaved", "requests", "acknowledged"):
        print(f"{name:>40}  {getattr(totals, name):,}")
    for name, count in sorted(totals.faults.items()):
        print(f"{name.replace('_', ' '):>40}  {count:,}")

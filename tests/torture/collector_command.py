"""The collector's torture test: rounds of programs that log to a collector while many faults are injected.

The programs and servers are real, with SQLite or a separate PostgreSQL. Clients, servers and databases are killed and
stopped; a proxy between them loses, truncates, delays, repeats and refuses requests and responses; disks are full,
clocks are wrong, segments of spools are damaged. After each round the records in the store are counted: none that was
acknowledged may be missing, none may be stored twice, and the losses of a client must be those that it reports.

    python tests/torture collector --minutes 10 --store postgres

A round that fails prints the command that repeats it, and keeps its files.
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
from torture.collector_round import run_round
from torture.files_plan import can_mount


@dataclass
class Totals:
    """The sums over all rounds."""

    rounds: int = 0
    failed: int = 0
    logged: int = 0
    stored: int = 0
    dropped: int = 0
    unsent: int = 0
    requests: int = 0
    acknowledged: int = 0
    faults: "Counter[str]" = field(default_factory=Counter)


def main(arguments: list[str]) -> int:
    """Run the rounds and return the exit status: 0 without problems, 1 otherwise."""
    options = _parser().parse_args(arguments)
    totals = Totals()
    with _cluster(options.store) as cluster:
        for seed in _seeds(options, totals):
            plan = draw(seed, options.store, can_mount=can_mount())
            folder = pathlib.Path(tempfile.mkdtemp(prefix=f"torture-{seed}-", dir=options.directory))
            problems = _run_round(plan, folder, cluster, totals)
            if problems:
                _print_problems(plan, folder, problems)
                totals.failed += 1
            else:
                shutil.rmtree(folder)
            if problems and not options.go_on:
                break
    _print_totals(totals)
    return 1 if totals.failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python tests/torture collector", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float, metavar="N", help="start rounds for N minutes")
    length.add_argument("--rounds", type=int, metavar="N", help="run N rounds")
    parser.add_argument("--seed", type=int, metavar="S", help="the seed of the first round; the next one has S + 1")
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite", help="the database")
    parser.add_argument("--go-on", action="store_true", help="continue after a round that failed")
    parser.add_argument("--directory", metavar="PATH", help="the folder for files (default: that for temporary files)")
    return parser


@contextlib.contextmanager
def _cluster(store: str) -> Iterator["postgres_cluster.Cluster | None"]:
    if store == "sqlite":
        yield None
        return
    programs = postgres_cluster.programs()
    if programs is None:
        sys.exit("torture: no programs of PostgreSQL found: install it")
    with postgres_cluster.Cluster(programs) as cluster:
        yield cluster


def _seeds(options: argparse.Namespace, totals: Totals) -> Iterator[int]:
    """Yield the seeds of the rounds, and print the progress."""
    first = random.randrange(10**6) if options.seed is None else options.seed
    start = time.monotonic()
    for number in itertools.count():
        minutes = (time.monotonic() - start) / 60
        if number >= options.rounds if options.rounds else minutes >= options.minutes:
            return
        print(
            f"{minutes:5.1f} min  seed {first + number}  {totals.stored:,} records stored", file=sys.stderr, flush=True
        )
        yield first + number


def _run_round(
    plan: Round, folder: pathlib.Path, cluster: "postgres_cluster.Cluster | None", totals: Totals
) -> list[str]:
    """Run one round, add it to the totals, and return its problems."""
    try:
        outcome = run_round(plan, folder, cluster)
        findings = check(plan, outcome)
    except Exception:
        return [traceback.format_exc()]
    totals.rounds += 1
    totals.faults += faults_of(outcome)
    totals.requests += outcome.proxy.requests
    totals.acknowledged += len(outcome.proxy.acknowledged)
    for name in ("logged", "stored", "dropped", "unsent"):
        setattr(totals, name, getattr(totals, name) + getattr(findings, name))
    return findings.problems


def _print_problems(plan: Round, folder: pathlib.Path, problems: list[str]) -> None:
    arguments = ["collector", "--store", plan.store, "--seed", str(plan.seed), "--rounds", "1"]
    print(f"\nround {plan.seed} failed:", *problems, sep="\n  ")
    print(
        f"  {plan}\n  its files: {folder}\n  repeat: {shlex.join([sys.executable, sys.argv[0], *arguments])}",
        flush=True,
    )


def _print_totals(totals: Totals) -> None:
    for name in ("rounds", "failed", "logged", "stored", "dropped", "unsent", "requests", "acknowledged"):
        print(f"{name:>40}  {getattr(totals, name):,}")
    for name, count in sorted(totals.faults.items()):
        print(f"{name.replace('_', ' '):>40}  {count:,}")

"""The torture test: rounds of many processes on one log file, with all kinds of faults, until the time is over.

Each round is drawn from a seed: the handler, its settings, the processes and threads, the faults. After the round every
record is searched for. `files_plan.EXCUSES` defines what each fault excuses; everything else is a failure.

    python tests/torture files --minutes 10

A round that fails prints the command that repeats it, and keeps its files.
"""

import argparse
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

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from torture import files_plan
from torture.files_check import check, count_faults
from torture.files_plan import Fault, Round
from torture.files_round import play


@dataclass
class Totals:
    """The totals of all rounds."""

    rounds: int = 0
    failed: int = 0
    records: int = 0
    rollovers: int = 0
    half_records: int = 0
    faults: Counter[Fault] = field(default_factory=Counter)


def main(arguments: list[str]) -> int:
    """Run the rounds and return the exit status: 0 if nothing is wrong, otherwise 1."""
    options = _parser().parse_args(arguments)
    if not files_plan.can_mount():
        print("torture: full disks are skipped, because only root on Linux can mount a small disk", file=sys.stderr)
    totals = Totals()
    for seed in _seeds(options, totals):
        plan = files_plan.draw(seed)
        folder = pathlib.Path(tempfile.mkdtemp(prefix=f"torture-{seed}-", dir=options.directory))
        problems = _play(plan, folder, totals)
        if problems:
            _complain(plan, folder, problems)
            totals.failed += 1
        elif not options.keep:
            shutil.rmtree(folder)
        if problems and not options.go_on:
            break
    _show(totals)
    return 1 if totals.failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python tests/torture files", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float, metavar="N", help="start rounds until N minutes are over")
    length.add_argument("--rounds", type=int, metavar="N", help="run N rounds")
    parser.add_argument("--seed", type=int, metavar="S", help="the seed of the first round; the next one has S + 1")
    parser.add_argument("--keep", action="store_true", help="keep the files of all rounds, not only of failed ones")
    parser.add_argument("--go-on", action="store_true", help="continue after a round that failed")
    parser.add_argument("--directory", metavar="PATH", help="folder for the files; by default a temporary one")
    return parser


def _seeds(options: argparse.Namespace, totals: Totals) -> Iterator[int]:
    """Yield the seeds of the rounds, and show the progress."""
    first = random.randrange(10**6) if options.seed is None else options.seed
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    # Refreshed explicitly: a refreshing thread would make every fork of this process unsafe.
    with Progress(*columns, console=console, auto_refresh=False, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=1.0)
        began = time.monotonic()
        for number in itertools.count():
            minutes = (time.monotonic() - began) / 60
            done = number / options.rounds if options.rounds else minutes / options.minutes
            title = f"seed {first + number}, {totals.records:,} records"
            progress.update(task, completed=min(done, 1.0), description=title, refresh=True)
            if done >= 1:
                return
            yield first + number


def _play(plan: Round, folder: pathlib.Path, totals: Totals) -> list[str]:
    """Run one round, add it to the totals, and return its problems."""
    try:
        outcome = play(plan, folder)
        findings = check(plan, outcome)
    except Exception:
        return [traceback.format_exc()]
    totals.rounds += 1
    totals.records += findings.records
    totals.rollovers += max(0, findings.files - 1)
    totals.half_records += findings.torn
    totals.faults += count_faults(plan, outcome)
    return findings.problems


def _complain(plan: Round, folder: pathlib.Path, problems: list[str]) -> None:
    command = shlex.join([sys.executable, sys.argv[0], "files", "--seed", str(plan.seed), "--rounds", "1"])
    print(f"\nround {plan.seed} failed:", *problems, sep="\n  ")
    print(f"  {plan}\n  its files: {folder}\n  again: {command}", flush=True)


def _show(totals: Totals) -> None:
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name in ("rounds", "failed", "records", "rollovers", "half_records"):
        table.add_row(name.replace("_", " "), f"{getattr(totals, name):,}")
    for fault in Fault:
        table.add_row(fault.value, f"{totals.faults[fault]:,}")
    Console().print(table)

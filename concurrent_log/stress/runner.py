"""One stress test: many processes, many threads, one file.

Workers log numbered records through a `logging` configuration while the file rolls over every second. Then all
files are read back and every record is looked for. Some workers may be killed on the way; a record counts as
expected when its logging call returned.
"""

import contextlib
import functools
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import timezone
from typing import Any

from concurrent_log.files.periods import Schedule
from concurrent_log.stress import workload
from concurrent_log.stress.sequence import Source
from concurrent_log.stress.tally import Tally, period_names, tally

if sys.platform == "win32":
    _KILL = signal.SIGTERM  # ends a process there at once
else:
    _KILL = signal.SIGKILL

RECORDS_PER_TASK = 5_000
_LOOK = 0.05  # seconds between two looks at the workers
_LOOK_CLOSELY = 0.001


@dataclass(frozen=True)
class Plan:
    """One stress test.

    Attributes:
        handler: The dotted name of the handler class.
        processes: How many worker processes.
        threads: How many threads in each.
        records: How many records in all.
        start_method: ``fork``, ``spawn`` or ``forkserver``.
        kill: How many workers to kill on the way.
        options: The arguments for the handler. Those that it does not take are left out, but for ``required``.
        required: Arguments that the handler is given in any case.
    """

    handler: str
    processes: int
    threads: int
    records: int
    start_method: str
    kill: int
    options: Mapping[str, Any]
    required: Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    """What came of a `Plan`: the count, the wall time in seconds, how many workers were killed, what was reported."""

    handler: str
    tally: Tally
    seconds: float
    killed: int
    errors: Counter[str]

    @property
    def records_per_second(self) -> float:
        """Records whose logging call returned, a second."""
        return self.tally.expected / self.seconds


def run(plan: Plan, folder: str, progress: Callable[[int], None] = lambda done: None) -> Result:
    """Do what ``plan`` says in the empty ``folder``, and tell ``progress`` how many records are done.

    Raises:
        ValueError: The handler cannot be made as the plan says.
        RuntimeError: Workers died, and not by our hand.
    """
    log_file = os.path.join(folder, "stress.log")
    with tempfile.TemporaryDirectory() as scratch:
        errors = os.path.join(scratch, "errors")
        options = _arguments(plan, log_file)
        period_name = _configure(plan.handler, options, errors)
        start_worker = functools.partial(workload.start_worker, plan.handler, options, errors)
        crew = _Crew(plan, scratch, start_worker, progress)
        began = time.perf_counter()
        crew.work()
        seconds = time.perf_counter() - began
        count = tally(log_file, crew.expected, interrupted=crew.interrupted, period_name=period_name)
        return Result(plan.handler, count, seconds, crew.killed, _read_errors(errors))


class _Crew:
    """The worker processes, until all records are written.

    The death of a worker ends its pool, and the other workers with it. What they had left to write is given to a
    new pool, as the work of new writers.
    """

    def __init__(
        self, plan: Plan, scratch: str, start_worker: Callable[[], None], progress: Callable[[int], None]
    ) -> None:
        self._plan = plan
        self._scratch = scratch
        self._start_worker = start_worker
        self._progress = progress
        self._writers = 0
        self._done = 0
        self._left = _share_out(plan)
        self._kill_at = sorted(random.uniform(0, 0.95 * plan.records) for _ in range(plan.kill))
        self.killed = 0
        self.expected: dict[Source, int] = {}
        self.interrupted: set[int] = set()

    def work(self) -> None:
        """Write all records."""
        while self._left:
            self._run_pool()

    def _run_pool(self) -> None:
        ledger = workload.Ledger(
            os.path.join(self._scratch, f"ledger-{self._writers}"), len(self._left), self._plan.threads
        )
        with self._pool() as pool:
            tasks = [self._task(row, counts, ledger) for row, counts in enumerate(self._left)]
            futures = [pool.submit(workload.run, task) for task in tasks]
            try:
                killed = self._watch(futures, ledger)
            except BaseException:
                _kill_all(ledger)
                raise
        self._settle(tasks, futures, ledger, killed)

    def _pool(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context(self._plan.start_method)
        return ProcessPoolExecutor(self._plan.processes, context, self._start_worker)

    def _task(self, row: int, counts: tuple[int, ...], ledger: workload.Ledger) -> workload.Task:
        self._writers += 1
        return workload.Task(self._writers, counts, ledger.path, ledger.rows, row)

    def _watch(self, futures: "list[Future[None]]", ledger: workload.Ledger) -> bool:
        """Wait for the end, and return whether a worker had to die for it."""
        killed, running = False, set(futures)
        while running:
            _, running = wait(running, timeout=_LOOK_CLOSELY if self._kill_at else _LOOK)
            done = self._done + ledger.total()
            self._progress(done)
            if running and not killed and self._kill_at and done >= self._kill_at[0]:
                killed = self._kill_one([row for row, future in enumerate(futures) if future in running], ledger)
        return killed

    def _kill_one(self, rows: list[int], ledger: workload.Ledger) -> bool:
        pids = [pid for pid in map(ledger.pid, rows) if pid]
        if not pids:
            return False
        os.kill(random.choice(pids), _KILL)
        self._kill_at.pop(0)
        self.killed += 1
        return True

    def _settle(
        self, tasks: list[workload.Task], futures: "list[Future[None]]", ledger: workload.Ledger, killed: bool
    ) -> None:
        """Note what was written, and what is left."""
        self._left = []
        for task, future in zip(tasks, futures, strict=True):
            error = future.exception()
            if error is not None and not (killed and isinstance(error, BrokenProcessPool)):
                raise RuntimeError(f"a worker died, and nobody killed it: {error}") from error
            counts = ledger.counts(task.row)
            if ledger.pid(task.row):
                self._note(task, counts)
            left = tuple(map(int.__sub__, task.counts, counts))
            if any(left):
                self._left.append(left)
        self._done += ledger.total()
        ledger.close()

    def _note(self, task: workload.Task, counts: list[int]) -> None:
        self.expected.update((Source(task.writer, thread), count) for thread, count in enumerate(counts) if count)
        if counts != list(task.counts):
            self.interrupted.add(task.writer)


def _share_out(plan: Plan) -> list[tuple[int, ...]]:
    """Return how many records each thread of each task writes."""
    tasks = max(plan.processes, -(-plan.records // RECORDS_PER_TASK))
    return [tuple(_shares(share, plan.threads)) for share in _shares(plan.records, tasks)]


def _shares(whole: int, parts: int) -> list[int]:
    return [whole * (part + 1) // parts - whole * part // parts for part in range(parts)]


def _kill_all(ledger: workload.Ledger) -> None:
    for pid in set(map(ledger.pid, range(ledger.rows))) - {0}:
        with contextlib.suppress(OSError):  # it is done
            os.kill(pid, _KILL)


def _arguments(plan: Plan, log_file: str) -> dict[str, Any]:
    try:
        taken = workload.arguments(plan.handler, {"filename": log_file, **plan.options})
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"there is no handler {plan.handler}: {error}") from error
    return {**taken, **plan.required}


def _configure(class_name: str, options: Mapping[str, Any], errors: str) -> Callable[[float], str] | None:
    """Make the handler here, before any fork, and return how its backups are named, where that is known."""
    try:
        handler = workload.configure(class_name, options, errors)
    except ValueError as error:
        raise ValueError(f"cannot make a {class_name}: {error.__cause__ or error}") from error
    suffix = getattr(handler, "suffix", None)
    if "when" not in options or not suffix:
        return None
    zone = timezone.utc if options.get("utc") else None
    schedule = Schedule(options["when"], options.get("interval", 1), options.get("atTime"), zone)
    return period_names(schedule, suffix)


def _read_errors(path: str) -> Counter[str]:
    try:
        with open(path, encoding="utf-8") as file:
            return Counter(line.rstrip("\n") for line in file)
    except FileNotFoundError:
        return Counter()

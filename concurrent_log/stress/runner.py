"""Run one stress test: many processes, many threads, one file.

Workers log numbered records through a `logging` configuration while the file rolls over every second. Then all files
are read back, and every record is searched for. Some workers may be killed during the test. A record is expected if
its logging call has returned.
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
_POLL_INTERVAL = 0.05  # seconds between two checks of the workers
_SHORT_POLL_INTERVAL = 0.001  # while a worker is to be killed at a certain record


@dataclass(frozen=True)
class Plan:
    """One stress test.

    Attributes:
        handler: The dotted name of the handler class.
        processes: Number of worker processes.
        threads: Number of threads in each process.
        records: Total number of records.
        start_method: ``fork``, ``spawn`` or ``forkserver``.
        kill: Number of workers to kill.
        options: Arguments for the handler. Those that its class does not have are left out.
        required: Arguments that are always passed.
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
    """The result of a `Plan`: tally, wall time in seconds, number of killed workers, and reported errors."""

    handler: str
    tally: Tally
    seconds: float
    killed: int
    errors: Counter[str]

    @property
    def records_per_second(self) -> float:
        """Number of records per second whose logging call returned."""
        return self.tally.expected / self.seconds


def run(plan: Plan, folder: str, progress: Callable[[int], None] = lambda done: None) -> Result:
    """Run ``plan`` in the empty ``folder``, and call ``progress`` with the number of written records.

    Raises:
        ValueError: The handler cannot be created with these arguments.
        RuntimeError: A worker died that was not killed by the test.
    """
    log_file = os.path.join(folder, "stress.log")
    with tempfile.TemporaryDirectory() as scratch:
        errors = os.path.join(scratch, "errors")
        options = _arguments(plan, log_file)
        period_name = _configure(plan.handler, options, errors)
        start_worker = functools.partial(workload.start_worker, plan.handler, options, errors)
        workers = _Workers(plan, scratch, start_worker, progress)
        start = time.perf_counter()
        workers.run()
        seconds = time.perf_counter() - start
        count = tally(log_file, workers.expected, interrupted=workers.interrupted, period_name=period_name)
        return Result(plan.handler, count, seconds, workers.killed, _read_errors(errors))


class _Workers:
    """The worker processes, until all records are written.

    When a worker dies, its pool and the other workers end, too. A new pool writes their remaining records, as new
    writers.
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
        self._remaining = _divide_records(plan)
        self._kill_at = sorted(random.uniform(0, 0.95 * plan.records) for _ in range(plan.kill))
        self.killed = 0
        self.expected: dict[Source, int] = {}
        self.interrupted: set[int] = set()

    def run(self) -> None:
        """Write all records."""
        while self._remaining:
            self._run_pool()

    def _run_pool(self) -> None:
        ledger = workload.Ledger(
            os.path.join(self._scratch, f"ledger-{self._writers}"), len(self._remaining), self._plan.threads
        )
        with self._pool() as pool:
            tasks = [self._task(row, counts, ledger) for row, counts in enumerate(self._remaining)]
            futures = [pool.submit(workload.run, task) for task in tasks]
            try:
                killed = self._wait(futures, ledger)
            except BaseException:
                _kill_all(ledger)
                raise
        self._collect(tasks, futures, ledger, killed)

    def _pool(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context(self._plan.start_method)
        return ProcessPoolExecutor(self._plan.processes, context, self._start_worker)

    def _task(self, row: int, counts: tuple[int, ...], ledger: workload.Ledger) -> workload.Task:
        self._writers += 1
        return workload.Task(self._writers, counts, ledger.path, ledger.rows, row)

    def _wait(self, futures: "list[Future[None]]", ledger: workload.Ledger) -> bool:
        """Wait until all tasks have ended, and return whether a worker was killed."""
        killed, running = False, set(futures)
        while running:
            _, running = wait(running, timeout=_SHORT_POLL_INTERVAL if self._kill_at else _POLL_INTERVAL)
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

    def _collect(
        self, tasks: list[workload.Task], futures: "list[Future[None]]", ledger: workload.Ledger, killed: bool
    ) -> None:
        """Count the records that were written and those that remain."""
        self._remaining = []
        for task, future in zip(tasks, futures, strict=True):
            error = future.exception()
            if error is not None and not (killed and isinstance(error, BrokenProcessPool)):
                raise RuntimeError(f"a worker died unexpectedly: {error}") from error
            counts = ledger.counts(task.row)
            if ledger.pid(task.row):
                self._count(task, counts)
            remaining = tuple(map(int.__sub__, task.counts, counts))
            if any(remaining):
                self._remaining.append(remaining)
        self._done += ledger.total()
        ledger.close()

    def _count(self, task: workload.Task, counts: list[int]) -> None:
        self.expected.update((Source(task.writer, thread), count) for thread, count in enumerate(counts) if count)
        if counts != list(task.counts):
            self.interrupted.add(task.writer)


def _divide_records(plan: Plan) -> list[tuple[int, ...]]:
    """Return the number of records for each thread of each task."""
    tasks = max(plan.processes, -(-plan.records // RECORDS_PER_TASK))
    return [tuple(_shares(share, plan.threads)) for share in _shares(plan.records, tasks)]


def _shares(whole: int, parts: int) -> list[int]:
    return [whole * (part + 1) // parts - whole * part // parts for part in range(parts)]


def _kill_all(ledger: workload.Ledger) -> None:
    for pid in set(map(ledger.pid, range(ledger.rows))) - {0}:
        with contextlib.suppress(OSError):  # The process has already ended.
            os.kill(pid, _KILL)


def _arguments(plan: Plan, log_file: str) -> dict[str, Any]:
    try:
        accepted = workload.arguments(plan.handler, {"filename": log_file, **plan.options})
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"there is no handler {plan.handler}: {error}") from error
    return {**accepted, **plan.required}


def _configure(class_name: str, options: Mapping[str, Any], errors: str) -> Callable[[float], str] | None:
    """Create the handler in this process, before any fork, and return a function that names its backups, if known."""
    try:
        handler = workload.configure(class_name, options, errors)
    except ValueError as error:
        raise ValueError(f"cannot create a {class_name}: {error.__cause__ or error}") from error
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

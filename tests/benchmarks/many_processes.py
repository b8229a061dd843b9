"""Figure: records per second of many processes on one file."""

import logging
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from measuring import Duel, Figure, Work, serve
from workloads import CONCURRENT_LOG_HANDLER, OURS, STANDARD, count_lines, log_orders, make_logger

UNLOCKED = "unlocked.UnlockedHandler"
_WARM_UP = 200  # records


def figure(quick: bool) -> Figure:
    """Return the figure: eight processes with our handler beside others."""
    return Figure(
        name="eight-processes",
        title="Eight processes, one file: records per second",
        text="Eight processes start, open the file, log 200 records each, and wait for one another. Then all of "
        "them log as fast as they can, and the clock runs until the last one is done. *Unlocked* is our "
        "handler with the lock and every check removed: it formats, encodes and writes, and would lose "
        "records at the first rollover. So would the standard class. No rollover happens during the "
        "measurement.",
        duels=[
            _duel(quick, "ours without lock and checks", UNLOCKED, pairs=15, bar=0.80, goal=0.95),
            _duel(quick, "standard class (loses records at a rollover)", STANDARD, pairs=9),
            _duel(quick, "concurrent-log-handler", CONCURRENT_LOG_HANDLER, pairs=7, bar=5, goal=8),
        ],
    )


def _duel(
    quick: bool,
    against: str,
    handler: str,
    *,
    pairs: int,
    bar: float | None = None,
    goal: float | None = None,
) -> Duel:
    arguments = {"processes": 8, "records": 50 if quick else 8000}
    return Duel(
        title="8 processes",
        against=against,
        unit="records/s",
        ours=Work("many_processes.py", {**arguments, "handler": OURS}),
        theirs=Work("many_processes.py", {**arguments, "handler": handler}),
        pairs=1 if quick else pairs,
        bar=bar,
        goal=goal,
    )


def _prepare(
    folder: str, handler: str, processes: int, records: int, options: dict[str, Any] | None = None
) -> Callable[[], dict[str, float]]:
    return lambda: log_together(folder, handler, processes, records, options or {})


def log_together(folder: str, handler: str, processes: int, records: int, options: dict[str, Any]) -> dict[str, float]:
    """Let processes log ``records`` records each, and return the price.

    ``value`` is in records per second, ``cpu`` in microseconds of processor time per record. ``lost`` is right for
    the first call with a folder.
    """
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(processes)
    times: Any = context.SimpleQueue()
    arguments = (handler, folder, records, options, barrier, times)
    workers = [context.Process(target=_work, args=arguments) for _ in range(processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise RuntimeError("a worker of the benchmark failed")
    starts, ends, processor = zip(*(times.get() for _ in workers), strict=True)
    return {
        "value": processes * records / (max(ends) - min(starts)),
        "cpu": sum(processor) / (processes * records) * 1e6,
        "lost": processes * (records + _WARM_UP) - count_lines(folder),
    }


def _work(handler: str, folder: str, records: int, options: dict[str, Any], barrier: Any, times: Any) -> None:
    # Every process opens the file itself, as a program's workers do.
    try:
        logger = make_logger(handler, Path(folder, "app.log"), **options)
        log_orders(logger, _WARM_UP)
        barrier.wait(60)
    except BaseException:
        barrier.abort()  # so that no other process waits for this one
        raise
    start, processor = perf_counter(), process_time()
    log_orders(logger, records)
    times.put((start, perf_counter(), process_time() - processor))
    logging.shutdown()


if __name__ == "__main__":
    serve(_prepare)

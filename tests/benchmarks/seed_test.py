"""Figure: the test of the original package concurrent-log, at its full size."""

import logging
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

from measuring import Duel, Figure, Work, serve
from workloads import OURS, count_lines, make_logger

_THREADS = 100
_logger = logging.Logger("unused")


def figure(quick: bool) -> Figure:
    """Return the figure: our handler beside the original package."""
    tasks, calls = (2, 20) if quick else (100, 1000)
    work = {"handler": OURS, "tasks": tasks, "calls": calls}
    return Figure(
        name="seed-test",
        title="The original's own test: wall time",
        text="A `ProcessPoolExecutor` with one process per core runs 100 tasks. Each task opens a pool of 100 "
        "threads, which make 1,000 calls that log five records each: 500,000 records in total, with a "
        "rollover every second. Both packages have the same import name, so the child process gets an "
        "argument that says which one to import.",
        duels=[
            Duel(
                title="500,000 records",
                against="concurrent-log 1.0.1",
                unit="s",
                ours=Work("seed_test.py", work),
                theirs=Work("seed_test.py", work, requirement="concurrent-log==1.0.1"),
                pairs=1 if quick else 3,
                bar=0.40,
                goal=0.25,
            )
        ],
    )


def _prepare(folder: str, handler: str, tasks: int, calls: int) -> Callable[[], dict[str, float]]:
    global _logger
    path = Path(folder, "log", "test.log")
    path.parent.mkdir()
    _logger = make_logger(handler, path, "seed", when="s", backupCount=1000, delay=True)

    def one_round() -> dict[str, float]:
        start = perf_counter()
        # The children inherit the handler by a fork, as they did where the test was written.
        with ProcessPoolExecutor(mp_context=multiprocessing.get_context("fork")) as pool:
            for done in [pool.submit(_one_task, calls) for _ in range(tasks)]:
                done.result()
        seconds = perf_counter() - start
        return {"value": seconds, "lost": tasks * calls * 5 - count_lines(folder)}

    return one_round


def _one_task(calls: int) -> None:
    with ThreadPoolExecutor(_THREADS) as pool:
        for done in [pool.submit(_one_call, number) for number in range(calls)]:
            done.result()


def _one_call(number: int) -> None:
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        _logger.log(level, "%s-%s", logging.getLevelName(level), number)


if __name__ == "__main__":
    serve(_prepare)

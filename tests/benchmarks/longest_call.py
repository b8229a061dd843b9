"""Figure: the longest logging call while a large file rolls over and its backup is compressed."""

import logging
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from measuring import Duel, Figure, Work, serve
from workloads import CONCURRENT_LOG_HANDLER_BY_SIZE, OURS_BY_SIZE, log_orders, make_logger

_PROCESSES = 4
_PAUSE = 0.001  # seconds between two records of a process
_WARM_UP = 50  # records
_ROOM = 50_000  # bytes that the file takes before it rolls over, some 550 records
_LINE = "2026-11-22 04:03:55,%03d INFO shop.orders: order %d of customer Ada Lovelace accepted after %.1f ms\n"


def figure(quick: bool) -> Figure:
    """Return the figure: our handler with compression beside ours without, and beside concurrent-log-handler."""
    large, smaller = (2, 1) if quick else (500, 100)
    return Figure(
        name="longest-call",
        title="A rollover with compression: the longest logging call",
        text="Four processes log one record each every millisecond, into a file of 500 MB that rolls over after "
        "about a hundred of them. With `use_gzip=True` one process then compresses the backup in a thread, "
        "while all continue for eight seconds, or until the compressed file exists. The first row is the "
        "longest of all logging calls, the second the call that is longer than 99.9 per cent of them. The "
        "machine interrupts calls, too; the run without compression shows for how long. "
        "concurrent-log-handler compresses while it holds the lock, so that every process waits, and waits "
        "longer the larger the file is. Both packages get 100 MB in that row.",
        duels=[
            Duel(
                title="longest call, 500 MB, `use_gzip=True`",
                against="ours without `use_gzip`",
                unit="ms",
                ours=_work(quick, OURS_BY_SIZE, large, use_gzip=True),
                theirs=_work(quick, OURS_BY_SIZE, large, use_gzip=False),
                pairs=1 if quick else 3,
                bar=10,
                goal=5,
                compared="difference",
                further={"most": "99.9th percentile, 500 MB, `use_gzip=True`"},
            ),
            Duel(
                title="longest call, 100 MB, `use_gzip=True`",
                against="concurrent-log-handler with `use_gzip=True`",
                unit="ms",
                ours=_work(quick, OURS_BY_SIZE, smaller, use_gzip=True),
                theirs=_work(quick, CONCURRENT_LOG_HANDLER_BY_SIZE, smaller, use_gzip=True),
                pairs=1 if quick else 2,
            ),
        ],
    )


def _work(quick: bool, handler: str, megabytes: int, *, use_gzip: bool) -> Work:
    arguments = {"handler": handler, "megabytes": megabytes, "use_gzip": use_gzip}
    return Work("longest_call.py", {**arguments, "seconds": 0.2 if quick else megabytes / 100 + 3})


def _prepare(
    folder: str, handler: str, megabytes: int, use_gzip: bool, seconds: float
) -> Callable[[], dict[str, float]]:
    context = multiprocessing.get_context("fork")

    def one_round() -> dict[str, float]:
        path = Path(folder, "app.log")
        _fill(path, megabytes)
        barrier = context.Barrier(_PROCESSES + 1)
        is_over = context.Event()
        durations: Any = context.SimpleQueue()
        options = {"maxBytes": path.stat().st_size + _ROOM, "backupCount": 5, "use_gzip": use_gzip}
        arguments = (handler, str(path), options, barrier, is_over, durations)
        workers = [context.Process(target=_work_along, args=arguments) for _ in range(_PROCESSES)]
        for worker in workers:
            worker.start()
        barrier.wait(60)
        time.sleep(seconds)
        while not _is_rolled_over(path, use_gzip):
            if any(worker.exitcode for worker in workers):
                raise RuntimeError("a worker of the benchmark failed")
            time.sleep(0.05)
        is_over.set()
        calls = sorted(call for _ in workers for call in durations.get())
        for worker in workers:
            worker.join()
        for left in Path(folder).iterdir():
            left.unlink()
        return {"value": calls[-1] * 1e3, "most": calls[len(calls) * 999 // 1000] * 1e3}

    return one_round


def _fill(path: Path, megabytes: int) -> None:
    """Write a log file of about that size and sync it, so that this does not happen during the measurement."""
    lines = "".join(_LINE % (number % 1000, number, number % 977 / 10) for number in range(12_000)).encode()
    with path.open("wb") as file:
        while file.tell() < megabytes * 1_000_000:
            file.write(lines)
        file.flush()
        os.fsync(file.fileno())


def _work_along(handler: str, path: str, options: dict[str, Any], barrier: Any, is_over: Any, durations: Any) -> None:
    try:
        logger = make_logger(handler, path, **options)
        log_orders(logger, _WARM_UP)  # what a process needs once is not counted
        barrier.wait(60)
    except BaseException:
        barrier.abort()  # so that no other process waits for this one
        raise
    calls = []
    while not is_over.is_set():
        start = perf_counter()
        logger.info("order %d of customer %s accepted after %.1f ms", len(calls), "Ada Lovelace", 12.5)
        calls.append(perf_counter() - start)
        time.sleep(_PAUSE)
    durations.put(calls)
    logging.shutdown()


def _is_rolled_over(path: Path, use_gzip: bool) -> bool:
    """Return whether the backup exists, and no other file."""
    names = [each.name for each in path.parent.glob("app.log.*")]
    return names == (["app.log.1.gz"] if use_gzip else ["app.log.1"])


if __name__ == "__main__":
    serve(_prepare)

"""Figure: the time of one logging call, in one process with one thread."""

import itertools
import logging
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from measuring import Duel, Figure, Work, serve
from workloads import OURS, STANDARD, log_orders, make_logger


def figure(quick: bool) -> Figure:
    """Return the figure: our handler beside the standard one, in several configurations."""
    return Figure(
        name="one-process",
        title="One process, one thread: time per record",
        text="A loop of `logger.info` calls with three arguments, timed from the call until the bytes are in the "
        "file. This is the whole price, of which the handler is a part. Both handlers have the same "
        "formatter. A round takes milliseconds, so that the machine interrupts few of them.",
        duels=[
            _duel(quick, "typical format, with asctime", 250),
            _duel(quick, "format `%(message)s` only", 250, style="message"),
            _duel(quick, "record with an exception", 20, work="errors"),
            _duel(quick, "`keep_file_open=False`", 50, keep_file_open=False),
        ],
    )


def _duel(
    quick: bool,
    title: str,
    records: int,
    *,
    work: str = "orders",
    style: str = "typical",
    **options: object,
) -> Duel:
    arguments = {"work": work, "style": style, "records": records}
    return Duel(
        title=title,
        against="standard `TimedRotatingFileHandler`",
        unit="µs",
        ours=Work("one_process.py", {**arguments, "handler": OURS, "options": options}),
        theirs=Work("one_process.py", {**arguments, "handler": STANDARD, "options": {}}),
        pairs=1 if quick else 7,
        rounds=3 if quick else 121,
        bar=None if options else 1.10,
        goal=None if options else 1.00,
    )


def _prepare(
    folder: str, handler: str, options: dict[str, Any], work: str, style: str, records: int
) -> Callable[[], dict[str, float]]:
    logger = make_logger(handler, Path(folder, "app.log"), style, **options)
    log = {"orders": log_orders, "errors": _log_errors}[work]
    log(logger, 500)  # until the interpreter has specialized the code

    def one_round() -> dict[str, float]:
        start = perf_counter()
        log(logger, records)
        return {"value": (perf_counter() - start) / records * 1e6}

    return one_round


def _log_errors(logger: logging.Logger, records: int) -> None:
    try:
        _fail(3)
    except ZeroDivisionError:
        for number in itertools.islice(itertools.count(), records):
            logger.exception("order %d failed", number)


def _fail(depth: int) -> float:
    return 1 / depth if depth == 0 else _fail(depth - 1)


if __name__ == "__main__":
    serve(_prepare)

"""Figure: the price of a record and of a rollover, by the number of backups."""

import itertools
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from measuring import Course, Figure, Work, serve
from workloads import (
    CONCURRENT_LOG_HANDLER,
    CONCURRENT_LOG_HANDLER_BY_SIZE,
    OURS,
    OURS_BY_SIZE,
    STANDARD,
    STANDARD_BY_SIZE,
    make_logger,
)

_SECOND = "%Y-%m-%d_%H-%M-%S"
_HOUR = "%Y-%m-%d_%H"
_FIRST_BACKUP = datetime(2020, 1, 1)


def figure(quick: bool) -> Figure:
    """Return the figure: our handlers beside others, with 0 to 10,000 backups."""
    return Figure(
        name="backup-counts",
        title="Up to 10,000 backups",
        text="One process logs to a file that already has up to 10,000 backups; `backupCount` keeps all of them. "
        'The handlers by time roll over every second (`when="S"`); those by size, and by time with '
        "`maxBytes`, every 1 MB, which is about 11,500 records. The first plot shows the price of a record "
        "including its share of a rollover. The second one shows the logging call that rolls over, the only "
        "place where backups cost anything. Each point contains three rollovers. By size, each backup is "
        "renamed under the lock; by time, the backups are counted outside the lock.",
        courses=[
            Course(
                quantities={
                    "record": ("Price of a record, rollovers included", "µs per record (less is better)"),
                    "rollover": ("The logging call that rolls over", "ms (less is better)"),
                },
                x="backups",
                works={
                    "ours by time": _work(quick, OURS, _SECOND, when="S"),
                    "ours by time, maxBytes": _work(quick, OURS, _HOUR, when="H", maxBytes=1_000_000),
                    "ours by size": _work(quick, OURS_BY_SIZE, maxBytes=1_000_000),
                    "standard by time": _work(quick, STANDARD, _SECOND, when="S"),
                    "standard by size": _work(quick, STANDARD_BY_SIZE, maxBytes=1_000_000),
                    "concurrent-log-handler by time": _work(quick, CONCURRENT_LOG_HANDLER, _SECOND, when="S"),
                    "concurrent-log-handler by size": _work(quick, CONCURRENT_LOG_HANDLER_BY_SIZE, maxBytes=1_000_000),
                },
                logarithmic=("x", "record", "rollover"),
            )
        ],
    )


def _work(quick: bool, handler: str, suffix: str = "", **options: object) -> Work:
    if quick and "maxBytes" in options:
        options["maxBytes"] = 10_000
    arguments = {
        "handler": handler,
        "suffix": suffix,
        "options": options,
        "counts": (0, 10) if quick else (0, 10, 100, 1_000, 10_000),
        "rollovers": 1 if quick else 3,
    }
    return Work("backup_counts.py", arguments)


def _prepare(
    folder: str, handler: str, suffix: str, options: dict[str, Any], counts: list[int], rollovers: int
) -> Callable[[], dict[str, object]]:
    def one_round() -> dict[str, object]:
        records, calls = [], []
        for count in counts:
            place = Path(folder, str(count))
            place.mkdir()
            _leave_backups(place / "app.log", suffix, count)
            record, call = _log(place, handler, rollovers, backupCount=count + 100, **options)
            records.append((count, record * 1e6))
            calls.append((count, call * 1e3))
            shutil.rmtree(place)
        return {"value": {"record": records, "rollover": calls}}

    return one_round


def _leave_backups(log_file: Path, suffix: str, count: int) -> None:
    """Create empty backups: numbered, or one for each hour."""
    for number in range(count):
        ending = (_FIRST_BACKUP + timedelta(hours=number)).strftime(suffix) if suffix else number + 1
        Path(f"{log_file}.{ending}").touch()


def _log(place: Path, handler: str, rollovers: int, **options: object) -> tuple[float, float]:
    """Log over ``rollovers`` rollovers; return the seconds of a record, and of a call that rolls over."""
    logger = make_logger(handler, place / "app.log", **options)
    (made,) = logger.handlers
    rolling: Any = getattr(made, "clh", made)  # concurrent-log-handler has the file in a handler inside
    _log_until_rollover(logger.info, rolling)
    start = perf_counter()
    calls, records = zip(*(_log_until_rollover(logger.info, rolling) for _ in range(rollovers)), strict=True)
    seconds = perf_counter() - start
    made.close()
    return seconds / sum(records), median(calls)


def _log_until_rollover(info: Callable[..., None], handler: Any) -> tuple[float, int]:
    """Log until a call rolls over; return the seconds of that call, and the number of calls."""
    for number in itertools.count(1):
        before = handler.stream
        start = perf_counter()
        info("order %d of customer %s accepted after %.1f ms", number, "Ada Lovelace", 12.5)
        seconds = perf_counter() - start
        if handler.stream is not before and before is not None:
            return seconds, number
    raise AssertionError("unreachable")


if __name__ == "__main__":
    serve(_prepare)

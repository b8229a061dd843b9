"""Figure: the memory and the open descriptors of a handler."""

import gc
import os
import resource
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from measuring import Course, Duel, Figure, Work, serve
from workloads import OURS, STANDARD, log_orders, make_logger

_HANDLERS = 50


def figure(quick: bool) -> Figure:
    """Return the figure: our handler beside the standard one, and both over a million records."""
    return Figure(
        name="memory",
        title="Memory and descriptors",
        text=f"{_HANDLERS} handlers, each with a file of its own, have written one record; the memory and "
        f"descriptors that this added are divided by {_HANDLERS}. Each of our handlers keeps one descriptor of "
        "the log file and one of the lock file. Below, one handler writes a million records with a rollover "
        "every second.",
        duels=[
            _duel("memory of one handler", "bytes"),
            _duel("open descriptors of one handler", "descriptors"),
        ],
        courses=[
            Course(
                quantities={
                    "memory": ("Memory of the process over a million records", "resident memory, MiB"),
                    "descriptors": ("Open descriptors over a million records", "open descriptors"),
                },
                x="records",
                works={label: _long_run(handler, quick) for label, handler in (("ours", OURS), ("standard", STANDARD))},
            )
        ],
    )


def _duel(title: str, unit: str) -> Duel:
    return Duel(
        title=title,
        against="standard `TimedRotatingFileHandler`",
        unit=unit,
        ours=Work("memory.py", {"quantity": unit, "handler": OURS}),
        theirs=Work("memory.py", {"quantity": unit, "handler": STANDARD}),
        pairs=1,  # counted, not timed
    )


def _long_run(handler: str, quick: bool) -> Work:
    return Work("memory.py", {"quantity": "course", "handler": handler, "records": 10_000 if quick else 1_000_000})


def _prepare(folder: str, handler: str, quantity: str, records: int = 0) -> Callable[[], dict[str, object]]:
    if quantity == "course":
        return lambda: {"value": _course(folder, handler, records)}
    measure = {"bytes": _bytes_per_handler, "descriptors": _descriptors_per_handler}[quantity]
    make_logger(handler, Path(folder, "first.log")).info("what a process needs once is not counted")
    return lambda: {"value": measure(folder, handler)}


def _bytes_per_handler(folder: str, handler: str) -> float:
    gc.collect()
    tracemalloc.start()
    kept = _make_loggers(folder, handler)
    gc.collect()
    used, _ = tracemalloc.get_traced_memory()
    return used / len(kept)


def _descriptors_per_handler(folder: str, handler: str) -> float:
    before = _descriptors()
    kept = _make_loggers(folder, handler)
    return (_descriptors() - before) / len(kept)


def _make_loggers(folder: str, handler: str) -> list[object]:
    loggers = []
    for number in range(_HANDLERS):
        loggers.append(make_logger(handler, Path(folder, f"{number}.log")))
        loggers[-1].info("one record")
    return list(loggers)


def _course(folder: str, handler: str, records: int) -> dict[str, list[tuple[float, float]]]:
    logger = make_logger(handler, Path(folder, "app.log"), when="s", backupCount=2)
    points: dict[str, list[tuple[float, float]]] = {"memory": [], "descriptors": []}
    for tenth in range(1, 11):
        log_orders(logger, records // 10)
        points["memory"].append((tenth * records // 10, resident_memory()))
        points["descriptors"].append((tenth * records // 10, _descriptors()))
    return points


def _descriptors() -> int:
    return len(os.listdir("/dev/fd")) - 1  # one of them reads the folder


def resident_memory(pid: int | str = "self") -> float:
    """Return the resident memory of a process in MiB, or this process's peak where only that is available."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    serve(_prepare)

"""Figure: the price of a logging call when a thread or process writes, and the time until everything is in the file."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, count
from pathlib import Path
from time import perf_counter, perf_counter_ns
from typing import Any

import stalling
from measuring import Course, Duel, Figure, Work, serve
from ways import WAYS, Way
from workloads import count_lines

_WARM_UP = 500  # records
_BURST = 50  # records
_THREADS = 8
_BETWEEN = 0.002  # seconds of computation between two bursts
_STALL = 0.05  # seconds
_FIRST_STALL = 10.0  # seconds until the first write must have begun
_CLAIM = 0.1  # seconds for 10,000 records, as the package claimed that ours comes from

_STANDARD = "standard `TimedRotatingFileHandler`"
_QUEUE = "standard `QueueHandler` + `QueueListener`"
_QUEUE_TO_PROCESS = "`multiprocessing.Queue` + `QueueListener` in a process"
_LOGURU = "loguru, `enqueue=True`"
_PROCESS = '`worker="process"`'


def figure(quick: bool) -> Figure:
    """Return the figure: `BackgroundHandler` beside the synchronous handler, queues and loguru."""
    return Figure(
        name="background",
        title="Logging in the background",
        text="A program passes its records to a `BackgroundHandler` in front of our timed handler; the alternatives "
        "write to the standard timed handler. *Flood*: one thread logs 20,000 records as fast as it can. That is "
        "twice the `capacity` of ours, so that a few calls wait until half of the queue is written; the standard "
        "queues have no limit and grow. *Bursts*: it logs 50 records, computes for 2 ms, and repeats this up to "
        "10,000 records. *Threads*: eight threads log such bursts at once, 2,500 records each. Each call is timed "
        "separately, including 0.1 µs for reading the clock. *Slow disk*: every write to the file first sleeps for "
        "50 ms, and the first one sleeps when the calls begin. The standard handler writes once for each record, ours "
        "once for each batch; but on both sides no write is part of a logging call, and the comparison shows whether "
        "the program notices the slow disk. "
        "Records per second are counted until the last record is in the file: after `flush()` of ours, `stop()` of "
        "`QueueListener`, and `complete()` of loguru; processes are started before the measurement. The last plot "
        "shows the slowest calls of the bursts.",
        duels=[
            _calls(quick, "median", "flood", _STANDARD, bar=0.80, goal=0.60),
            _calls(quick, "median", "bursts", _STANDARD, bar=0.65, goal=0.50),
            _calls(quick, "99.9th percentile", "flood", _QUEUE, bar=1.00, goal=0.30, further=("longest",)),
            _calls(quick, "99.9th percentile", "bursts", _QUEUE, bar=0.75, goal=0.30),
            _calls(quick, "99.9th percentile", "threads", _QUEUE, bar=1.00, goal=0.50, further=("median",)),
            _calls(quick, "99.9th percentile", "flood", _QUEUE, bar=1.00, goal=0.30, further=("longest",), slow=True),
            _calls(quick, "99.9th percentile", "bursts", _QUEUE, bar=1.00, goal=0.50, slow=True),
            _calls(quick, "median", "bursts", _LOGURU),
            _speed(quick, _QUEUE, bar=1.9, goal=3),
            _speed(quick, _STANDARD, bar=0.95, goal=1.2),
            _speed(quick, _QUEUE_TO_PROCESS, ours="ours process", bar=2.5, goal=3),
            _speed(quick, _LOGURU),
            _claim(quick, "ours"),
            _claim(quick, "ours process"),
        ],
        courses=[_course(quick)],
    )


_THEIRS = {_STANDARD: "straight", _QUEUE: "queue", _QUEUE_TO_PROCESS: "queue process", _LOGURU: "loguru"}
_STALLING = {"ours": "stalling.StallingHandler", "queue": "stalling.StallingStandardHandler"}


def _calls(
    quick: bool,
    value: str,
    program: str,
    against: str,
    *,
    bar: float | None = None,
    goal: float | None = None,
    further: tuple[str, ...] = (),
    slow: bool = False,
) -> Duel:
    """Return the duel of single calls; ``slow``: on a disk where every write waits."""
    place = f"{program}, slow disk" if slow else program
    ours, theirs = (_work(quick, way, program, value, slow) for way in ("ours", _THEIRS[against]))
    return Duel(
        title=f"{value} of a call, {place}",
        against=against,
        unit="µs",
        ours=ours,
        theirs=theirs,
        pairs=1 if quick else 5,
        rounds=1 if quick else 5,
        bar=bar,
        goal=goal,
        further={each: f"{each} call, {place}" for each in further},
    )


def _speed(
    quick: bool,
    against: str,
    *,
    ours: str = "ours",
    bar: float | None = None,
    goal: float | None = None,
) -> Duel:
    return Duel(
        title="from call to file" + (f", {_PROCESS}" if ours == "ours process" else ""),
        against=against,
        unit="records/s",
        ours=_work(quick, ours, "flood", "speed"),
        theirs=_work(quick, _THEIRS[against], "flood", "speed"),
        pairs=1 if quick else 7,
        rounds=1 if quick else 5,
        bar=bar,
        goal=goal,
    )


def _claim(quick: bool, ours: str) -> Duel:
    return Duel(
        title="10,000 records, from call to file" + (f", {_PROCESS}" if ours == "ours process" else ""),
        against="the 0.1 s that its ancestor claims",
        unit="s",
        ours=_work(quick, ours, "flood", "seconds", records=10_000),
        theirs=_work(quick, "claim", "flood", "seconds"),
        pairs=1 if quick else 5,
        rounds=1 if quick else 5,
        bar=1.00,
    )


def _course(quick: bool) -> Course:
    ways = {
        "ours, thread": "ours",
        "ours, process": "ours process",
        "standard, in the call": "straight",
        "standard queue": "queue",
        "standard queue to a process": "queue process",
        "loguru, enqueue=True": "loguru",
    }
    return Course(
        quantities={"calls": ("The slowest logging calls of a program that logs in bursts", "µs (less is better)")},
        x="one call in this many takes longer",
        works={label: _work(quick, way, "bursts", "course") for label, way in ways.items()},
        rounds=1 if quick else 5,
        logarithmic=("x", "calls"),
    )


def _work(quick: bool, way: str, program: str, value: str, slow: bool = False, records: int = 0) -> Work:
    many = {"flood": 20_000, "bursts": 10_000, "threads": 2_500}[program]
    arguments = {"way": way, "program": program, "value": value, "records": records or (500 if quick else many)}
    return Work("background.py", {**arguments, "handler": _STALLING[way]} if slow else arguments)


# The child.


def _prepare(
    folder: str, way: str, program: str, value: str, records: int, handler: str = ""
) -> Callable[[], dict[str, Any]]:
    if way == "claim":
        return lambda: {"value": _CLAIM}
    made = WAYS[way](Path(folder, "app.log"), handler)
    _write(made, _WARM_UP)
    if value in ("speed", "seconds"):
        return lambda: _timed(made, folder, records, value)

    def one_round() -> dict[str, Any]:
        made.begin()
        if handler:
            _slow_down(made)
        calls = _time_calls(made, program, records)
        stalling.seconds = 0.0  # what still waits is of no interest
        made.finish()
        return {"value": {"calls": _course_of(calls)}} if value == "course" else _named(calls, value)

    return one_round


def _slow_down(way: Way) -> None:
    """Make the disk slow, and return while a write waits for it."""
    stalling.has_stalled.clear()
    stalling.seconds = _STALL
    way.log(0)
    if not stalling.has_stalled.wait(_FIRST_STALL):
        raise RuntimeError("no write waited for the slow disk")


def _write(way: Way, records: int) -> float:
    """Log as fast as possible, and return the seconds until all is in the file."""
    way.begin()
    start = perf_counter()
    for number in range(records):
        way.log(number)
    way.finish()
    return perf_counter() - start


def _timed(way: Way, folder: str, records: int, value: str) -> dict[str, Any]:
    before = count_lines(folder)
    seconds = _write(way, records)
    lost = before + records - count_lines(folder)
    return {"value": seconds if value == "seconds" else records / seconds, "lost": lost}


def _time_calls(way: Way, program: str, records: int) -> list[int]:
    """Return the duration of each call in nanoseconds, shortest first."""
    if program != "threads":
        return sorted(_time_thread(way, records if program == "flood" else _BURST, records))
    with ThreadPoolExecutor(_THREADS) as pool:
        return sorted(chain(*pool.map(lambda _: _time_thread(way, _BURST, records), range(_THREADS))))


def _time_thread(way: Way, burst: int, records: int) -> list[int]:
    calls = []
    for number in range(records):
        if not number % burst:
            _compute(_BETWEEN)
        start = perf_counter_ns()
        way.log(number)
        calls.append(perf_counter_ns() - start)
    return calls


def _compute(seconds: float) -> None:
    """Keep the interpreter busy, unlike sleeping."""
    end = perf_counter() + seconds
    for number in count():
        if perf_counter() > end:
            return
        hash(str(number))


def _named(calls: list[int], value: str) -> dict[str, float]:
    """Return the quantiles of the calls, in microseconds, that of the name ``value`` first of all."""
    found = {
        "median": calls[len(calls) // 2] / 1e3,
        "99.9th percentile": calls[len(calls) * 999 // 1000] / 1e3,
        "longest": calls[-1] / 1e3,
    }
    return {"value": found[value], **found}


def _course_of(calls: list[int]) -> list[tuple[int, float]]:
    """Return the durations of the slowest calls: one in 2, in 10, and so on."""
    points = [one_in for one_in in (2, 10, 100, 1_000, 10_000) if one_in <= len(calls)]
    return [(one_in, calls[-(len(calls) // one_in)] / 1e3) for one_in in points]


if __name__ == "__main__":
    serve(_prepare)

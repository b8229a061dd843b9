"""Figure: files that roll over by size, in one process and in eight."""

from measuring import Duel, Figure, Work
from workloads import CONCURRENT_LOG_HANDLER_BY_SIZE, OURS, OURS_BY_SIZE, STANDARD_BY_SIZE

_ONE = {"maxBytes": 1_000_000, "backupCount": 5}
_EIGHT = {"maxBytes": 10_000_000, "backupCount": 5}
_RECORDS_PER_ROLLOVER = 11_500  # of somewhat less than 90 bytes


def figure(quick: bool) -> Figure:
    """Return the figure: our handler by size beside others by size, and beside ours by time."""
    return Figure(
        name="by-size",
        title="Files that roll over by size",
        text="In one process, each round logs 11,500 records into files of 1 MB and therefore contains one "
        "rollover: ten times as many as with files of 10 MB. The standard class formats each record twice and "
        "queries the size of the file each time. Eight processes log 16,000 records each into files of 10 MB, "
        "with one rollover during the measurement. `backupCount` is 5.",
        duels=[
            _one_process(quick, "standard `RotatingFileHandler`", STANDARD_BY_SIZE, pairs=5, bar=0.60),
            _one_process(quick, "concurrent-log-handler", CONCURRENT_LOG_HANDLER_BY_SIZE, pairs=2),
            _eight_processes(quick, "concurrent-log-handler", CONCURRENT_LOG_HANDLER_BY_SIZE, pairs=3, bar=5),
            _eight_processes(quick, "ours by time", OURS, pairs=5),
        ],
    )


def _one_process(quick: bool, against: str, handler: str, *, pairs: int, bar: float | None = None) -> Duel:
    arguments = {
        "work": "orders",
        "style": "typical",
        "records": 500 if quick else _RECORDS_PER_ROLLOVER,
        "options": {**_ONE, "maxBytes": 20_000} if quick else _ONE,
    }
    return Duel(
        title="by size, one process",
        against=against,
        unit="µs",
        ours=Work("one_process.py", {**arguments, "handler": OURS_BY_SIZE}),
        theirs=Work("one_process.py", {**arguments, "handler": handler}),
        pairs=1 if quick else pairs,
        rounds=1 if quick else 9,
        bar=bar,
    )


def _eight_processes(quick: bool, against: str, handler: str, *, pairs: int, bar: float | None = None) -> Duel:
    arguments = {"processes": 8, "records": 50 if quick else 16_000}
    theirs = {} if handler == OURS else _EIGHT
    return Duel(
        title="by size, 8 processes",
        against=against,
        unit="records/s",
        ours=Work("many_processes.py", {**arguments, "handler": OURS_BY_SIZE, "options": _EIGHT}),
        theirs=Work("many_processes.py", {**arguments, "handler": handler, "options": theirs}),
        pairs=1 if quick else pairs,
        bar=bar,
    )

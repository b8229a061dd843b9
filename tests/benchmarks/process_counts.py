"""Figure: the price of a record, by the number of processes that write the file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from many_processes import UNLOCKED, log_together
from measuring import Course, Figure, Work, serve
from workloads import CONCURRENT_LOG_HANDLER_BY_SIZE, OURS, OURS_BY_SIZE

_SMALL = {"maxBytes": 1_000_000, "backupCount": 20}
_LARGE = {"maxBytes": 10_000_000, "backupCount": 20}


def figure(quick: bool) -> Figure:
    """Return the figure: our handlers beside others, with 1 to 64 processes."""
    return Figure(
        name="process-counts",
        title="One file, 1 to 64 processes",
        text="As above, but with more and more processes, which log 16,000 records in total, about 1.5 MB. Files "
        "of 1 MB roll over during the measurement, files of 10 MB do not. The processor time of a record is "
        "the time that all processes spend on it, including attempts to take a lock. A level line means that "
        "another process costs nothing. Points are medians of three runs.",
        courses=[
            Course(
                quantities={
                    "cpu": ("Processor time of a record, by processes on the file", "µs per record (less is better)"),
                    "speed": ("Records of all processes together", "records/s (more is better)"),
                },
                x="processes on one file",
                works={
                    "ours by time": _work(quick, OURS),
                    "ours by size, 10 MB": _work(quick, OURS_BY_SIZE, _LARGE),
                    "ours by size, 1 MB": _work(quick, OURS_BY_SIZE, _SMALL),
                    "without any lock": _work(quick, UNLOCKED),
                    "concurrent-log-handler, 1 MB": _work(quick, CONCURRENT_LOG_HANDLER_BY_SIZE, _SMALL),
                },
                rounds=1 if quick else 3,
                logarithmic=("x", "cpu"),
            )
        ],
    )


def _work(quick: bool, handler: str, options: dict[str, int] | None = None) -> Work:
    counts = (1, 2) if quick else (1, 2, 4, 8, 16, 32, 64)
    records = 100 if quick else 16_000
    return Work(
        "process_counts.py", {"handler": handler, "options": options or {}, "counts": counts, "records": records}
    )


def _prepare(
    folder: str, handler: str, options: dict[str, Any], counts: list[int], records: int
) -> Callable[[], dict[str, object]]:
    rounds = 0

    def one_round() -> dict[str, object]:
        nonlocal rounds
        rounds += 1
        speed, cpu = [], []
        for processes in counts:
            place = Path(folder, f"{rounds}-{processes}")
            place.mkdir()
            answer = log_together(str(place), handler, processes, records // processes, options)
            speed.append((processes, answer["value"]))
            cpu.append((processes, answer["cpu"]))
        return {"value": {"speed": speed, "cpu": cpu}}

    return one_round


if __name__ == "__main__":
    serve(_prepare)

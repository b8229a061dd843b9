"""joblib's workers; the argument tells how they get their handler, or that one of them is killed."""

import logging
import sys
from concurrent.futures.process import BrokenProcessPool

import writing
from joblib import Parallel, delayed

import concurrent_log

WORKERS = 4


def work(source: str, handler: logging.Handler | None = None) -> str:
    """Log with the handler that is given, or with a new one, as all tasks before in this process did."""
    if handler is None:
        writing.configure()
    else:
        writing.attach(handler)
    return writing.log_over_rollover(source, times=2)


def work_until_killed(source: str) -> None:
    """Log without an end; the first worker is killed where the file rolls over, and joblib then kills the others."""
    writing.configure()
    writing.log_and_tell(source, is_killed=source == "a")


def make_handler() -> logging.Handler:
    """Return the handler that is pickled with every task."""
    handler = concurrent_log.ConcurrentTimedRotatingFileHandler("app.log", when="S", utc=True)
    handler.setFormatter(logging.Formatter(writing.FORMAT))
    return handler


if __name__ == "__main__":
    (way,) = sys.argv[1:]
    handler = make_handler() if way == "argument" else None
    with Parallel(WORKERS) as parallel:
        if way == "killed":
            try:
                parallel(map(delayed(work_until_killed), "abcd"))
            except BrokenProcessPool:
                writing.tell("the pool broke")
        for number in range(2):
            for line in parallel(delayed(work)(f"{source}{number}", handler) for source in "abcd"):
                writing.tell(line)

"""Tasks for joblib. The argument selects how workers get their handler, or that one worker is killed."""

import logging
import sys
from concurrent.futures.process import BrokenProcessPool

import writing
from joblib import Parallel, delayed

import concurrent_log

WORKERS = 4


def work(source: str, handler: logging.Handler | None = None) -> str:
    """Log with the given handler, or configure logging again, as each earlier task in this process did."""
    if handler is None:
        writing.configure()
    else:
        writing.attach(handler)
    return writing.log_over_rollover(source, times=2)


def work_until_killed(source: str) -> None:
    """Log until this process is killed: source "a" when the file rolls over, the others then by joblib."""
    writing.configure()
    writing.log_and_report(source, is_killed=source == "a")


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
                writing.report("the pool broke")
        for number in range(2):
            for line in parallel(delayed(work)(f"{source}{number}", handler) for source in "abcd"):
                writing.report(line)

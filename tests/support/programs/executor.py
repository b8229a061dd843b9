"""A ProcessPoolExecutor with four workers. Arguments: the start method, and how workers get their handler."""

import logging
import multiprocessing
import multiprocessing.synchronize
import sys
from concurrent.futures import ProcessPoolExecutor

import writing

import concurrent_log

WORKERS = 4

barrier: "multiprocessing.synchronize.Barrier"  # set in each worker


def initialize(shared_barrier: "multiprocessing.synchronize.Barrier", configured: bool) -> None:
    """Initialize a worker."""
    global barrier
    barrier = shared_barrier
    if configured:
        writing.configure()


def work(source: str, handler: logging.Handler | None) -> str:
    """Log at the same time as the other workers."""
    if handler is not None:
        writing.attach(handler)
    barrier.wait(100)
    return writing.log_until_rolled_over(source)


def make_handler() -> logging.Handler:
    """Return the handler that is pickled to the workers."""
    handler = concurrent_log.ConcurrentTimedRotatingFileHandler("app.log", when="S", utc=True)
    handler.setFormatter(logging.Formatter(writing.FORMAT))
    return handler


if __name__ == "__main__":
    start_method, way = sys.argv[1:]
    context = multiprocessing.get_context(start_method)
    handler = make_handler() if way == "argument" else None
    arguments = (context.Barrier(WORKERS), way == "initializer")
    with ProcessPoolExecutor(WORKERS, context, initializer=initialize, initargs=arguments) as executor:
        for line in executor.map(work, "abcd", [handler] * WORKERS):
            writing.report(line)

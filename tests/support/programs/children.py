"""Children of multiprocessing that exit with os._exit, which skips all exit hooks."""

import multiprocessing
import os

import writing


def work(source: str) -> None:
    """Log, and exit without exit hooks."""
    writing.configure()
    writing.report(writing.log_until_rolled_over(source))
    os._exit(0)


if __name__ == "__main__":
    children = [multiprocessing.Process(target=work, args=(source,)) for source in "abcd"]
    for child in children:
        child.start()
    for child in children:
        child.join()

"""Children of multiprocessing that end by os._exit, without any of the tidying up at the end of a program."""

import multiprocessing
import os

import writing


def work(source: str) -> None:
    """Log and vanish."""
    writing.configure()
    writing.tell(writing.log_until_rolled_over(source))
    os._exit(0)


if __name__ == "__main__":
    children = [multiprocessing.Process(target=work, args=(source,)) for source in "abcd"]
    for child in children:
        child.start()
    for child in children:
        child.join()

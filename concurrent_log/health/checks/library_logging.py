"""What client libraries log while a check of ours uses them: nothing.

Some warn of a connection that failed, with its address. That is for us to say, without the address. What the program
itself does with the same library is logged as ever.
"""

import contextlib
import logging
from collections.abc import Iterator
from contextvars import ContextVar

_is_asked: ContextVar[bool] = ContextVar("_is_asked", default=False)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop what the loggers of `keep_quiet` are given in here, and in the tasks that begin in here."""
    token = _is_asked.set(True)
    try:
        yield
    finally:
        _is_asked.reset(token)


def keep_quiet(*loggers: str) -> None:
    """Let these loggers, each by its whole name, keep quiet in `quiet`."""
    for name in loggers:
        logging.getLogger(name).addFilter(_is_of_the_program)  # One that is there is not added again.


def _is_of_the_program(record: logging.LogRecord) -> bool:
    return not _is_asked.get()

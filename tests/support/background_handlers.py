"""Handlers and loggers for the tests of background logging."""

import logging
import logging.config
import logging.handlers
import sys
import threading
from collections.abc import Callable

import pytest

from concurrent_log import BackgroundHandler

WORKERS = pytest.mark.parametrize("worker", ["thread", "process"])


class Kept(logging.Handler):
    """Keeps the texts of its records, and waits at a gate before each."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.threads: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.flushes = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text."""
        self.entered.set()
        self.gate.wait()
        self.threads.add(threading.current_thread().name)
        self.texts.append(self.format(record))

    def flush(self) -> None:
        """Count."""
        self.flushes += 1


class Careful(BackgroundHandler):
    """Remembers what it reported instead of printing it."""

    problems: list[BaseException]

    def handleError(self, record: logging.LogRecord) -> None:
        """Keep the exception that is being handled."""
        self.problems = [*getattr(self, "problems", []), sys.exc_info()[1]]  # type: ignore[list-item]


Make = Callable[..., BackgroundHandler]


def logger_of(*handlers: logging.Handler) -> logging.Logger:
    """Return a logger of its own."""
    logger = logging.Logger("shop")
    for handler in handlers:
        logger.addHandler(handler)
    return logger

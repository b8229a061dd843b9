"""Handlers and loggers for the tests of background logging."""

import logging
import sys
import threading
from collections.abc import Callable

import pytest

from concurrent_log import BackgroundHandler

WORKERS = pytest.mark.parametrize("worker", ["thread", "process"])


class CollectingHandler(logging.Handler):
    """Collects the formatted records. While its gate is closed, it blocks before each record."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.threads: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.flushes = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Wait for the gate, and collect the text."""
        self.entered.set()
        self.gate.wait()
        self.threads.add(threading.current_thread().name)
        self.texts.append(self.format(record))

    def flush(self) -> None:
        """Count the call."""
        self.flushes += 1


class ErrorCollectingHandler(BackgroundHandler):
    """Collects the errors that it reports, instead of printing them."""

    problems: list[BaseException]

    def handleError(self, record: logging.LogRecord) -> None:
        """Collect the exception that is being handled."""
        self.problems = [*getattr(self, "problems", []), sys.exc_info()[1]]  # type: ignore[list-item]


Create = Callable[..., BackgroundHandler]


def logger_of(*handlers: logging.Handler) -> logging.Logger:
    """Return a new logger with these handlers."""
    logger = logging.Logger("shop")
    for handler in handlers:
        logger.addHandler(handler)
    return logger

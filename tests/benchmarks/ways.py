"""Three ways from a logging call to a line in a file: synchronous, through a thread, or through a process."""

import logging
import multiprocessing
from collections.abc import Callable
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from queue import Queue
from typing import Any

from workloads import OURS, STANDARD, make_logger

from concurrent_log import BackgroundHandler

_START = 60.0  # seconds that a process may take to start, and to write everything


class Way:
    """One way. A round is what happens between `begin` and `finish`; `finish` returns when the file has it all.

    Attributes:
        info: The method to log with.
        template: The text of a record, in the form that ``info`` takes.
    """

    info: Callable[..., None]
    template = "order %d of customer %s accepted after %.1f ms"

    def begin(self) -> None:
        """Prepare, if necessary."""

    def finish(self) -> None:
        """Wait until all records are in the file, if necessary."""

    def log(self, number: int) -> None:
        """Log one record."""
        self.info(self.template, number, "Ada Lovelace", 12.5)


class Straight(Way):
    """The handler writes in the logging call."""

    def __init__(self, path: Path, handler: str = "") -> None:
        self.info = make_logger(handler or STANDARD, path).info


class Background(Way):
    """Our `BackgroundHandler` around our timed handler."""

    def __init__(self, path: Path, handler: str = "", worker: str = "thread") -> None:
        logger, handlers = _without_handlers(handler or OURS, path)
        self._handler = BackgroundHandler(handlers, worker=worker)
        logger.addHandler(self._handler)
        self.info = logger.info

    def finish(self) -> None:
        """Flush."""
        if not self._handler.flush(_START):
            raise RuntimeError("the records were not written in time")


class Process(Background):
    """The same with a process that writes."""

    def __init__(self, path: Path, handler: str = "") -> None:
        super().__init__(path, handler, worker="process")


class Queued(Way):
    """The standard library's `QueueHandler`, and its `QueueListener` around the standard timed handler."""

    def __init__(self, path: Path, handler: str = "") -> None:
        logger, handlers = _without_handlers(handler or STANDARD, path)
        queue: Queue[Any] = Queue(-1)
        self._listener = QueueListener(queue, *handlers)
        logger.addHandler(QueueHandler(queue))
        self.info = logger.info

    def begin(self) -> None:
        """Start to listen."""
        self._listener.start()

    def finish(self) -> None:
        """Stop after the queue is empty."""
        self._listener.stop()


class QueuedToProcess(Way):
    """The logging cookbook's process that listens to a `multiprocessing.Queue`, with the standard timed handler."""

    def __init__(self, path: Path, handler: str = "") -> None:
        self._path, self._handler = path, handler or STANDARD
        self._context = multiprocessing.get_context("fork")
        self._logger = logging.Logger("shop.orders", logging.DEBUG)
        self.info = self._logger.info

    def begin(self) -> None:
        """Start a process, and wait until it listens."""
        self._queue: Any = self._context.Queue(-1)
        self._is_ready, self._is_over, self._is_written = (self._context.Event() for _ in range(3))
        self._process = self._context.Process(target=self._listen, daemon=True)
        self._process.start()
        self._logger.addHandler(QueueHandler(self._queue))
        self._is_ready.wait(_START)

    def finish(self) -> None:
        """Stop the process after the queue is empty."""
        self._queue.close()
        self._queue.join_thread()  # so that the end does not overtake a record
        self._is_over.set()
        if not self._is_written.wait(_START):
            raise RuntimeError("the records were not written in time")
        self._logger.handlers.clear()

    def _listen(self) -> None:
        _, handlers = _without_handlers(self._handler, self._path)
        listener = QueueListener(self._queue, *handlers)
        listener.start()
        self._is_ready.set()
        self._is_over.wait()
        listener.stop()
        self._is_written.set()


class Loguru(Way):
    """loguru with ``enqueue=True``: a thread writes, behind a queue that other processes could use, too."""

    template = "order {} of customer {} accepted after {:.1f} ms"

    def __init__(self, path: Path, handler: str = "") -> None:
        from loguru import logger  # only here: it may not be installed

        logger.remove()
        layout = "{time:YYYY-MM-DD HH:mm:ss,SSS} {level} {name}: {message}"
        logger.add(path, format=layout, rotation="1 hour", enqueue=True, encoding="utf-8")
        self.info = logger.info
        self._complete = logger.complete

    def finish(self) -> None:
        """Wait until the queue is empty."""
        self._complete()


WAYS: dict[str, Callable[..., Way]] = {
    "straight": Straight,
    "ours": Background,
    "ours process": Process,
    "queue": Queued,
    "queue process": QueuedToProcess,
    "loguru": Loguru,
}


def _without_handlers(handler: str, path: Path) -> tuple[logging.Logger, list[logging.Handler]]:
    """Return a logger and the handlers that write its records."""
    logger = make_logger(handler, path)
    handlers, logger.handlers = logger.handlers, []
    return logger, handlers

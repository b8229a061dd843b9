"""Functions for programs of several processes: configure logging, and log until the file has rolled over twice."""

import logging
import logging.config
import os
import signal
import threading
import time
from glob import glob
from itertools import count
from typing import Any

_DEADLINE = 100.0  # seconds: it only ends a program that hangs

FORMAT = "%(created)r %(process)d %(name)s %(message)s"


class OneLine(logging.Formatter):
    """Formats a record, including its traceback, as one line, so that a test can count lines."""

    def format(self, record: logging.LogRecord) -> str:
        """Format as usual, and escape newlines."""
        return super().format(record).replace("\n", "\\n")


CONFIGURATION: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": FORMAT}},
    "handlers": {
        "file": {
            "class": "concurrent_log.ConcurrentTimedRotatingFileHandler",
            "filename": "app.log",
            "when": "S",
            "utc": True,
            "formatter": "line",
        }
    },
    "loggers": {"app": {"level": "INFO", "handlers": ["file"]}},
}


def configure() -> None:
    """Add the file handler to the logger ``app``, with `logging.config.dictConfig`."""
    logging.config.dictConfig(CONFIGURATION)


def attach(handler: logging.Handler) -> None:
    """Make ``handler`` the only handler of the logger ``app``."""
    logger = logging.getLogger("app")
    logger.setLevel(logging.INFO)
    logger.handlers = [handler]


def log_over_rollover(source: str, times: int = 1) -> str:
    """Log records until the file has rolled over ``times`` more times, and return the source and their number."""
    return log_until_rolled_over(source, len(glob("app.log.*")) + times)


def log_until_rolled_over(source: str, backups: int = 2) -> str:
    """Log records ``SOURCE-0``, ``SOURCE-1`` … until there are enough backups; return the source and their number."""
    logger = logging.getLogger("app")
    give_up_at = time.monotonic() + _DEADLINE
    number = 0
    while len(glob("app.log.*")) < backups and time.monotonic() < give_up_at:
        for _ in range(10):
            length = number % 100
            logger.info("record %s-%d %s %d", source, number, "x" * length, length)
            number += 1
        time.sleep(0.002)  # limits the number of records that the test reads back
    return f"{source} {number}"


def log_and_report(source: str, to: int = 1, *, is_killed: bool = False) -> None:
    """Log records ``SOURCE-0``, ``SOURCE-1`` … until this process ends, and report their number after each record.

    Args:
        source: The name of the source.
        to: The file descriptor for the reports.
        is_killed: Kill this process when the file rolls over, between any two steps or within one.
    """
    pause = threading.Event()
    for number in count():
        logging.getLogger("app").info("record %s-%d  0", source, number)
        report(f"{source} {number + 1}", to)
        if is_killed and number == 0:
            threading.Thread(target=_kill_at_rollover, daemon=True).start()
        pause.wait(0.002)


def _kill_at_rollover() -> None:
    seen = len(glob("app.log.*"))
    while len(glob("app.log.*")) == seen:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)


def report(line: str, to: int = 1) -> None:
    """Write ``line`` to a file descriptor in one call, so that lines of several processes do not mix."""
    os.write(to, f"{line}\n".encode())


def log_past_seconds(source: str) -> None:
    """Log records ``SOURCE-0`` to ``SOURCE-5`` whose creation times are in three seconds of the past."""
    logger = logging.getLogger("app")
    start = float(int(time.time()) - 10)
    for number in range(6):
        record = logger.makeRecord("app", logging.INFO, __file__, 0, "record %s-%d  0", (source, number), None)
        record.created = start + number / 2
        logger.handle(record)

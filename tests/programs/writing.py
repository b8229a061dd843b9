"""What the programs of several processes do: configure logging, and log until the file has rolled over twice."""

import logging.config
import os
import time
from glob import glob
from typing import Any

CONFIGURATION: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(created)r %(process)d %(name)s %(message)s"}},
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
    """Give the logger ``app`` the handler, by its name."""
    logging.config.dictConfig(CONFIGURATION)


def attach(handler: logging.Handler) -> None:
    """Give the logger ``app`` this handler."""
    logger = logging.getLogger("app")
    logger.setLevel(logging.INFO)
    logger.handlers = [handler]


def log_until_rolled_over(source: str) -> str:
    """Log records ``SOURCE-0``, ``SOURCE-1`` … until there are two backups; say how many those were."""
    logger = logging.getLogger("app")
    give_up_at = time.monotonic() + 30
    number = 0
    while len(glob("app.log.*")) < 2 and time.monotonic() < give_up_at:
        for _ in range(10):
            length = number % 100
            logger.info("record %s-%d %s %d", source, number, "x" * length, length)
            number += 1
        time.sleep(0.002)  # leaves fewer records to read back
    return f"{source} {number}"


def tell(line: str) -> None:
    """Write ``line`` to the standard output, whole among the lines of other processes."""
    os.write(1, f"{line}\n".encode())


def log_past_seconds(source: str) -> None:
    """Log records ``SOURCE-0`` to ``SOURCE-5`` that were created in the course of three seconds, which are over."""
    logger = logging.getLogger("app")
    start = float(int(time.time()) - 10)
    for number in range(6):
        record = logger.makeRecord("app", logging.INFO, __file__, 0, "record %s-%d  0", (source, number), None)
        record.created = start + number / 2
        logger.handle(record)

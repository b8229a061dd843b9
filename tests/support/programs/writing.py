"""What the programs of several processes do: configure logging, and log until the file has rolled over twice."""

import logging.config
import os
import signal
import threading
import time
from glob import glob
from itertools import count
from typing import Any

FORMAT = "%(created)r %(process)d %(name)s %(message)s"

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
    """Give the logger ``app`` the handler, by its name."""
    logging.config.dictConfig(CONFIGURATION)


def attach(handler: logging.Handler) -> None:
    """Give the logger ``app`` this handler."""
    logger = logging.getLogger("app")
    logger.setLevel(logging.INFO)
    logger.handlers = [handler]


def log_over_rollover(source: str, times: int = 1) -> str:
    """Log records until the file has rolled over, or so many times; say how many records those were."""
    return log_until_rolled_over(source, len(glob("app.log.*")) + times)


def log_until_rolled_over(source: str, backups: int = 2) -> str:
    """Log records ``SOURCE-0``, ``SOURCE-1`` … until there are that many backups; say how many records those were."""
    logger = logging.getLogger("app")
    give_up_at = time.monotonic() + 30
    number = 0
    while len(glob("app.log.*")) < backups and time.monotonic() < give_up_at:
        for _ in range(10):
            length = number % 100
            logger.info("record %s-%d %s %d", source, number, "x" * length, length)
            number += 1
        time.sleep(0.002)  # leaves fewer records to read back
    return f"{source} {number}"


def log_and_tell(source: str, to: int = 1, *, is_killed: bool = False) -> None:
    """Log records ``SOURCE-0``, ``SOURCE-1`` … until this process ends; say after each how many there are.

    If it ``is_killed``, that is where the file rolls over, between or within any two steps.
    """
    pause = threading.Event()
    for number in count():
        logging.getLogger("app").info("record %s-%d  0", source, number)
        tell(f"{source} {number + 1}", to)
        if is_killed and number == 0:
            threading.Thread(target=_kill_at_rollover, daemon=True).start()
        pause.wait(0.002)


def _kill_at_rollover() -> None:
    seen = len(glob("app.log.*"))
    while len(glob("app.log.*")) == seen:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)


def tell(line: str, to: int = 1) -> None:
    """Write ``line`` to a descriptor, the standard output's, whole among the lines of other processes."""
    os.write(to, f"{line}\n".encode())


def log_past_seconds(source: str) -> None:
    """Log records ``SOURCE-0`` to ``SOURCE-5`` that were created in the course of three seconds, which are over."""
    logger = logging.getLogger("app")
    start = float(int(time.time()) - 10)
    for number in range(6):
        record = logger.makeRecord("app", logging.INFO, __file__, 0, "record %s-%d  0", (source, number), None)
        record.created = start + number / 2
        logger.handle(record)

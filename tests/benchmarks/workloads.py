"""The workload that all figures run in their child processes."""

import importlib
import logging
import logging.handlers
from collections.abc import Callable
from pathlib import Path

OURS = "concurrent_log.ConcurrentTimedRotatingFileHandler"
STANDARD = "logging.handlers.TimedRotatingFileHandler"
CONCURRENT_LOG_HANDLER = "concurrent_log_handler.ConcurrentTimedRotatingFileHandler"

OURS_BY_SIZE = "concurrent_log.ConcurrentRotatingFileHandler"
STANDARD_BY_SIZE = "logging.handlers.RotatingFileHandler"
CONCURRENT_LOG_HANDLER_BY_SIZE = "concurrent_log_handler.ConcurrentRotatingFileHandler"

FORMATS = {
    "typical": "%(asctime)s %(levelname)s %(name)s: %(message)s",
    "message": "%(message)s",
    "seed": "%(asctime)s - %(process)d-%(threadName)s - %(pathname)s[line:%(lineno)d] - %(levelname)s: %(message)s",
}


def make_logger(handler: str, path: str | Path, style: str = "typical", **options: object) -> logging.Logger:
    """Return a logger that writes to ``path`` through the handler class of that dotted name."""
    module, _, name = handler.rpartition(".")
    handler_class: Callable[..., logging.Handler] = getattr(importlib.import_module(module), name)
    made = handler_class(str(path), encoding="utf-8", **options)
    made.setFormatter(logging.Formatter(FORMATS[style]))
    logger = logging.Logger("shop.orders", logging.DEBUG)
    logger.addHandler(made)
    return logger


def log_orders(logger: logging.Logger, records: int) -> None:
    """Log ``records`` records with arguments to merge, as a program does."""
    info = logger.info
    for number in range(records):
        info("order %d of customer %s accepted after %.1f ms", number, "Ada Lovelace", 12.5)


def count_lines(folder: str | Path) -> int:
    """Return the number of lines in the log files below ``folder``, backups included."""
    total = 0
    for path in Path(folder).rglob("*.log*"):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                total += block.count(b"\n")
    return total

"""The timed handlers, ours and the standard one, on a disk where every write is slow."""

import time
from logging.handlers import TimedRotatingFileHandler
from typing import Any

from concurrent_log import ConcurrentTimedRotatingFileHandler

seconds = 0.0  # for which every write waits from now on


class StallingHandler(ConcurrentTimedRotatingFileHandler):
    """Ours: a batch is one write."""

    def _write_to(self, raw: Any, data: bytes) -> Any:
        time.sleep(seconds)
        return super()._write_to(raw, data)


class StallingStandardHandler(TimedRotatingFileHandler):
    """The standard one: it writes in ``flush``, which it calls for each record."""

    def flush(self) -> None:
        """Wait, and write."""
        time.sleep(seconds)
        super().flush()

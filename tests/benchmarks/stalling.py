"""The timed handlers, ours and the standard one, on a disk where every write is slow."""

import threading
import time
from logging.handlers import TimedRotatingFileHandler
from typing import Any

from concurrent_log import ConcurrentTimedRotatingFileHandler

seconds = 0.0  # for which every write waits from now on
has_stalled = threading.Event()  # set when a write begins to wait


def _wait() -> None:
    if seconds:
        has_stalled.set()
        time.sleep(seconds)


class StallingHandler(ConcurrentTimedRotatingFileHandler):
    """Ours: a batch is one write."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        append_joined = self._log_writer.append_joined

        def append_slowly(record: Any, data: bytes) -> tuple[int, int]:
            _wait()
            return append_joined(record, data)

        self._log_writer.append_joined = append_slowly  # type: ignore[method-assign]


class StallingStandardHandler(TimedRotatingFileHandler):
    """The standard one: it writes in ``flush``, which it calls for each record."""

    def flush(self) -> None:
        """Wait, and write."""
        _wait()
        super().flush()

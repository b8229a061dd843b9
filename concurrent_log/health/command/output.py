"""Showing what goes on, while it does: a table on a terminal, and lines everywhere else."""

import contextlib
import logging
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from concurrent_log.health.alerts import LOGGER
from concurrent_log.health.monitor import ServiceMonitor

if TYPE_CHECKING:
    from concurrent_log.health.command.status_table import Screen

_ALERTS = 8  # the last ones, below the table
_LINE = "%(asctime)s %(levelname)-7s %(message)s"


@contextlib.contextmanager
def table(monitor: ServiceMonitor, title: str) -> Iterator[Callable[[], None]]:
    """Show a table that is always up to date, and yield what brings it up to date; its last state stays."""
    from rich.console import Console
    from rich.live import Live

    console, alerts = Console(), _LastAlerts()
    with _handling(alerts), Live(console=console, screen=True, auto_refresh=False) as live:
        yield lambda: live.update(screen_of(monitor, title, alerts.newest_first), refresh=True)
    console.print(screen_of(monitor, title, alerts.newest_first))


@contextlib.contextmanager
def lines(where: str) -> Iterator[Callable[[], None]]:
    """Write one line for each alert to standard output, and yield what raises BrokenPipeError when nobody reads it."""
    if where:
        print(f"the endpoints are at {where}", flush=True)
    handler = _Lines(sys.stdout)
    handler.setFormatter(logging.Formatter(_LINE))
    with _handling(handler):
        yield handler.check_reader


def screen_of(monitor: ServiceMonitor, title: str, alerts: Iterable[logging.LogRecord] = ()) -> "Screen":
    """Return what shows the services as they are now, and alerts, the newest one first; it needs rich."""
    from concurrent_log.health.command.status_table import Screen

    now = datetime.now(timezone.utc)
    return Screen(title, monitor.services.values(), now, alerts, goes_on=monitor.is_running)


@contextlib.contextmanager
def _handling(handler: logging.Handler) -> Iterator[None]:
    logger = logging.getLogger(LOGGER)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _LastAlerts(logging.Handler):
    """Keeps the last alerts for the table."""

    def __init__(self) -> None:
        super().__init__()
        self._records: deque[logging.LogRecord] = deque(maxlen=_ALERTS)

    @property
    def newest_first(self) -> list[logging.LogRecord]:
        return list(reversed(self._records.copy()))  # They may be appended to meanwhile.

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)


class _Lines(logging.StreamHandler):  # type: ignore[type-arg]  # Python 3.10 cannot be told.
    """Writes lines, and notices that nobody reads them any longer, as where ``head`` has ended."""

    _reader_is_gone = False

    def handleError(self, record: logging.LogRecord) -> None:
        """Note a reader that is gone, and report anything else."""
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            self._reader_is_gone = True
        else:
            super().handleError(record)

    def check_reader(self) -> None:
        """Raise BrokenPipeError where nobody reads the lines."""
        if self._reader_is_gone:
            raise BrokenPipeError

"""The output of the command while it runs: a table on a terminal, otherwise lines."""

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
    from concurrent_log.health.command.status_table import StatusTable

_MAX_ALERTS = 8  # below the table
_LINE_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"


@contextlib.contextmanager
def show_table(monitor: ServiceMonitor, title: str) -> Iterator[Callable[[], None]]:
    """Show a table, and yield a function that updates it. The last table stays on the terminal."""
    from rich.console import Console
    from rich.live import Live

    console, alerts = Console(), _LastAlerts()
    with _added(alerts), Live(console=console, screen=True, auto_refresh=False) as live:
        yield lambda: live.update(status_table(monitor, title, alerts.newest_first), refresh=True)
    console.print(status_table(monitor, title, alerts.newest_first))


@contextlib.contextmanager
def print_lines(url: str) -> Iterator[Callable[[], None]]:
    """Print one line for each alert, and yield a function that raises BrokenPipeError if stdout has been closed."""
    if url:
        print(f"the endpoints are at {url}", flush=True)
    handler = _LineHandler(sys.stdout)
    handler.setFormatter(logging.Formatter(_LINE_FORMAT))
    with _added(handler):
        yield handler.check_pipe


def status_table(monitor: ServiceMonitor, title: str, alerts: Iterable[logging.LogRecord] = ()) -> "StatusTable":
    """Return a table of the current health, with alerts, the newest first. It needs rich."""
    from concurrent_log.health.command.status_table import StatusTable

    now = datetime.now(timezone.utc)
    return StatusTable(title, monitor.services.values(), now, alerts, is_running=monitor.is_running)


@contextlib.contextmanager
def _added(handler: logging.Handler) -> Iterator[None]:
    logger = logging.getLogger(LOGGER)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _LastAlerts(logging.Handler):
    """Stores the last alerts for the table."""

    def __init__(self) -> None:
        super().__init__()
        self._records: deque[logging.LogRecord] = deque(maxlen=_MAX_ALERTS)

    @property
    def newest_first(self) -> list[logging.LogRecord]:
        return list(reversed(self._records.copy()))  # Another thread may append during the iteration.

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)


class _LineHandler(logging.StreamHandler):  # type: ignore[type-arg]  # not subscriptable in Python 3.10
    """Writes lines, and detects that their reader has ended, such as ``head``."""

    _is_pipe_broken = False

    def handleError(self, record: logging.LogRecord) -> None:
        """Remember a broken pipe; report any other error as usual."""
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            self._is_pipe_broken = True
        else:
            super().handleError(record)

    def check_pipe(self) -> None:
        """Raise BrokenPipeError if stdout has been closed."""
        if self._is_pipe_broken:
            raise BrokenPipeError

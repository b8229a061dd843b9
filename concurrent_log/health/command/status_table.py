"""A table of services, with the last alerts below it, rendered by ``rich``."""

import logging
from collections.abc import Iterable
from datetime import datetime

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from concurrent_log.health.breaker import BreakerState
from concurrent_log.health.redaction import printable
from concurrent_log.health.service import Service
from concurrent_log.health.status import ServiceHealth, ServiceStatus, overall_status

# Symbol of each status, symbol for terminals without Unicode, and colour. The worst status comes first.
_STYLES = {
    ServiceStatus.UNHEALTHY: ("✘", "x", "bold red"),
    ServiceStatus.DEGRADED: ("▲", "!", "yellow"),
    ServiceStatus.UNKNOWN: ("?", "?", "cyan"),
    ServiceStatus.HEALTHY: ("✔", "+", "green"),
}
_WORST_FIRST = list(_STYLES)
_LEVELS = ((logging.ERROR, "bold red"), (logging.WARNING, "yellow"), (logging.INFO, "green"))
_DAY = 86400.0  # seconds
_UNITS = ((100, 1, "s"), (100 * 60, 60, "min"), (2 * _DAY, 3600, "h"))  # limit in seconds, size of the unit, unit
_COLUMNS_WIDTH = 47


class StatusTable:
    """A `rich` renderable with the health of services at one moment. It is as wide as the terminal.

    Args:
        title: The title above the table.
        services: The services. The table is sorted by status, the worst first.
        now: The current time.
        alerts: The last alerts, the newest first.
        is_running: Whether the services will be checked again.
    """

    def __init__(
        self,
        title: str,
        services: Iterable[Service],
        now: datetime,
        alerts: Iterable[logging.LogRecord] = (),
        *,
        is_running: bool = True,
    ) -> None:
        self._title, self._now, self._alerts, self._is_running = title, now, list(alerts), is_running
        self._services = sorted(
            ((each.snapshot(), each.breaker.retry_after) for each in services),
            key=lambda pair: _WORST_FIRST.index(pair[0].status),
        )

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the table; called by `rich`."""
        is_ascii = options.ascii_only
        parts: list[RenderableType] = [self._heading(is_ascii), self._table(is_ascii)]
        if self._alerts:
            parts += [Text("  alerts", style="bold"), *map(_alert, self._alerts)]
        yield Group(*parts)

    def _heading(self, is_ascii: bool) -> Text:
        overall = _status(overall_status(health for health, _ in self._services), is_ascii)
        text = Text.assemble("  ", overall, f"  {printable(self._title)}  {self._now.astimezone():%H:%M:%S}")
        text.no_wrap, text.overflow = True, "ellipsis"
        return text

    def _table(self, is_ascii: bool) -> Table:
        table = Table(box=SIMPLE_HEAD, header_style="bold")
        table.add_column("service", overflow="fold")
        table.add_column(_columns("status", "for", "took", "checked", "failed"), min_width=_COLUMNS_WIDTH)
        for health, retry_after in self._services:
            table.add_row(Text(printable(health.name)), self._row(health, retry_after, is_ascii))
        return table

    def _row(self, health: ServiceHealth, retry_after: float, is_ascii: bool) -> Text:
        """Return the health of a service in columns, with its error in the lines below."""
        status = _status(health.status, is_ascii)
        rest = _columns(
            "",
            self._since(health.since),
            _milliseconds(health.response_time_ms),
            self._since(health.last_check, " ago"),
            str(health.consecutive_failures or ""),
        )
        row = Text.assemble(status, rest[len(status) :])
        if notes := self._notes(health, retry_after):
            row.append(f"\n{notes}", style="dim" if health.status is ServiceStatus.HEALTHY else "")
        return row

    def _notes(self, health: ServiceHealth, retry_after: float) -> str:
        """Return the error, and the time of the next attempt."""
        notes = [printable(health.error_message or "")]
        if self._is_running and health.breaker is BreakerState.OPEN:
            notes.append(f"next attempt in {format_duration(retry_after)}")
        elif self._is_running and health.breaker is BreakerState.HALF_OPEN:
            notes.append("attempt in progress")
        if not health.critical and health.status is not ServiceStatus.HEALTHY:
            notes.append("not critical")
        return "; ".join(filter(None, notes))

    def _since(self, moment: datetime | None, ago: str = "") -> str:
        return "" if moment is None else format_duration((self._now - moment).total_seconds()) + ago


def format_duration(seconds: float) -> str:
    """Return a duration with about two digits: ``42 s``, ``90 s``, ``4 min``, ``3 h``, ``2 d``."""
    for limit, size, unit in _UNITS:
        if seconds < limit:
            return f"{max(0.0, seconds) / size:.0f} {unit}"
    return f"{seconds / _DAY:.0f} d"


def _columns(status: str, since: str, took: str, checked: str, failed: str) -> str:
    return f"{status:<11} {since:>7} {took:>7} {checked:>11} {failed:>7}"


def _status(status: ServiceStatus, is_ascii: bool) -> Text:
    symbol, ascii_symbol, color = _STYLES[status]
    return Text(f"{ascii_symbol if is_ascii else symbol} {status.value}", style=color)


def _milliseconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f} s"


def _alert(record: logging.LogRecord) -> Text:
    color = next((color for level, color in _LEVELS if record.levelno >= level), "")
    when = datetime.fromtimestamp(record.created)
    level = Text(f"{record.levelname:<7}", style=color)
    text = Text.assemble(f"  {when:%H:%M:%S} ", level, f" {printable(record.getMessage())}")
    text.no_wrap, text.overflow = True, "ellipsis"
    return text

"""Parses the records of health monitors; a field with an invalid value is ignored, because any program can send one."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

MAX_TEXT_LENGTH = 200  # characters of a name or an error
STATUSES = ("healthy", "degraded", "unhealthy", "unknown")
_BREAKERS = ("closed", "half-open", "open")
_SERVICE_EVENTS = ("status", "breaker", "flapping", "settled")  # events about one service
SUMMARY_EVENTS = ("started", "report", "stopped")  # events about all services of a monitor
_MAX_NUMBER = 1e12


class ServiceReport(NamedTuple):
    """The state of a service at the time of a record; ``since`` is text, because it is rarely needed."""

    name: str
    status: str
    since: str | None = None
    response_time_ms: float | None = None
    error: str | None = None
    consecutive_failures: int = 0
    breaker: str = "closed"
    critical: bool = True


class MonitorEvent(NamedTuple):
    """An event of a monitor; ``is_complete`` if it lists all services that the monitor watches."""

    event: str
    services: list[ServiceReport]
    is_complete: bool = False


def parse_monitor_event(attributes: str | None) -> MonitorEvent | None:
    """Return the event in the attributes of a record; None if they contain no state of a service."""
    try:
        found = msgspec.json.decode(attributes or "")
    except (msgspec.DecodeError, RecursionError):
        return None
    health = found.get("health") if isinstance(found, dict) else None
    if not isinstance(health, dict):
        return None
    event, services = health.get("event"), health.get("services")
    if event in _SERVICE_EVENTS:
        reports = parse_services([health])
        return MonitorEvent(event, reports) if reports else None
    if event in SUMMARY_EVENTS:
        listed = services if isinstance(services, list) else []
        reports = parse_services(listed)
        return MonitorEvent(event, reports, is_complete=listed is services and len(reports) == len(listed))
    return None


def parse_services(services: Iterable[Any]) -> list[ServiceReport]:
    """Return the valid reports, one for each service."""
    found = [report for each in services if (report := _parse_service(each)) is not None]
    return list({report.name: report for report in found}.values())


def _parse_service(found: Any) -> ServiceReport | None:
    if not isinstance(found, dict) or found.get("status") not in STATUSES or not (name := _text(found.get("service"))):
        return None
    failures = _number(found.get("consecutive_failures"))
    return ServiceReport(
        name,
        found["status"],
        _text(found.get("since")),
        _number(found.get("response_time_ms")),
        _text(found.get("error")),
        0 if failures is None else int(failures),
        found["breaker"] if found.get("breaker") in _BREAKERS else "closed",
        found.get("critical") is not False,
    )


def _text(value: Any) -> str | None:
    if not isinstance(value, str) or not value.strip():
        return None
    return value if len(value) <= MAX_TEXT_LENGTH else value[: MAX_TEXT_LENGTH - 1] + "…"


def _number(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if is_number and 0 <= value < _MAX_NUMBER else None  # Comparisons with NaN are false.

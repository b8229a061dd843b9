"""Log records for the events of services: one record for each change, with fields."""

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from concurrent_log.health.breaker import BreakerState
from concurrent_log.health.flapping import MAX_CHANGES, WINDOW
from concurrent_log.health.service import BreakerChanged, FlappingChanged, ServiceEvent, StatusChanged
from concurrent_log.health.status import ServiceHealth, ServiceStatus
from concurrent_log.internal import stderr

LOGGER = "concurrent_log.health"

_OPEN, _HALF_OPEN = BreakerState.OPEN, BreakerState.HALF_OPEN
_LEVELS = {
    ServiceStatus.HEALTHY: logging.INFO,
    ServiceStatus.UNKNOWN: logging.INFO,
    ServiceStatus.DEGRADED: logging.WARNING,
    ServiceStatus.UNHEALTHY: logging.ERROR,
}


class AlertLogger:
    """Logs the events of services to the logger ``concurrent_log.health``.

    Each record has one extra attribute, the dictionary ``health``. Its ``event`` is ``status``, ``breaker``,
    ``flapping``, ``settled``, ``started``, ``report`` or ``stopped``. `health_fields` returns the other fields.
    """

    def __init__(self) -> None:
        self._logger = logging.getLogger(LOGGER)

    def log(self, event: ServiceEvent) -> None:
        """Log one event."""
        if isinstance(event, StatusChanged):
            self._log_status(event)
        elif isinstance(event, BreakerChanged):
            self._log_breaker(event)
        else:
            self._log_flapping(event)

    def log_summary(self, event: str, services: Sequence[ServiceHealth]) -> None:
        """Log the health of several services at level INFO, for the event ``started``, ``report`` or ``stopped``."""
        title = "services" if event == "report" else f"monitoring has {event}"
        fields = {"event": event, "services": [health_fields(health) for health in services]}
        self._log(logging.INFO, f"{title}: {', '.join(_summaries(services)) or 'none'}", fields)

    def _log_status(self, event: StatusChanged) -> None:
        new = event.new
        level = logging.DEBUG if event.is_flapping else _level(new)
        fields = {"event": "status", **health_fields(new), "previous": event.old.status.value}
        self._log(level, _status_sentence(event.old, new), fields)

    def _log_breaker(self, event: BreakerChanged) -> None:
        name, (old, new, _) = event.health.name, event.transition
        fields = {"event": "breaker", **health_fields(event.health), "breaker": new.value, "previous": old.value}
        if new is _OPEN:
            fields["retry_after"] = event.recovery_timeout
            text = f"the circuit breaker of {name} is open: next attempt in {event.recovery_timeout:g} s"
        elif new is _HALF_OPEN:
            text = f"the circuit breaker of {name} is half-open: it allows one attempt"
        else:
            text = f"the circuit breaker of {name} is closed again"
        level = logging.WARNING if new is _OPEN else logging.INFO
        # An attempt that fails repeats what has been logged before.
        if event.is_flapping or new is _HALF_OPEN or (old is _HALF_OPEN and new is _OPEN):
            level = logging.DEBUG
        self._log(level, text, fields)

    def _log_flapping(self, event: FlappingChanged) -> None:
        health = event.health
        if event.has_started:
            changes = f"{MAX_CHANGES} status changes within {WINDOW} checks"
            text = f"{health.name} is flapping: {changes}; further changes are logged as DEBUG"
            self._log(logging.WARNING, text, {"event": "flapping", **health_fields(health)})
        else:
            text = f"{health.name} has stopped flapping: {_state_words(health)}"
            self._log(_level(health), text, {"event": "settled", **health_fields(health)})

    def _log(self, level: int, message: str, fields: dict[str, Any]) -> None:
        try:
            self._logger.log(level, message, extra={"health": fields})
        except Exception as error:  # For example, of a filter. Monitoring must continue.
            stderr.warn(f"{message} [logging this failed: {type(error).__name__}]")


def health_fields(health: ServiceHealth) -> dict[str, Any]:
    """Return the fields of a record. All are valid JSON; times are in ISO 8601, in UTC."""
    return {
        "service": health.name,
        "status": health.status.value,
        "breaker": health.breaker.value,
        "critical": health.critical,
        "response_time_ms": None if health.response_time_ms is None else round(health.response_time_ms, 3),
        "error": health.error_message,
        "consecutive_failures": health.consecutive_failures,
        "since": _iso(health.since),
        "last_check": _iso(health.last_check),
        "last_success": _iso(health.last_success),
    }


def _level(health: ServiceHealth) -> int:
    level = _LEVELS[health.status]
    return level if health.critical else min(level, logging.WARNING)


def _status_sentence(old: ServiceHealth, new: ServiceHealth) -> str:
    has_recovered = new.status is ServiceStatus.HEALTHY and old.status is not ServiceStatus.UNKNOWN
    failures = f", after {_failures(old.consecutive_failures)}" if has_recovered and old.consecutive_failures else ""
    return f"{new.name} is {_state_words(new, 'healthy again' if has_recovered else '')}{failures}"


def _state_words(health: ServiceHealth, status: str = "") -> str:
    status, reason = status or health.status.value, health.error_message
    if health.consecutive_failures:
        return f"{status}: {reason} ({_failures(health.consecutive_failures)})"
    duration = "" if health.response_time_ms is None else f"{health.response_time_ms:.0f} ms"
    return f"{status}: {', '.join(filter(None, (reason, duration)))}".removesuffix(": ")


def _summaries(services: Sequence[ServiceHealth]) -> Iterator[str]:
    """Yield a few words for each service that is not healthy, then the number of healthy services."""
    others = [health for health in services if health.status is not ServiceStatus.HEALTHY]
    for health in others:
        failures = health.consecutive_failures
        yield f"{health.name} {health.status.value}" + (f" ({_failures(failures)})" if failures else "")
    if len(services) > len(others):
        yield f"{len(services) - len(others)} healthy"


def _failures(number: int) -> str:
    return "1 failure" if number == 1 else f"{number} failures in a row"


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")

"""What the log is told of the services: each change once, as a record with fields."""

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from concurrent_log.health.breaker import BreakerState
from concurrent_log.health.flapping import CHANGES, WITHIN
from concurrent_log.health.service import BreakerChanged, Event, FlappingChanged, StatusChanged
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


class Alerts:
    """Logs what happens to services to the logger ``concurrent_log.health``.

    Each record has one extra, the dictionary ``health``. Its ``event`` is ``status``, ``breaker``, ``flapping``,
    ``settled``, ``started``, ``report`` or ``stopped``; the other fields are those of `described`.
    """

    def __init__(self) -> None:
        self._logger = logging.getLogger(LOGGER)

    def log(self, event: Event) -> None:
        """Log one event."""
        if isinstance(event, StatusChanged):
            self._tell_status(event)
        elif isinstance(event, BreakerChanged):
            self._tell_breaker(event)
        else:
            self._tell_flapping(event)

    def summarise(self, event: str, services: Sequence[ServiceHealth]) -> None:
        """Log how some services are, at the level INFO, for the event ``started``, ``report`` or ``stopped``."""
        what = "services" if event == "report" else f"monitoring has {event}"
        fields = {"event": event, "services": [described(each) for each in services]}
        self._log(logging.INFO, f"{what}: {', '.join(_summary(services)) or 'none'}", fields)

    def _tell_status(self, event: StatusChanged) -> None:
        new = event.new
        level = logging.DEBUG if event.is_flapping else _level(new)
        fields = {"event": "status", **described(new), "previous": event.old.status.value}
        self._log(level, _sentence(event.old, new), fields)

    def _tell_breaker(self, event: BreakerChanged) -> None:
        name, (old, new, _) = event.health.name, event.transition
        fields = {"event": "breaker", **described(event.health), "breaker": new.value, "previous": old.value}
        if new is _OPEN:
            fields["retry_after"] = event.recovery_timeout
            text = f"the circuit of {name} is open: it is left alone for {event.recovery_timeout:g} s"
        elif new is _HALF_OPEN:
            text = f"the circuit of {name} is half-open: it is tried"
        else:
            text = f"the circuit of {name} is closed again"
        level = logging.WARNING if new is _OPEN else logging.INFO
        # A trial, and its failure, are only what has been said before.
        if event.is_flapping or new is _HALF_OPEN or (old is _HALF_OPEN and new is _OPEN):
            level = logging.DEBUG
        self._log(level, text, fields)

    def _tell_flapping(self, event: FlappingChanged) -> None:
        health = event.health
        if event.began:
            text = f"{health.name} comes and goes: {CHANGES} changes within {WITHIN} checks; more are logged as DEBUG"
            self._log(logging.WARNING, text, {"event": "flapping", **described(health)})
        else:
            text = f"{health.name} has settled: {_state(health)}"
            self._log(_level(health), text, {"event": "settled", **described(health)})

    def _log(self, level: int, message: str, fields: dict[str, Any]) -> None:
        try:
            self._logger.log(level, message, extra={"health": fields})
        except Exception as error:  # Of a filter, for example; the monitor has to go on.
            stderr.warn(f"{message} [this could not be logged: {type(error).__name__}]")


def described(health: ServiceHealth) -> dict[str, Any]:
    """Return the fields of a record, all of them JSON; times are in ISO 8601, in UTC."""
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


def _sentence(old: ServiceHealth, new: ServiceHealth) -> str:
    is_back = new.status is ServiceStatus.HEALTHY and old.status is not ServiceStatus.UNKNOWN
    failures = f", after {_failures(old.consecutive_failures)}" if is_back and old.consecutive_failures else ""
    return f"{new.name} is {_state(new, 'healthy again' if is_back else '')}{failures}"


def _state(health: ServiceHealth, word: str = "") -> str:
    word, reason = word or health.status.value, health.error_message
    if health.consecutive_failures:
        return f"{word}: {reason} ({_failures(health.consecutive_failures)})"
    duration = "" if health.response_time_ms is None else f"{health.response_time_ms:.0f} ms"
    return f"{word}: {', '.join(filter(None, (reason, duration)))}".removesuffix(": ")


def _summary(services: Sequence[ServiceHealth]) -> Iterator[str]:
    """Yield what is said of each service that is not healthy, and how many are."""
    others = [each for each in services if each.status is not ServiceStatus.HEALTHY]
    for each in others:
        failures = each.consecutive_failures
        yield f"{each.name} {each.status.value}" + (f" ({_failures(failures)})" if failures else "")
    if len(services) > len(others):
        yield f"{len(services) - len(others)} healthy"


def _failures(number: int) -> str:
    return "1 failure" if number == 1 else f"{number} failures in a row"


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")

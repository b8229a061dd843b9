"""What a record of a monitor says, whoever wrote it: whatever is not as it should be is left out."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

LONGEST = 200  # characters of a name or an error
STATUSES = ("healthy", "degraded", "unhealthy", "unknown")
_BREAKERS = ("closed", "half-open", "open")
_ALONE = ("status", "breaker", "flapping", "settled")  # events of one service
ALL = ("started", "report", "stopped")  # events of all services of a monitor
_LARGEST = 1e12


class Sighting(NamedTuple):
    """How a service was at the time of a record; ``since`` is as it stands there: few are ever asked for."""

    name: str
    status: str
    since: str | None = None
    response_time_ms: float | None = None
    error: str | None = None
    consecutive_failures: int = 0
    breaker: str = "closed"
    critical: bool = True


class Told(NamedTuple):
    """What a record says: an event, of these services; ``is_whole`` if they are all that the monitor watches."""

    event: str
    sightings: list[Sighting]
    is_whole: bool = False


def told(attributes: str | None) -> Told | None:
    """Return what a record with these attributes says; None where it says nothing of services."""
    try:
        found = msgspec.json.decode(attributes or "")
    except (msgspec.DecodeError, RecursionError):
        return None
    health = found.get("health") if isinstance(found, dict) else None
    if not isinstance(health, dict):
        return None
    event, services = health.get("event"), health.get("services")
    if event in _ALONE:
        seen = sightings([health])
        return Told(event, seen) if seen else None
    if event in ALL:
        listed = services if isinstance(services, list) else []
        seen = sightings(listed)
        return Told(event, seen, is_whole=listed is services and len(seen) == len(listed))
    return None


def sightings(services: Iterable[Any]) -> list[Sighting]:
    """Return what is said of services, of each once."""
    found = [seen for each in services if (seen := _sighting(each)) is not None]
    return list({seen.name: seen for seen in found}.values())


def _sighting(said: Any) -> Sighting | None:
    if not isinstance(said, dict) or said.get("status") not in STATUSES or not (name := _text(said.get("service"))):
        return None
    failures = _number(said.get("consecutive_failures"))
    return Sighting(
        name,
        said["status"],
        _text(said.get("since")),
        _number(said.get("response_time_ms")),
        _text(said.get("error")),
        0 if failures is None else int(failures),
        said["breaker"] if said.get("breaker") in _BREAKERS else "closed",
        said.get("critical") is not False,
    )


def _text(value: Any) -> str | None:
    if not isinstance(value, str) or not value.strip():
        return None
    return value if len(value) <= LONGEST else value[: LONGEST - 1] + "…"


def _number(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if is_number and 0 <= value < _LARGEST else None  # NaN is in no range.

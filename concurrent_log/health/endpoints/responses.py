"""What the health endpoints answer, whatever server is asked.

``/health`` is for people and load balancers, ``/ready`` and ``/live`` are for what starts and restarts programs, and
``/metrics`` is for Prometheus. No answer has an address, a user or a password in it.
"""

import json
from http import HTTPStatus
from typing import Any, NamedTuple

from concurrent_log.health.alerts import described
from concurrent_log.health.monitor import ServiceMonitor
from concurrent_log.health.status import ServiceHealth, ServiceStatus, overall

_METHODS = ("GET", "HEAD")
_NO_METRICS = "prometheus_client makes the metrics and is not installed: run pip install prometheus_client"


class Answer(NamedTuple):
    """An answer of HTTP; that of HEAD has the headers of GET, and no body."""

    status: HTTPStatus
    headers: list[tuple[str, str]]
    body: bytes


def answer(monitor: ServiceMonitor, method: str, path: str, accept: str = "") -> Answer:
    """Return the answer to a request of ``path``, below where the endpoints are mounted.

    Args:
        monitor: Whose services the answer is about.
        method: The method of HTTP.
        path: The path, decoded.
        accept: The header of that name; for the metrics, there are two formats.
    """
    if path not in _PATHS:
        found = _json(HTTPStatus.NOT_FOUND, {"detail": f"there is nothing here, but at {', '.join(_PATHS)}"})
    elif method not in _METHODS:
        found = _json(HTTPStatus.METHOD_NOT_ALLOWED, {"detail": f"{path} can be read, with {' or '.join(_METHODS)}"})
        found.headers.append(("Allow", ", ".join(_METHODS)))
    else:
        found = _PATHS[path](monitor, accept)
    length = ("Content-Length", str(len(found.body)))
    headers = [*found.headers, length, ("Cache-Control", "no-store")]
    return Answer(found.status, headers, b"" if method == "HEAD" else found.body)


def health_of(monitor: ServiceMonitor) -> dict[str, Any]:
    """Return how all services are, as ``/health`` shows them; all of it is JSON."""
    return _described(list(monitor.snapshot().values()), monitor.is_running)


def _described(services: list[ServiceHealth], is_running: bool) -> dict[str, Any]:
    status = overall(services).value
    return {"status": status, "monitoring": is_running, "services": [described(each) for each in services]}


def _health(monitor: ServiceMonitor, accept: str) -> Answer:
    """Answer how all services are: 503 where a critical one is down, or where nobody looks."""
    services, is_running = list(monitor.snapshot().values()), monitor.is_running
    well = is_running and overall(services) is not ServiceStatus.UNHEALTHY
    return _json(_ok_if(well), _described(services, is_running))


def _ready(monitor: ServiceMonitor, accept: str) -> Answer:
    """Answer whether work can be sent here: all critical services were checked, and none of them is down."""
    not_yet = (ServiceStatus.UNKNOWN, ServiceStatus.UNHEALTHY)
    waits_for = [each.name for each in monitor.snapshot().values() if each.critical and each.status in not_yet]
    is_running = monitor.is_running
    is_ready = is_running and not waits_for
    return _json(_ok_if(is_ready), {"ready": is_ready, "monitoring": is_running, "waits_for": waits_for})


def _live(monitor: ServiceMonitor, accept: str) -> Answer:
    """Answer that this process answers. To start it anew because a database is down would not help anybody."""
    return _json(HTTPStatus.OK, {"live": True})


def _metrics(monitor: ServiceMonitor, accept: str) -> Answer:
    try:
        from concurrent_log.health.endpoints.metrics import written
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        return _json(HTTPStatus.NOT_IMPLEMENTED, {"detail": _NO_METRICS})
    body, content_type = written(monitor, accept)
    return Answer(HTTPStatus.OK, [("Content-Type", content_type)], body)


_PATHS = {"/health": _health, "/ready": _ready, "/live": _live, "/metrics": _metrics}


def _ok_if(well: bool) -> HTTPStatus:
    return HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE


def _json(status: HTTPStatus, content: dict[str, Any]) -> Answer:
    return Answer(status, [("Content-Type", "application/json")], json.dumps(content).encode())

"""Responses of the health endpoints, independent of the web server.

``/health`` is for people and load balancers, ``/ready`` and ``/live`` are for Kubernetes, and ``/metrics`` is for
Prometheus. No response contains an address, a user or a password.
"""

import json
from http import HTTPStatus
from typing import Any, NamedTuple

from concurrent_log.health.alerts import health_fields
from concurrent_log.health.monitor import ServiceMonitor
from concurrent_log.health.status import ServiceHealth, ServiceStatus, overall_status

_METHODS = ("GET", "HEAD")
_NO_METRICS = "the metrics need prometheus_client, which is not installed: pip install prometheus_client"


class EndpointResponse(NamedTuple):
    """An HTTP response. The response to HEAD has the headers of GET, and no body."""

    status: HTTPStatus
    headers: list[tuple[str, str]]
    body: bytes


def respond(monitor: ServiceMonitor, method: str, path: str, accept: str = "") -> EndpointResponse:
    """Return the response to a request.

    Args:
        monitor: The monitor of the services.
        method: The HTTP method.
        path: The decoded path, relative to the mount.
        accept: The header of that name, which selects the format of the metrics.
    """
    if path not in _PATHS:
        response = _json(HTTPStatus.NOT_FOUND, {"detail": f"unknown path; the paths are {', '.join(_PATHS)}"})
    elif method not in _METHODS:
        response = _json(HTTPStatus.METHOD_NOT_ALLOWED, {"detail": f"{path} supports {' and '.join(_METHODS)} only"})
        response.headers.append(("Allow", ", ".join(_METHODS)))
    else:
        response = _PATHS[path](monitor, accept)
    length = ("Content-Length", str(len(response.body)))
    headers = [*response.headers, length, ("Cache-Control", "no-store")]
    return EndpointResponse(response.status, headers, b"" if method == "HEAD" else response.body)


def health_report(monitor: ServiceMonitor) -> dict[str, Any]:
    """Return the health of all services in the form of ``/health``. All values are valid JSON."""
    return _report(list(monitor.snapshot().values()), monitor.is_running)


def _report(services: list[ServiceHealth], is_running: bool) -> dict[str, Any]:
    fields = [health_fields(health) for health in services]
    return {"status": overall_status(services).value, "monitoring": is_running, "services": fields}


def _health(monitor: ServiceMonitor, accept: str) -> EndpointResponse:
    """Return the health of all services: 503 if a critical one is unhealthy, or if the monitor is not running."""
    services, is_running = list(monitor.snapshot().values()), monitor.is_running
    is_healthy = is_running and overall_status(services) is not ServiceStatus.UNHEALTHY
    return _json(_ok_if(is_healthy), _report(services, is_running))


def _ready(monitor: ServiceMonitor, accept: str) -> EndpointResponse:
    """Return 200 if all critical services have been checked and none is unhealthy."""
    not_ready = (ServiceStatus.UNKNOWN, ServiceStatus.UNHEALTHY)
    services = monitor.snapshot().values()
    waits_for = [health.name for health in services if health.critical and health.status in not_ready]
    is_running = monitor.is_running
    is_ready = is_running and not waits_for
    return _json(_ok_if(is_ready), {"ready": is_ready, "monitoring": is_running, "waits_for": waits_for})


def _live(monitor: ServiceMonitor, accept: str) -> EndpointResponse:
    """Return 200 whenever this process responds: restarting it does not repair a database."""
    return _json(HTTPStatus.OK, {"live": True})


def _metrics(monitor: ServiceMonitor, accept: str) -> EndpointResponse:
    try:
        from concurrent_log.health.endpoints.metrics import render_metrics
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        return _json(HTTPStatus.NOT_IMPLEMENTED, {"detail": _NO_METRICS})
    body, content_type = render_metrics(monitor, accept)
    return EndpointResponse(HTTPStatus.OK, [("Content-Type", content_type)], body)


_PATHS = {"/health": _health, "/ready": _ready, "/live": _live, "/metrics": _metrics}


def _ok_if(condition: bool) -> HTTPStatus:
    return HTTPStatus.OK if condition else HTTPStatus.SERVICE_UNAVAILABLE


def _json(status: HTTPStatus, content: dict[str, Any]) -> EndpointResponse:
    return EndpointResponse(status, [("Content-Type", "application/json")], json.dumps(content).encode())

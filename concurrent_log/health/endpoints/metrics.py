"""Metrics of the services for Prometheus. This module needs ``prometheus_client``."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from concurrent_log.health.breaker import BreakerState
from concurrent_log.health.monitor import ServiceMonitor
from concurrent_log.health.service import Service
from concurrent_log.health.status import ServiceHealth, ServiceStatus

# Returns a value of one service, or None if there is none yet.
_Value = Callable[[ServiceHealth], float | None]


class MonitorCollector(Collector):
    """Collects the metrics of ``monitor`` for a registry of the program: ``REGISTRY.register(...)``.

    A registry accepts only one of these, because all of them have the same metric names.
    """

    def __init__(self, monitor: ServiceMonitor) -> None:
        self._monitor = monitor

    def collect(self) -> Iterator[Metric]:
        """Yield the current metrics."""
        services = list(self._monitor.services.values())
        health = [service.snapshot() for service in services]
        meaning = "1 while the monitor runs in this process. If it is 0, the other metrics are out of date."
        yield GaugeMetricFamily("concurrent_log_monitoring_up", meaning, float(self._monitor.is_running))
        for name, meaning, value in _GAUGES:
            yield _gauge(f"concurrent_log_service_{name}", meaning, health, value)
        yield _states("service_status", "status", "Service status.", health, ServiceStatus, lambda each: each.status)
        yield _states("breaker_state", "state", "Circuit breaker.", health, BreakerState, lambda each: each.breaker)
        yield _checks(services)


def render_metrics(monitor: ServiceMonitor, accept: str = "") -> tuple[bytes, str]:
    """Return the metrics in the format that the header ``accept`` prefers, and their content type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(MonitorCollector(monitor))
    encoder, content_type = choose_encoder(accept)
    return encoder(registry), content_type


def _is_up(health: ServiceHealth) -> float | None:
    return None if health.status is ServiceStatus.UNKNOWN else float(health.status is not ServiceStatus.UNHEALTHY)


def _response_seconds(health: ServiceHealth) -> float | None:
    return None if health.response_time_ms is None else health.response_time_ms / 1000


def _last_success(health: ServiceHealth) -> float | None:
    return None if health.last_success is None else health.last_success.timestamp()


_GAUGES: tuple[tuple[str, str, _Value], ...] = (
    ("up", "0 if the service is unhealthy, else 1. Absent until the first check.", _is_up),
    ("critical", "1 if the program depends on the service.", lambda health: float(health.critical)),
    ("response_seconds", "Duration of the last check.", _response_seconds),
    ("consecutive_failures", "Failed checks since the last success.", lambda health: health.consecutive_failures),
    ("last_success_timestamp_seconds", "Time of the last successful check.", _last_success),
)


def _gauge(name: str, meaning: str, services: Iterable[ServiceHealth], value_of: _Value) -> Metric:
    metric = GaugeMetricFamily(name, meaning, labels=["service"])
    for health in services:
        if (value := value_of(health)) is not None:
            metric.add_metric([health.name], value)
    return metric


def _states(
    name: str,
    label: str,
    meaning: str,
    services: Iterable[ServiceHealth],
    states: type[ServiceStatus] | type[BreakerState],
    state_of: Callable[[ServiceHealth], Any],
) -> Metric:
    """Return one series for each state of each service: 1 for the current state, 0 for the others."""
    metric = GaugeMetricFamily(f"concurrent_log_{name}", f"{meaning} 1 for the current one.", labels=["service", label])
    for health in services:
        for state in states:
            metric.add_metric([health.name, state.value], float(state is state_of(health)))
    return metric


def _checks(services: Iterable[Service]) -> Metric:
    metric = CounterMetricFamily("concurrent_log_service_checks", "Number of checks.", labels=["service", "outcome"])
    for service in services:
        metric.add_metric([service.name, "success"], service.successful_checks)
        metric.add_metric([service.name, "failure"], service.failed_checks)
    return metric

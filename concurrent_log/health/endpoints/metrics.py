"""What Prometheus can read of the services; it needs ``prometheus_client``."""

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

# A value of one service, or None where there is none yet.
_Value = Callable[[ServiceHealth], float | None]


class MonitorCollector(Collector):
    """The metrics of the services of ``monitor``, for a registry of the program: ``REGISTRY.register(...)``.

    A registry takes one of these: their metrics have the same names.
    """

    def __init__(self, monitor: ServiceMonitor) -> None:
        self._monitor = monitor

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics, as they are now."""
        services = list(self._monitor.services.values())
        known = [service.snapshot() for service in services]
        is_running = "Whether the services are checked in this process; where it is 0, nothing else is up to date."
        yield GaugeMetricFamily("concurrent_log_monitoring_up", is_running, float(self._monitor.is_running))
        for name, meaning, value in _GAUGES:
            yield _gauge(f"concurrent_log_service_{name}", meaning, known, value)
        yield _states("service_status", "status", "How the service is.", known, ServiceStatus, lambda each: each.status)
        yield _states("breaker_state", "state", "The circuit breaker.", known, BreakerState, lambda each: each.breaker)
        yield _checks(services)


def written(monitor: ServiceMonitor, accept: str = "") -> tuple[bytes, str]:
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
    ("up", "1 unless the service is unhealthy; absent until its first check.", _is_up),
    ("critical", "1 where the program cannot do without the service.", lambda health: float(health.critical)),
    ("response_seconds", "How long the last check took.", _response_seconds),
    ("consecutive_failures", "How many checks have failed since one went well.", lambda h: h.consecutive_failures),
    ("last_success_timestamp_seconds", "When a check went well for the last time.", _last_success),
)


def _gauge(name: str, meaning: str, known: Iterable[ServiceHealth], value_of: _Value) -> Metric:
    metric = GaugeMetricFamily(name, meaning, labels=["service"])
    for health in known:
        if (value := value_of(health)) is not None:
            metric.add_metric([health.name], value)
    return metric


def _states(
    name: str,
    label: str,
    meaning: str,
    known: Iterable[ServiceHealth],
    states: type[ServiceStatus] | type[BreakerState],
    state_of: Callable[[ServiceHealth], Any],
) -> Metric:
    """Return one series for each state of each service: 1 where it is in that, and 0 for all others."""
    metric = GaugeMetricFamily(f"concurrent_log_{name}", f"{meaning} 1 for what it is now.", labels=["service", label])
    for health in known:
        for state in states:
            metric.add_metric([health.name, state.value], float(state is state_of(health)))
    return metric


def _checks(services: Iterable[Service]) -> Metric:
    metric = CounterMetricFamily("concurrent_log_service_checks", "Checks made.", labels=["service", "outcome"])
    for service in services:
        metric.add_metric([service.name, "success"], service.successful_checks)
        metric.add_metric([service.name, "failure"], service.failed_checks)
    return metric

"""Whether the services that a program depends on work: a monitor, circuit breakers, ready-made checks."""

from concurrent_log.health.breaker import BreakerState, CircuitBreaker, CircuitOpenError
from concurrent_log.health.monitor import ServiceMonitor
from concurrent_log.health.status import CheckFailed, Degraded, ServiceHealth, ServiceStatus

__all__ = [
    "BreakerState",
    "CheckFailed",
    "CircuitBreaker",
    "CircuitOpenError",
    "Degraded",
    "ServiceHealth",
    "ServiceMonitor",
    "ServiceStatus",
]

"""Service monitor, circuit breakers and ready-made health checks.

The names are imported on first use, so that the command line starts without them.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_MODULES = {
    "BreakerState": "breaker",
    "CheckFailed": "status",
    "CircuitBreaker": "breaker",
    "CircuitOpenError": "breaker",
    "Degraded": "status",
    "ServiceHealth": "status",
    "ServiceMonitor": "monitor",
    "ServiceStatus": "status",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)

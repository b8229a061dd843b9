"""Whether the services that a program depends on work: a monitor, circuit breakers, ready-made checks.

What is here is imported when it is asked for, so that the command line begins without it.
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

_PLACES = {
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
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)

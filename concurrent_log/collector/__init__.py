"""Logs of many processes and machines in one place: the client, the server, and the page to read them on.

What needs the packages of an extra is imported when it is asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent_log.collector.client.async_log_client import AsyncLogClient
    from concurrent_log.collector.client.handler import CollectorHandler
    from concurrent_log.collector.client.middleware import RequestContextMiddleware, WsgiRequestContextMiddleware
    from concurrent_log.collector.client.shipper import Shipper, Stats

__all__ = [
    "AsyncLogClient",
    "CollectorHandler",
    "RequestContextMiddleware",
    "Shipper",
    "Stats",
    "WsgiRequestContextMiddleware",
]

_MODULES = {
    "AsyncLogClient": "client.async_log_client",
    "CollectorHandler": "client.handler",
    "RequestContextMiddleware": "client.middleware",
    "Shipper": "client.shipper",
    "Stats": "client.shipper",
    "WsgiRequestContextMiddleware": "client.middleware",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)

"""The log collector: a client that sends records, a server that stores them, and a web page that shows them.

The names of this module are imported at first use, because they need the packages of an extra.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent_log.collector.client.async_log_client import AsyncLogClient
    from concurrent_log.collector.client.handler import CollectorHandler
    from concurrent_log.collector.client.middleware import RequestContextMiddleware, WsgiRequestContextMiddleware
    from concurrent_log.collector.client.otlp_handler import OtlpHandler
    from concurrent_log.collector.client.shipper import CollectorStats, Shipper

__all__ = [
    "AsyncLogClient",
    "CollectorHandler",
    "CollectorStats",
    "OtlpHandler",
    "RequestContextMiddleware",
    "Shipper",
    "WsgiRequestContextMiddleware",
]

_MODULES = {
    "AsyncLogClient": "client.async_log_client",
    "CollectorHandler": "client.handler",
    "CollectorStats": "client.shipper",
    "OtlpHandler": "client.otlp_handler",
    "RequestContextMiddleware": "client.middleware",
    "Shipper": "client.shipper",
    "WsgiRequestContextMiddleware": "client.middleware",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)

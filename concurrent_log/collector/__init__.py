"""Logs of many processes and machines in one place: the client, the server, and the page to read them on.

What needs the packages of an extra is imported when it is asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent_log.collector.client import AsyncLogClient
    from concurrent_log.collector.handler import CollectorHandler
    from concurrent_log.collector.middleware import RequestContextMiddleware, WsgiRequestContextMiddleware
    from concurrent_log.collector.shipper import Shipper, Stats

__all__ = [
    "AsyncLogClient",
    "CollectorHandler",
    "RequestContextMiddleware",
    "Shipper",
    "Stats",
    "WsgiRequestContextMiddleware",
]

_PLACES = {
    "AsyncLogClient": "client",
    "CollectorHandler": "handler",
    "RequestContextMiddleware": "middleware",
    "Shipper": "shipper",
    "Stats": "shipper",
    "WsgiRequestContextMiddleware": "middleware",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)

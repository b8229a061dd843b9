"""The health endpoints, served alone and mounted in a FastAPI application."""

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI

from concurrent_log.health import ServiceMonitor
from concurrent_log.health.endpoints import asgi_app

monitor = ServiceMonitor(interval=0.1, slow=60, timeout=60)  # No check is slow on a busy machine.
monitor.add("clock", lambda: True)

whole = asgi_app(monitor)


@contextlib.asynccontextmanager
async def monitoring(app: FastAPI) -> AsyncIterator[None]:
    """Run the monitor while the server runs."""
    async with monitor:
        yield


site = FastAPI(lifespan=monitoring)
site.mount("/internal", asgi_app(monitor))

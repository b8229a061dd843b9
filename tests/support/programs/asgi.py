"""An ASGI application that logs five records per request and responds with its process id."""

import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any

logger = logging.getLogger("app")


async def application(
    scope: dict[str, Any], receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    """Log five records whose ids begin with the path."""
    request = scope["path"].removeprefix("/")
    for number in range(5):
        length = 50 * number
        logger.info("record %s-%d %s %d", request, number, "x" * length, length)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})

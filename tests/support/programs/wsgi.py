"""A WSGI application that logs five records per request and responds with its process id."""

import logging
import os
from collections.abc import Callable, Iterable

logger = logging.getLogger("app")


def application(environ: dict[str, str], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Log five records whose ids begin with the path."""
    request = environ["PATH_INFO"].removeprefix("/")
    for number in range(5):
        length = 50 * number
        logger.info("record %s-%d %s %d", request, number, "x" * length, length)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]

"""WSGI and ASGI applications that log through every handler at once, and the configuration of gunicorn for them.

The environment variable ``COLLECTOR_URL`` names the collector.
"""

import logging
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import asgi
import writing
import wsgi

from concurrent_log.collector import AsyncLogClient

FILES = ("app.log", "thread.log", "process.log")
SERVICES = ("handler", "client")


def _file(name: str) -> dict[str, Any]:
    return {**writing.CONFIGURATION["handlers"]["file"], "filename": name}


def _background(worker: str) -> dict[str, Any]:
    return {
        "class": "concurrent_log.background.BackgroundHandler",
        "handlers": [f"{worker} file"],
        "worker": worker,
        "stop_timeout": 100,
    }


_HANDLERS = {
    "file": _file("app.log"),
    "thread file": _file("thread.log"),
    "process file": _file("process.log"),
    "thread": _background("thread"),
    "process": _background("process"),
    "collector": {
        "class": "concurrent_log.collector.CollectorHandler",
        "url": os.environ["COLLECTOR_URL"],
        "service": "handler",
        "flush_interval": 0.2,
        "stop_timeout": 100,
    },
}
_ALL = ["file", "thread", "process", "collector"]

logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "writing.OneLine", "fmt": writing.FORMAT}},  # gunicorn logs tracebacks of its own
    "handlers": _HANDLERS,
    "root": {"level": "INFO", "handlers": []},
    "loggers": {
        "app": {"level": "INFO", "handlers": _ALL, "propagate": False},
        "gunicorn.error": {"level": "INFO", "handlers": _ALL, "propagate": False},
    },
}

_client: AsyncLogClient | None = None


def _log_with_client(path: str) -> None:
    global _client
    if _client is None:
        url = os.environ["COLLECTOR_URL"]
        _client = AsyncLogClient(url, "client", flush_interval=0.2, stop_timeout=100, env_file=None)
    request = path.removeprefix("/")
    for number in range(5):
        _client.info(f"record {request}-{number}  0")


def application(environ: dict[str, str], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Log five records with each handler, and five with the client."""
    _log_with_client(environ["PATH_INFO"])
    return wsgi.application(environ, start_response)


async def asgi_application(
    scope: dict[str, Any], receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    """Do the same for ASGI."""
    if scope["type"] == "http":
        _log_with_client(scope["path"])
        await asgi.application(scope, receive, send)


if os.environ.get("LOG_AT_IMPORT"):
    logging.getLogger("app").info("record imported-0  0")
    _log_with_client("imported")

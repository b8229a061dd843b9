"""The WSGI application for a server that imports it before it forks. A request for "stuck" hangs in a rollover.

Only uWSGI can import this.
"""

import logging
import threading
from collections.abc import Callable, Iterable

import uwsgi
import writing
import wsgi

from concurrent_log import ConcurrentTimedRotatingFileHandler

writing.configure()
logger = logging.getLogger("app")
logger.info("record imported-0  0")


def application(environ: dict[str, str], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Log and respond. For "stuck", set the time limit after which uWSGI kills the worker (harakiri), and hang."""
    if environ["PATH_INFO"] == "/stuck":
        uwsgi.set_user_harakiri(1)
        _hang_in_rollover()
    return wsgi.application(environ, start_response)


def _hang_in_rollover() -> None:
    def block(name: str) -> str:
        writing.report("stuck in a rollover")
        threading.Event().wait()
        return name

    (handler,) = logger.handlers
    assert isinstance(handler, ConcurrentTimedRotatingFileHandler)
    handler.namer = block
    handler.doRollover()

"""WSGI and ASGI applications with a `BackgroundHandler` that writes to a slow file: its queue is never empty."""

import logging

import asgi
import wsgi
from writing import FORMAT

from concurrent_log import BackgroundHandler, ConcurrentTimedRotatingFileHandler
from concurrent_log.internal.greenlets import native_sleep

application = wsgi.application
asgi_application = asgi.application


class SlowFileHandler(ConcurrentTimedRotatingFileHandler):
    """Takes some milliseconds for each record."""

    def emit(self, record: logging.LogRecord) -> None:
        """Wait, then write ``record``."""
        native_sleep(0.004)
        super().emit(record)


_file = SlowFileHandler("app.log")
_file.setFormatter(logging.Formatter(FORMAT))
_background = BackgroundHandler([_file], stop_timeout=100)
for _name in ("app", "uvicorn"):
    logging.getLogger(_name).addHandler(_background)
    logging.getLogger(_name).setLevel("INFO")

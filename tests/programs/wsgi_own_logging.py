"""The WSGI application with logging of its own: the handler is made, and a thread logs, where this is imported."""

import logging.config
import threading
from itertools import count

from wsgi import application as application

logging.config.dictConfig(
    {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(created)r %(process)d %(name)s %(message)s"}},
        "handlers": {
            "file": {
                "class": "concurrent_log.ConcurrentTimedRotatingFileHandler",
                "filename": "app.log",
                "when": "S",
                "utc": True,
                "formatter": "line",
            }
        },
        "loggers": {"app": {"level": "INFO", "handlers": ["file"]}},
    }
)


def _log() -> None:
    pause = threading.Event()
    for number in count():
        logging.getLogger("app").info("record background-%d  0", number)
        pause.wait(0.001)


logging.getLogger("app").info("record imported-0  0")
threading.Thread(target=_log, daemon=True).start()

"""Rotating log files for programs of more than one process.

Importing this package registers its handlers in `logging.handlers`. In a logging configuration, only the class name
changes: ``logging.handlers.ConcurrentTimedRotatingFileHandler`` or ``logging.handlers.ConcurrentRotatingFileHandler``.
"""

import logging.handlers

from concurrent_log.background import BackgroundHandler
from concurrent_log.handlers import ConcurrentRotatingFileHandler, ConcurrentTimedRotatingFileHandler

__version__ = "2.0.0"

__all__ = ["BackgroundHandler", "ConcurrentRotatingFileHandler", "ConcurrentTimedRotatingFileHandler"]

for _handler in (BackgroundHandler, ConcurrentRotatingFileHandler, ConcurrentTimedRotatingFileHandler):
    setattr(logging.handlers, _handler.__name__, _handler)

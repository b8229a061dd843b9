"""The outputs of the ready-made loggers: console and files, with their formats, behind one background worker."""

import functools
import logging
import os
import threading
import time
from collections.abc import Sequence
from datetime import datetime, tzinfo

from concurrent_log.background import BackgroundHandler
from concurrent_log.console import ColorFormatter

CONSOLE_FORMAT = "%(asctime)s [%(levelname)-8s] %(name)s - [%(filename)s:%(lineno)d] %(message)s"
FILE_FORMAT = "%(asctime)s [%(levelname)-8s] %(name)s - [%(pathname)s:%(lineno)d in %(funcName)s()] - %(message)s"
DATE_FORMAT = "%Y-%m-%d %H:%M:%S"


def console_handler(zone: tzinfo | None = None) -> logging.Handler:
    """Return a handler that writes to standard error, in colour on a terminal, with times in ``zone``."""
    handler = logging.StreamHandler()
    handler.setFormatter(_with_zone(ColorFormatter(CONSOLE_FORMAT, DATE_FORMAT, stream=handler.stream), zone))
    return handler


def set_file_format(handler: logging.Handler, zone: tzinfo | None = None) -> None:
    """Give a file handler the format for files, with times in ``zone``."""
    handler.setFormatter(_with_zone(logging.Formatter(FILE_FORMAT, DATE_FORMAT), zone))


class LoggerOutputs:
    """The handlers that one logger writes to, behind one `BackgroundHandler`.

    A record goes to the outputs of its own logger, or else to those of the nearest ancestor that has outputs, but not
    to those of further ancestors. Other handlers of the ancestors, such as those of the root logger, receive it as
    usual.

    Args:
        logger: The logger. It gets one handler, the attribute ``background``. Its previous outputs are closed.
        handlers: The handlers that write. They are closed with these outputs.
        worker: ``"thread"`` or ``"process"``, as for `concurrent_log.background.BackgroundHandler`.
    """

    def __init__(self, logger: logging.Logger, handlers: Sequence[logging.Handler], worker: str) -> None:
        self._logger = logger
        self._handlers = handlers or [logging.NullHandler()]
        try:
            self.background = BackgroundHandler(self._handlers, worker=worker)
        except Exception:
            self._close_handlers()
            raise
        self.background.addFilter(self._accepts)
        with registry_lock:
            previous = _outputs_by_logger.get(logger.name)
            if previous is not None:
                previous.close()
            _outputs_by_logger[logger.name] = self
            logger.addHandler(self.background)

    def close(self) -> None:
        """Write all queued records, close all handlers, and remove them from the logger."""
        with registry_lock:
            if _outputs_by_logger.get(self._logger.name) is self:
                del _outputs_by_logger[self._logger.name]
            self._logger.removeHandler(self.background)
        self.background.close()
        self._close_handlers()

    def _close_handlers(self) -> None:
        for handler in self._handlers:
            handler.close()

    def _accepts(self, record: logging.LogRecord) -> bool:
        name = record.name or ""
        while name and name not in _outputs_by_logger:
            name = name.rpartition(".")[0]
        return not name or name == self._logger.name


_outputs_by_logger: dict[str, LoggerOutputs] = {}
registry_lock = threading.RLock()  # held while loggers are created, looked up and closed


def _reset_lock_in_child() -> None:
    registry_lock._at_fork_reinit()  # type: ignore[attr-defined]  # Another thread may have held it in the parent.


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_lock_in_child)


def _with_zone(formatter: logging.Formatter, zone: tzinfo | None) -> logging.Formatter:
    if zone is not None:
        formatter.converter = functools.partial(_time_in_zone, zone)
    return formatter


def _time_in_zone(zone: tzinfo, seconds: float | None) -> time.struct_time:
    return datetime.fromtimestamp(time.time() if seconds is None else seconds, zone).timetuple()

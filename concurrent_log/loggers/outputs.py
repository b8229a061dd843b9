"""Where ready-made loggers write: the console and files, in one format each, behind one worker."""

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


def to_console(zone: tzinfo | None = None) -> logging.Handler:
    """Return a handler of the standard error stream, in colour on a terminal; times are those of ``zone``."""
    handler = logging.StreamHandler()
    handler.setFormatter(_with_clock(ColorFormatter(CONSOLE_FORMAT, DATE_FORMAT, stream=handler.stream), zone))
    return handler


def to_file(handler: logging.Handler, zone: tzinfo | None = None) -> logging.Handler:
    """Return the handler of a file, with the format of files; times are those of ``zone``."""
    handler.setFormatter(_with_clock(logging.Formatter(FILE_FORMAT, DATE_FORMAT), zone))
    return handler


class Outputs:
    """What a logger writes to: some handlers, which a worker in the background calls.

    A record goes to the outputs of its logger, or of the nearest logger above that has some, but not to those of
    loggers further above. The other handlers of these, such as those of the root logger, get it as usual.

    Args:
        logger: Gets one handler, the attribute ``background``, which hands records over to the worker. Outputs that
            it has already are closed.
        handlers: Belong to these outputs from now on, and are closed with them.
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
        self.background.addFilter(self._is_nearest)
        with making:
            previous = _outputs.get(logger.name)
            if previous is not None:
                previous.close()
            _outputs[logger.name] = self
            logger.addHandler(self.background)

    def close(self) -> None:
        """Write what is waiting, close all handlers, and leave the logger without them."""
        with making:
            if _outputs.get(self._logger.name) is self:
                del _outputs[self._logger.name]
            self._logger.removeHandler(self.background)
        self.background.close()
        self._close_handlers()

    def _close_handlers(self) -> None:
        for handler in self._handlers:
            handler.close()

    def _is_nearest(self, record: logging.LogRecord) -> bool:
        name = record.name or ""
        while name and name not in _outputs:
            name = name.rpartition(".")[0]
        return not name or name == self._logger.name


_outputs: dict[str, Outputs] = {}  # by the name of the logger
making = threading.RLock()  # held while loggers are made, looked up and closed


def _renew_lock() -> None:
    making._at_fork_reinit()  # type: ignore[attr-defined]  # Another thread may have held it in the parent.


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def _with_clock(formatter: logging.Formatter, zone: tzinfo | None) -> logging.Formatter:
    if zone is not None:
        formatter.converter = functools.partial(_wall_clock, zone)
    return formatter


def _wall_clock(zone: tzinfo, seconds: float | None) -> time.struct_time:
    return datetime.fromtimestamp(time.time() if seconds is None else seconds, zone).timetuple()

"""`Logger`: one logger for a whole application, which delegates to a `FileLogger` or a `ConsoleLogger`."""

import itertools
import logging
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from os import PathLike
from typing import ClassVar

from concurrent_log.dated import DatedFileHandler, zone_of
from concurrent_log.internal.validation import check_count
from concurrent_log.loggers.core_service_compatibility import CoreServiceFileLoggerNames
from concurrent_log.loggers.levels import LogLevel, level_number
from concurrent_log.loggers.outputs import LoggerOutputs, console_handler, registry_lock, set_file_format

_KB = 1024


class LoggerInterface(ABC):
    """The interface of the loggers that `Logger` accepts. A program may implement its own."""

    @abstractmethod
    def set_level(self, level: int | str) -> None:
        """Set the lowest level that is logged."""

    @abstractmethod
    def info(self, text: str) -> None:
        """Log ``text`` unchanged, at the level INFO."""

    @abstractmethod
    def error(self, text: str) -> None:
        """Like `info`, at the level ERROR."""

    @abstractmethod
    def warn(self, text: str) -> None:
        """Like `info`, at the level WARN."""

    @abstractmethod
    def debug(self, text: str) -> None:
        """Like `info`, at the level DEBUG."""

    @abstractmethod
    def trace(self, text: str) -> None:
        """Like `info`, at the level TRACE, below DEBUG."""

    @abstractmethod
    def close(self) -> None:
        """Write all queued records, and stop logging."""

    def warning(self, text: str) -> None:
        """Log ``text`` with `warn`."""
        self.warn(text)

    def fatal(self, text: str) -> None:
        """Log ``text`` with `error`. Override this in a logger that has a level for it."""
        self.error(text)


class _StandardLogger(LoggerInterface):
    """A logger on top of a standard one, its attribute ``logger``."""

    def __init__(self, name: str, level: int | str, handlers: Sequence[logging.Handler]) -> None:
        with registry_lock:
            self.logger = _unused_logger(name)
            self._outputs = LoggerOutputs(self.logger, handlers, "thread")
        self.set_level(level)

    def set_level(self, level: int | str) -> None:
        self.logger.setLevel(level_number(level))

    def info(self, text: str) -> None:
        self._log(LogLevel.INFO, text)

    def error(self, text: str) -> None:
        self._log(LogLevel.ERROR, text)

    def warn(self, text: str) -> None:
        self._log(LogLevel.WARN, text)

    def debug(self, text: str) -> None:
        self._log(LogLevel.DEBUG, text)

    def trace(self, text: str) -> None:
        self._log(LogLevel.TRACE, text)

    def fatal(self, text: str) -> None:
        self._log(LogLevel.FATAL, text)

    def close(self) -> None:
        self._outputs.close()

    def _log(self, level: int, text: str) -> None:
        if self.logger.isEnabledFor(level):
            self.logger.log(int(level), text, stacklevel=_frames_in_this_file() + 1)


class ConsoleLogger(_StandardLogger):
    """Logs to standard error, in colour if that is a terminal.

    Args:
        log_level: The lowest level that is logged: a `LogLevel`, a number of `logging`, or a name.

    Raises:
        TypeError, ValueError: The level does not exist.
    """

    def __init__(self, log_level: int | str = LogLevel.INFO) -> None:
        level = level_number(log_level)
        super().__init__("console", level, [console_handler()])


class FileLogger(CoreServiceFileLoggerNames, _StandardLogger):
    """Logs to one file per day, such as ``App_2025-01-20_001_KST.log``. Any number of processes may share the files.

    When a file has reached its maximum size, the next number begins. After a restart, the logger appends to the newest
    file of the day.

    Args:
        log_level: The lowest level that is logged: a `LogLevel`, a number of `logging`, or a name.
        use_console: Also log to the console.
        prefix: The beginning of the file names.
        folder: The folder of the files. It is created if it is missing.
        timezone: ``"UTC"``, ``"KST"``, or an IANA name such as ``"Europe/Berlin"``. It decides when a day ends, and
            the times in the file are in this zone.
        max_file_size_kb: Maximum size of a file, in units of 1024 bytes; 0 means no limit. A file stays below this
            size, unless a single record is larger.
        backup_count: Number of days to keep besides the current one; 0 keeps all.

    Raises:
        TypeError, ValueError: An argument is invalid; the message names the argument, its value and the remedy.
        OSError: The file cannot be written.
    """

    def __init__(
        self,
        log_level: int | str = LogLevel.INFO,
        use_console: bool = True,
        prefix: str = "App",
        folder: "str | PathLike[str]" = "log",
        timezone: str = "UTC",
        max_file_size_kb: int = 1024,
        *,
        backup_count: int = 0,
    ) -> None:
        level, zone = level_number(log_level), zone_of(timezone)
        max_file_size_kb = check_count("max_file_size_kb", max_file_size_kb, "is no limit")
        backup_count = check_count("backup_count", backup_count, "keeps everything")
        self._file = DatedFileHandler(folder, prefix, timezone, max_file_size_kb * _KB, backup_count)
        console = [console_handler(zone)] if use_console else []
        set_file_format(self._file, zone)
        super().__init__(prefix, level, [*console, self._file])


class Logger:
    """The single logger of an application. Before `init`, all its methods do nothing."""

    _logger: ClassVar[LoggerInterface | None] = None

    @classmethod
    def init(cls, logger: LoggerInterface) -> None:
        """Log through ``logger`` from now on. The previous logger stays open: its creator closes it."""
        if not isinstance(logger, LoggerInterface):
            raise TypeError(f"logger must be a LoggerInterface, such as FileLogger(), not {logger!r}")
        cls._logger = logger

    @classmethod
    def is_active(cls) -> bool:
        """Return whether `init` was called, and `close` was not called after it."""
        return cls._logger is not None

    @classmethod
    def set_level(cls, level: int | str) -> None:
        """Set the lowest level that is logged: a `LogLevel`, a number of `logging`, or a name."""
        if cls._logger:
            cls._logger.set_level(level)

    @classmethod
    def info(cls, log: str) -> None:
        """Log a text unchanged, at the level INFO."""
        if cls._logger:
            cls._logger.info(log)

    @classmethod
    def warn(cls, log: str) -> None:
        """Like `info`, at the level WARN."""
        if cls._logger:
            cls._logger.warn(log)

    @classmethod
    def warning(cls, log: str) -> None:
        """Like `warn`."""
        if cls._logger:
            cls._logger.warning(log)

    @classmethod
    def error(cls, log: str) -> None:
        """Like `info`, at the level ERROR."""
        if cls._logger:
            cls._logger.error(log)

    @classmethod
    def debug(cls, log: str) -> None:
        """Like `info`, at the level DEBUG."""
        if cls._logger:
            cls._logger.debug(log)

    @classmethod
    def trace(cls, log: str) -> None:
        """Like `info`, at the level TRACE, below DEBUG."""
        if cls._logger:
            cls._logger.trace(log)

    @classmethod
    def fatal(cls, log: str) -> None:
        """Like `info`, at the level FATAL, which `logging` calls CRITICAL."""
        if cls._logger:
            cls._logger.fatal(log)

    @classmethod
    def close(cls) -> None:
        """Write all queued records, close the logger, and stop logging."""
        logger, cls._logger = cls._logger, None
        if logger:
            logger.close()


def _unused_logger(name: str) -> logging.Logger:
    """Return a standard logger without handlers, named ``name`` or ``name-2``, ``name-3`` and so on.

    Dots are replaced, because they would make it the child of another logger.
    """
    name = name.replace(".", "_")
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(logger for logger in map(logging.getLogger, names) if not logger.handlers)


def _frames_in_this_file() -> int:
    """Return the number of stack frames of this file: those between the caller and `logging`."""
    frame, count = sys._getframe(1), 0
    while frame is not None and frame.f_code.co_filename == __file__:
        frame, count = frame.f_back, count + 1  # type: ignore[assignment]
    return count

"""One logger for a whole application: `Logger`, and what can stand behind it, a `FileLogger` or a `ConsoleLogger`."""

import itertools
import logging
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from os import PathLike
from typing import ClassVar

from concurrent_log.dated import DatedFileHandler, zone_of
from concurrent_log.internal.validation import check_count
from concurrent_log.loggers.levels import LogLevel, level_number
from concurrent_log.loggers.outputs import Outputs, making, to_console, to_file

_KB = 1024


class LoggerInterface(ABC):
    """What can stand behind `Logger`; a program may write one of its own."""

    @abstractmethod
    def set_level(self, level: int | str) -> None:
        """Show records from ``level`` on."""

    @abstractmethod
    def info(self, text: str) -> None:
        """Log ``text``, as it is, with the level that the method is called after."""

    @abstractmethod
    def error(self, text: str) -> None:
        """Like `info`."""

    @abstractmethod
    def warn(self, text: str) -> None:
        """Like `info`."""

    @abstractmethod
    def debug(self, text: str) -> None:
        """Like `info`."""

    @abstractmethod
    def trace(self, text: str) -> None:
        """Like `info`."""

    @abstractmethod
    def close(self) -> None:
        """Write what is waiting, and log no more."""

    def warning(self, text: str) -> None:
        """Do what `warn` does."""
        self.warn(text)

    def fatal(self, text: str) -> None:
        """Log ``text`` as an error; override it where there is a level for it."""
        self.error(text)


class _StandardLogger(LoggerInterface):
    """Logs through a standard logger, which is its attribute ``logger``."""

    def __init__(self, name: str, level: int | str, handlers: Sequence[logging.Handler]) -> None:
        with making:
            self.logger = _unused_logger(name)
            self._outputs = Outputs(self.logger, handlers, "thread")
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
            self.logger.log(int(level), text, stacklevel=_calls_in_this_file() + 1)


class ConsoleLogger(_StandardLogger):
    """Logs to the standard error stream, in colour where that is a terminal.

    Args:
        log_level: The lowest level that is shown: a `LogLevel`, a number of `logging`, or a name.

    Raises:
        TypeError, ValueError: There is no such level.
    """

    def __init__(self, log_level: int | str = LogLevel.INFO) -> None:
        level = level_number(log_level)
        super().__init__("console", level, [to_console()])


class FileLogger(_StandardLogger):
    """Logs to a file for each day, such as ``App_2025-01-20_001_KST.log``, which any number of processes may share.

    The number rises when a file would reach its size. After a restart the newest file of the day goes on.

    Args:
        log_level: The lowest level that is written: a `LogLevel`, a number of `logging`, or a name.
        use_console: Log to the console, too.
        prefix: What the names of the files begin with.
        folder: Where they stand; it is created if it is missing.
        timezone: ``"UTC"``, ``"KST"``, or an IANA name such as ``"Europe/Berlin"``: when a day ends, and what the
            times in the file are.
        max_file_size_kb: Which size, in units of 1024 bytes, no file reaches, but by a single record; 0 is no limit.
        backup_count: How many days to keep besides the current one; 0 keeps all.

    Raises:
        TypeError, ValueError: An argument is not of its kind; the message says which, and what would be.
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
        check_count("max_file_size_kb", max_file_size_kb, "is no limit")
        check_count("backup_count", backup_count, "keeps everything")
        self._file = DatedFileHandler(folder, prefix, timezone, max_file_size_kb * _KB, backup_count)
        console = [to_console(zone)] if use_console else []
        super().__init__(prefix, level, [*console, to_file(self._file, zone)])

    # What programs read of a logger of this name that they had before.

    @property
    def _log_file_path(self) -> str:
        return self._file.baseFilename

    @property
    def _folder(self) -> str:
        return os.path.dirname(self._file.baseFilename)

    @property
    def _max_file_size_bytes(self) -> int:
        return self._file.maxBytes

    def _make_log_file_path(self) -> str:
        return self._file.next_path()

    def _check_and_rotate_file(self) -> None:
        if self._file.shouldRollover(None):
            self._file.doRollover()


class Logger:
    """The one logger of an application. Until `init` is called, nothing is logged."""

    _logger: ClassVar[LoggerInterface | None] = None

    @classmethod
    def init(cls, logger: LoggerInterface) -> None:
        """Log through ``logger`` from now on. The one before stays open, for who made it."""
        if not isinstance(logger, LoggerInterface):
            raise TypeError(f"a LoggerInterface such as FileLogger() is needed, not {logger!r}")
        cls._logger = logger

    @classmethod
    def is_active(cls) -> bool:
        """Return whether `init` was called, and `close` was not."""
        return cls._logger is not None

    @classmethod
    def set_level(cls, level: int | str) -> None:
        """Show records from ``level`` on: a `LogLevel`, a number of `logging`, or a name."""
        if cls._logger:
            cls._logger.set_level(level)

    @classmethod
    def info(cls, log: str) -> None:
        """Log a text, as it is, with the level that the method is called after."""
        if cls._logger:
            cls._logger.info(log)

    @classmethod
    def warn(cls, log: str) -> None:
        """Like `info`."""
        if cls._logger:
            cls._logger.warn(log)

    @classmethod
    def warning(cls, log: str) -> None:
        """Do what `warn` does."""
        if cls._logger:
            cls._logger.warning(log)

    @classmethod
    def error(cls, log: str) -> None:
        """Like `info`."""
        if cls._logger:
            cls._logger.error(log)

    @classmethod
    def debug(cls, log: str) -> None:
        """Like `info`."""
        if cls._logger:
            cls._logger.debug(log)

    @classmethod
    def trace(cls, log: str) -> None:
        """Like `info`, with a level below DEBUG."""
        if cls._logger:
            cls._logger.trace(log)

    @classmethod
    def fatal(cls, log: str) -> None:
        """Like `info`, with the level that `logging` calls CRITICAL."""
        if cls._logger:
            cls._logger.fatal(log)

    @classmethod
    def close(cls) -> None:
        """Close the logger, which writes what is waiting, and log nothing any more."""
        logger, cls._logger = cls._logger, None
        if logger:
            logger.close()


def _unused_logger(name: str) -> logging.Logger:
    """Return a standard logger of about this name that nobody uses, and that is no child of another one."""
    name = name.replace(".", "_")
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(logger for logger in map(logging.getLogger, names) if not logger.handlers)


def _calls_in_this_file() -> int:
    """Return how many calls, one within another, are under way in this file: all between the caller and logging."""
    frame, count = sys._getframe(1), 0
    while frame is not None and frame.f_code.co_filename == __file__:
        frame, count = frame.f_back, count + 1  # type: ignore[assignment]
    return count

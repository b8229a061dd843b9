"""Loggers by name: `get_logger` makes one with a console and two files, and `LoggerManager` keeps them all."""

import contextlib
import logging
import os
from collections.abc import MutableMapping
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from concurrent_log.handlers import ConcurrentRotatingFileHandler
from concurrent_log.loggers.levels import level_number
from concurrent_log.loggers.outputs import Outputs, making, to_console, to_file

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter  # Python 3.10 cannot subscript it

_MAX_BYTES = 10 * 1024 * 1024


class LoggerStats(NamedTuple):
    """What a logger is and has done so far.

    Attributes:
        level: The name of its level.
        files: The paths of its files.
        queued: How many records wait to be written.
        written: How many were written.
        dropped: How many were dropped since too many were waiting; none, unless the handler was told to.
        longest_wait: How many seconds a record waited at most.
    """

    level: str
    files: tuple[str, ...]
    queued: int
    written: int
    dropped: int
    longest_wait: float


class AsyncLoggerCore(_Adapter):
    """A standard logger whose records a worker writes: to the console, to ``NAME.log`` and to ``NAME_error.log``.

    It is a `logging.LoggerAdapter`, with ``debug``, ``info``, ``warning``, ``error``, ``exception``, ``critical`` and
    the like. The `logging.Logger` under it is its attribute ``logger``, the same that `logging.getLogger` returns for
    ``name``. A second one of the same name takes the place of the first, which is closed.

    Args:
        name: The name of the logger, and of its files.
        log_dir: The folder of the files, which is created if it is missing.
        log_level: The lowest level that is written: a number of `logging`, or a name.
        console_output: Write to the standard error stream.
        file_output: Write to ``NAME.log``, and from the level ERROR on also to ``NAME_error.log``.
        max_bytes: Which size in bytes no file reaches, but by a single record; 0 is no limit.
        backup_count: How many earlier files to keep of each; with 0 there is no limit of the size either.
        worker: ``"thread"``, or ``"process"`` to format and write in a process of its own.

    Raises:
        TypeError, ValueError: An argument is not of its kind; the message says which, and what would be.
        OSError: A file cannot be written.
    """

    def __init__(
        self,
        name: str,
        log_dir: "str | PathLike[str]" = "logs",
        log_level: int | str = logging.INFO,
        console_output: bool = True,
        file_output: bool = True,
        max_bytes: int = _MAX_BYTES,
        backup_count: int = 5,
        *,
        worker: str = "thread",
    ) -> None:
        _check_name(name)
        level = level_number(log_level)
        files = _files(name, log_dir, max_bytes, backup_count) if file_output else []
        console = [to_console()] if console_output else []
        super().__init__(logging.getLogger(name), {})
        self._files = tuple(file.baseFilename for file in files)
        self._outputs = Outputs(self.logger, [*console, *files], worker)
        self.logger.setLevel(level)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Leave the message, and what the caller gave as ``extra``, as they are."""
        return msg, kwargs

    def stats(self) -> LoggerStats:
        """Return what the logger has done so far."""
        level = logging.getLevelName(self.logger.getEffectiveLevel())
        return LoggerStats(level, self._files, *self._outputs.background.stats())

    def close(self) -> None:
        """Write what is waiting, and close the files. The logger has no handler of ours any more."""
        self._outputs.close()


class LoggerManager:
    """The registry of all ready-made loggers of this process. All is done by class methods, from any thread."""

    _registered: ClassVar[dict[str, AsyncLoggerCore]] = {}

    @classmethod
    def get_logger(
        cls,
        name: str,
        log_dir: "str | PathLike[str]" = "logs",
        log_level: int | str = logging.INFO,
        console_output: bool = True,
        file_output: bool = True,
        max_bytes: int = _MAX_BYTES,
        backup_count: int = 5,
        reuse: bool = True,
        *,
        worker: str = "thread",
    ) -> logging.Logger:
        """Return the standard logger ``name``, which writes to the console and to two files, in the background.

        Args:
            name: The name of the logger, and of its files.
            log_dir: As for `AsyncLoggerCore`, like all that follow but ``reuse``.
            log_level: The lowest level that is written.
            console_output: Write to the standard error stream.
            file_output: Write to files.
            max_bytes: Which size in bytes no file reaches.
            backup_count: How many earlier files to keep.
            reuse: Return the logger as it is, whatever the other arguments say, if there is one of this name already.
                False closes that, and sets it up anew.
            worker: ``"thread"`` or ``"process"``.
        """
        with making:
            core = cls._registered.get(name) if reuse else None
            if core is None:
                core = AsyncLoggerCore(
                    name, log_dir, log_level, console_output, file_output, max_bytes, backup_count, worker=worker
                )
                cls.register_logger(name, core)
            return core.logger

    @classmethod
    def has_logger(cls, name: str) -> bool:
        """Return whether a logger of this name is registered."""
        return name in cls._registered

    @classmethod
    def get_logger_stats(cls) -> dict[str, LoggerStats]:
        """Return by name what each registered logger has done so far."""
        with making:
            return {name: core.stats() for name, core in cls._registered.items()}

    @classmethod
    def register_logger(cls, name: str, core: AsyncLoggerCore) -> None:
        """Register a logger that was made by hand, in place of the one of that name, which is closed."""
        if not isinstance(core, AsyncLoggerCore):
            raise TypeError(f"an AsyncLoggerCore can be registered, not {core!r}")
        with making:
            previous = cls._registered.get(name)
            cls._registered[name] = core
            if previous is not None and previous is not core:
                previous.close()

    @classmethod
    def unregister_logger(cls, name: str) -> bool:
        """Close the logger of this name, and return whether there was one."""
        with making:
            core = cls._registered.pop(name, None)
            if core is not None:
                core.close()
            return core is not None

    @classmethod
    def shutdown_all_loggers(cls) -> None:
        """Write all that is waiting, and close all registered loggers; the end of the program does that, too."""
        with making:
            for name in list(cls._registered):
                cls.unregister_logger(name)


get_logger = LoggerManager.get_logger
register_logger = LoggerManager.register_logger
unregister_logger = LoggerManager.unregister_logger
shutdown_all_loggers = LoggerManager.shutdown_all_loggers


def _check_name(name: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"name must be a string, not {name!r}")
    if not name or os.path.basename(name) != name or "\0" in name:
        raise ValueError(f"name={name!r} must be one that a file can have; name the folder with log_dir")


def _files(
    name: str, log_dir: "str | PathLike[str]", max_bytes: int, backup_count: int
) -> list[ConcurrentRotatingFileHandler]:
    """Return the handlers of the file for all records and of the one for errors."""
    found = []
    with contextlib.ExitStack() as opened:
        for file_name, level in ((f"{name}.log", logging.NOTSET), (f"{name}_error.log", logging.ERROR)):
            path = os.path.join(log_dir, file_name)
            file = ConcurrentRotatingFileHandler(path, "a", max_bytes, backup_count, encoding="utf-8")
            opened.callback(file.close)
            file.setLevel(level)
            to_file(file)
            found.append(file)
        opened.pop_all()
    return found

"""Named loggers with a console and two files each: `get_logger`, and `LoggerManager`, their registry."""

import contextlib
import logging
import os
from collections.abc import MutableMapping
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from concurrent_log.handlers import ConcurrentRotatingFileHandler
from concurrent_log.internal.validation import check_count
from concurrent_log.loggers.levels import level_number
from concurrent_log.loggers.outputs import LoggerOutputs, console_handler, registry_lock, set_file_format

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter  # Python 3.10 cannot subscript it

_MAX_BYTES = 10 * 1024 * 1024


class LoggerStats(NamedTuple):
    """The level, the files and the counts of a logger.

    Attributes:
        level: Name of its level.
        files: Paths of its files.
        queued: Number of records in the queue.
        written: Number of records written.
        dropped: Number of records dropped because the queue was full; always 0 with the default ``when_full="block"``.
        longest_wait: Longest time that a record spent in the queue, in seconds.
    """

    level: str
    files: tuple[str, ...]
    queued: int
    written: int
    dropped: int
    longest_wait: float


class AsyncLoggerCore(_Adapter):
    """A standard logger that writes in the background: to the console, to ``NAME.log`` and to ``NAME_error.log``.

    It is a `logging.LoggerAdapter` with the usual methods ``debug``, ``info``, ``warning``, ``error``, ``exception``
    and ``critical``. Its attribute ``logger`` is the `logging.Logger` that `logging.getLogger` returns for ``name``. A
    second `AsyncLoggerCore` with the same name replaces and closes the first one.

    Args:
        name: Name of the logger and of its files.
        log_dir: The folder of the files. It is created if it is missing.
        log_level: The lowest level that is logged: a number of `logging`, or a name.
        console_output: Write to standard error.
        file_output: Write to ``NAME.log``, and records of the level ERROR or above also to ``NAME_error.log``.
        max_bytes: Maximum size of a file in bytes; 0 means no limit. A file stays below this size, unless a single
            record is larger.
        backup_count: Number of earlier files to keep of each file; with 0 there is no size limit either.
        worker: ``"thread"``, or ``"process"`` to format and write in a separate process.

    Raises:
        TypeError, ValueError: An argument is invalid; the message names the argument, its value and the remedy.
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
        files = _create_file_handlers(name, log_dir, max_bytes, backup_count) if file_output else []
        console = [console_handler()] if console_output else []
        super().__init__(logging.getLogger(name), {})
        self._files = tuple(file.baseFilename for file in files)
        self._outputs = LoggerOutputs(self.logger, [*console, *files], worker)
        self.logger.setLevel(level)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Return the message and the arguments, including ``extra``, unchanged."""
        return msg, kwargs

    def stats(self) -> LoggerStats:
        """Return the level, the files and the counts of this logger."""
        level = logging.getLevelName(self.logger.getEffectiveLevel())
        return LoggerStats(level, self._files, *self._outputs.background.stats())

    def close(self) -> None:
        """Write all queued records, close the files, and remove our handler from the logger."""
        self._outputs.close()


class LoggerManager:
    """The registry of all ready-made loggers of this process. All methods are class methods and thread-safe."""

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
        """Return the standard logger ``name``, which writes to the console and to two files in the background.

        Args:
            name: Name of the logger and of its files.
            log_dir: Same as for `AsyncLoggerCore`, like all the following arguments except ``reuse``.
            log_level: The lowest level that is logged.
            console_output: Write to standard error.
            file_output: Write to files.
            max_bytes: Maximum size of a file in bytes.
            backup_count: Number of earlier files to keep.
            reuse: If a logger with this name is registered, return it unchanged and ignore the other arguments. With
                False, close it and create it again.
            worker: ``"thread"`` or ``"process"``.
        """
        with registry_lock:
            core = cls._registered.get(name) if reuse else None
            if core is None:
                core = AsyncLoggerCore(
                    name, log_dir, log_level, console_output, file_output, max_bytes, backup_count, worker=worker
                )
                cls.register_logger(name, core)
            return core.logger

    @classmethod
    def has_logger(cls, name: str) -> bool:
        """Return whether a logger with this name is registered."""
        return name in cls._registered

    @classmethod
    def get_logger_stats(cls) -> dict[str, LoggerStats]:
        """Return the statistics of each registered logger, by its name."""
        with registry_lock:
            return {name: core.stats() for name, core in cls._registered.items()}

    @classmethod
    def register_logger(cls, name: str, core: AsyncLoggerCore) -> None:
        """Register a logger. If another logger with this name is registered, close and replace it."""
        if not isinstance(core, AsyncLoggerCore):
            raise TypeError(f"core must be an AsyncLoggerCore, not {core!r}")
        with registry_lock:
            previous = cls._registered.get(name)
            cls._registered[name] = core
            if previous is not None and previous is not core:
                previous.close()

    @classmethod
    def unregister_logger(cls, name: str) -> bool:
        """Close the logger with this name, and return whether it was registered."""
        with registry_lock:
            core = cls._registered.pop(name, None)
            if core is not None:
                core.close()
            return core is not None

    @classmethod
    def shutdown_all_loggers(cls) -> None:
        """Write all queued records, and close all registered loggers. The exit of the program does this, too."""
        with registry_lock:
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
        raise ValueError(f"name={name!r} must be a valid file name; pass the folder as log_dir")


def _create_file_handlers(
    name: str, log_dir: "str | PathLike[str]", max_bytes: int, backup_count: int
) -> list[ConcurrentRotatingFileHandler]:
    """Return the handlers of the file for all records and of the file for errors."""
    check_count("max_bytes", max_bytes, "is no limit")
    check_count("backup_count", backup_count, "never rolls over")
    handlers = []
    with contextlib.ExitStack() as opened:
        for file_name, level in ((f"{name}.log", logging.NOTSET), (f"{name}_error.log", logging.ERROR)):
            path = os.path.join(log_dir, file_name)
            file = ConcurrentRotatingFileHandler(path, "a", max_bytes, backup_count, encoding="utf-8")
            opened.callback(file.close)
            file.setLevel(level)
            set_file_format(file)
            handlers.append(file)
        opened.pop_all()
    return handlers

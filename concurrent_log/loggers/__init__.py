"""Ready-made loggers that write in the background: to a coloured console and to files that processes can share.

`get_logger` returns a standard logger with two files of limited size. `Logger` and `FileLogger` are for an application
with a single logger and one log file per day.
"""

from concurrent_log.background import BackgroundHandler as AsyncQueueHandler
from concurrent_log.loggers.application import ConsoleLogger, FileLogger, Logger, LoggerInterface
from concurrent_log.loggers.levels import LogLevel
from concurrent_log.loggers.manager import (
    AsyncLoggerCore,
    LoggerManager,
    LoggerStats,
    get_logger,
    register_logger,
    shutdown_all_loggers,
    unregister_logger,
)

__all__ = [
    "AsyncLoggerCore",
    "AsyncQueueHandler",
    "ConsoleLogger",
    "FileLogger",
    "LogLevel",
    "Logger",
    "LoggerInterface",
    "LoggerManager",
    "LoggerStats",
    "get_logger",
    "register_logger",
    "shutdown_all_loggers",
    "unregister_logger",
]

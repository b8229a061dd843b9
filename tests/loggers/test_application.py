"""`Logger`, `FileLogger` and `ConsoleLogger`."""

import logging
import pathlib
import re
from typing import Any

import pytest

from concurrent_log.loggers import (
    ConsoleLogger,
    FileLogger,
    Logger,
    LoggerInterface,
    LogLevel,
)
from support.records import all_lines, files


class RecordingLogger(LoggerInterface):
    """A program's own logger, with only the required methods. It records its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def set_level(self, level: int | str) -> None:  # noqa: D102
        self.calls.append(("set_level", level))

    def info(self, text: str) -> None:  # noqa: D102
        self.calls.append(("info", text))

    def error(self, text: str) -> None:  # noqa: D102
        self.calls.append(("error", text))

    def warn(self, text: str) -> None:  # noqa: D102
        self.calls.append(("warn", text))

    def debug(self, text: str) -> None:  # noqa: D102
        self.calls.append(("debug", text))

    def trace(self, text: str) -> None:  # noqa: D102
        self.calls.append(("trace", text))

    def close(self) -> None:  # noqa: D102
        self.calls.append(("close", None))


def test_program_may_implement_its_own_logger() -> None:
    """Methods that it does not define call the nearest one."""
    logger = RecordingLogger()
    Logger.init(logger)
    for name in ("info", "warn", "warning", "error", "debug", "trace", "fatal"):
        getattr(Logger, name)(name)
    Logger.set_level(LogLevel.WARN)
    Logger.close()
    Logger.close()
    Logger.info("after the end")

    assert logger.calls == [
        ("info", "info"),
        ("warn", "warn"),
        ("warn", "warning"),
        ("error", "error"),
        ("debug", "debug"),
        ("trace", "trace"),
        ("error", "fatal"),
        ("set_level", LogLevel.WARN),
        ("close", None),
    ]
    assert not Logger.is_active()
    with pytest.raises(TypeError, match=r"logger must be a LoggerInterface, such as FileLogger\(\), not"):
        Logger.init(logging.getLogger("standard"))  # type: ignore[arg-type]


@pytest.mark.parametrize("level", list(LogLevel))
def test_level_shows_records_at_least_as_severe(capsys: pytest.CaptureFixture[str], level: LogLevel) -> None:
    """INFO is less severe than WARN, as everywhere in logging."""
    order = ["fatal", "error", "warn", "info", "debug", "trace"]
    logger = ConsoleLogger(level)
    for name in order:
        getattr(logger, name)(name)
    logger.close()
    shown = [line.rpartition("] ")[2] for line in capsys.readouterr().err.splitlines()]

    assert shown == order[: order.index(level.name.lower()) + 1] if level is not LogLevel.ALL else shown == order


def test_level_may_be_changed_at_any_time(capsys: pytest.CaptureFixture[str]) -> None:
    """Also after a call that was below the level."""
    logger = ConsoleLogger("info")
    Logger.init(logger)
    for level in ("INFO", LogLevel.DEBUG, logging.INFO, "trace"):
        Logger.set_level(level)
        Logger.debug(f"{level}")
    Logger.close()

    assert [line.rpartition("] ")[2] for line in capsys.readouterr().err.splitlines()] == ["DEBUG", "trace"]


def test_text_is_logged_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    """Percent signs and braces are not placeholders."""
    logger = ConsoleLogger()
    logger.info("100% of {this} and %s")
    logger.close()

    assert capsys.readouterr().err.endswith("] 100% of {this} and %s\n")


def test_times_are_in_the_time_zone(home: pathlib.Path) -> None:
    """P2: the time in a line and the day of its file are in the same zone."""
    logger = FileLogger(use_console=False, timezone="KST")
    record = logging.LogRecord("App", logging.INFO, __file__, 1, "new year", None, None)
    record.created = 1735657200.0  # 15:00 in UTC
    logger.logger.handle(record)
    logger.close()

    (line,) = files(home / "log")["App_2025-01-01_001_KST.log"]
    assert line.startswith("2025-01-01 00:00:00 [")


def test_file_loggers_with_the_same_prefix_are_independent(home: pathlib.Path) -> None:
    """Each writes to its own folder, and a dot in a prefix does not create a child logger."""
    loggers = {
        folder: FileLogger(use_console=False, prefix=prefix, folder=folder)
        for folder, prefix in (("a", "App"), ("b", "App"), ("c", "App.sub"))
    }
    for folder, logger in loggers.items():
        logger.info(folder)
    for logger in loggers.values():
        logger.close()

    assert {folder: [line[-1] for line in all_lines(home / folder)] for folder in loggers} == {
        "a": ["a"],
        "b": ["b"],
        "c": ["c"],
    }
    assert [logger.logger.name for logger in loggers.values()] == ["App", "App-2", "App_sub"]


def test_files_of_surplus_days_are_deleted(home: pathlib.Path) -> None:
    """P3: backup_count is that of the dated handler."""
    (home / "log").mkdir()
    for day in ("2025-01-01", "2025-01-02", "2025-01-03"):
        (home / "log" / f"App_{day}_001_UTC.log").touch()
    logger = FileLogger(use_console=False, backup_count=1)
    logger.info("today")
    logger.close()

    assert len(files(home / "log")) == 2
    assert "App_2025-01-03_001_UTC.log" in files(home / "log")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"log_level": "LOUD"}, ValueError, "log_level='LOUD' is unknown"),
        ({"timezone": "Asia/Soul"}, ValueError, "timezone='Asia/Soul' is unknown"),
        ({"timezone": None}, TypeError, "timezone must be a name such as 'KST'"),
        ({"max_file_size_kb": -1}, ValueError, "max_file_size_kb=-1 must not be negative; 0 is no limit"),
        ({"max_file_size_kb": 0.5}, TypeError, "max_file_size_kb must be a whole number, not 0.5"),
        ({"backup_count": -1}, ValueError, "backup_count=-1 must not be negative; 0 keeps everything"),
        ({"prefix": "logs/App"}, ValueError, "prefix='logs/App' must be the beginning of a file's name"),
        ({"folder": "file"}, OSError, "cannot write the log file"),
        ({"folder": None}, TypeError, "folder must be a path, not None"),
    ],
)
def test_invalid_argument_of_a_file_logger_is_rejected(
    home: pathlib.Path, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    """The message names the argument, its value and the remedy."""
    (home / "file").touch()
    with pytest.raises(error, match=re.escape(message)):
        FileLogger(**{"use_console": False, **arguments})

    assert logging.getLogger("App").handlers == []


def test_unknown_level_is_rejected_after_construction_too(home: pathlib.Path) -> None:
    """P4: the error is raised in the call that has the mistake."""
    logger = ConsoleLogger()
    with pytest.raises(ValueError, match="log_level='LOUD' is unknown"):
        logger.set_level("LOUD")
    logger.close()
    with pytest.raises(ValueError, match="log_level='LOUD' is unknown"):
        ConsoleLogger("LOUD")

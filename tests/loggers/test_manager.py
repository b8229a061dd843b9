"""Named loggers and their registry."""

import contextlib
import logging
import pathlib
import re
import threading
from typing import Any

import pytest

from concurrent_log.background import BackgroundHandler
from concurrent_log.loggers import (
    AsyncLoggerCore,
    AsyncQueueHandler,
    FileLogger,
    Logger,
    LoggerManager,
    get_logger,
    register_logger,
    shutdown_all_loggers,
    unregister_logger,
)
from concurrent_log.loggers.levels import TRACE
from support.logger_files import in_files
from support.records import lines


def test_logger_is_the_standard_one(home: pathlib.Path) -> None:
    """`logging.getLogger` returns the same logger for its name."""
    log = get_logger("myapp", console_output=False)

    assert log is logging.getLogger("myapp")
    assert log.propagate
    assert [type(handler) for handler in log.handlers] == [BackgroundHandler]
    assert AsyncQueueHandler is BackgroundHandler


def test_pytest_sees_the_records(home: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    """The fixture caplog gets the records of both kinds of loggers."""
    get_logger("myapp", console_output=False).info("by name %d", 1)
    Logger.init(FileLogger(use_console=False))
    Logger.fatal("of the application")

    assert [(record.name, record.levelno, record.getMessage()) for record in caplog.records] == [
        ("myapp", logging.INFO, "by name 1"),
        ("App", logging.CRITICAL, "of the application"),
    ]
    assert {record.filename for record in caplog.records} == {"test_manager.py"}
    assert {record.funcName for record in caplog.records} == {"test_pytest_sees_the_records"}


def test_level_and_filters_are_those_of_the_standard_logger(home: pathlib.Path) -> None:
    """Settings of the standard logger take effect."""
    log = get_logger("myapp", console_output=False, log_level="debug")
    log.addFilter(lambda record: "secret" not in record.getMessage())
    log.debug("shown")
    log.info("secret")
    log.setLevel(logging.ERROR)
    log.info("too low")
    logging.disable(logging.ERROR)
    log.error("disabled")
    logging.disable(logging.NOTSET)
    log.error("shown, too")
    log.filters.clear()
    shutdown_all_loggers()

    assert in_files(home)["logs/myapp.log"] == ["shown", "shown, too"]


def test_record_goes_to_the_outputs_of_one_logger(capsys: pytest.CaptureFixture[str], home: pathlib.Path) -> None:
    """A child with its own outputs uses those; one without outputs uses those of its nearest ancestor."""
    get_logger("shop")
    get_logger("shop.cart.items")
    logging.getLogger("shop.cart").info("cart")
    logging.getLogger("shop.cart.items.sizes").info("sizes")
    logging.getLogger("shop").info("shop")
    shutdown_all_loggers()

    assert in_files(home / "logs") == {
        "shop.cart.items.log": ["sizes"],
        "shop.cart.items_error.log": [],
        "shop.log": ["cart", "shop"],
        "shop_error.log": [],
    }
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_record_under_another_name_is_written(home: pathlib.Path) -> None:
    """P1: a record from a queue may have another name than the logger."""
    log = get_logger("myapp", console_output=False)
    for name in ("elsewhere", "", None, "myapp.below"):
        log.handle(logging.makeLogRecord({"name": name, "levelno": logging.INFO, "msg": "handed over"}))
    shutdown_all_loggers()

    assert len(lines(home / "logs/myapp.log")) == 4


def test_adapter_passes_everything_on(home: pathlib.Path) -> None:
    """`AsyncLoggerCore` has the methods of a standard logger; extra attributes and the caller are correct."""
    core = AsyncLoggerCore("custom", console_output=False, log_level=logging.DEBUG)
    records = []
    core.logger.addFilter(lambda record: bool(records.append(record)) or True)
    core.info("with %s", "extra", extra={"customer": 7})
    with contextlib.suppress(ZeroDivisionError):
        try:
            _ = 1 / 0
        finally:
            core.exception("failed")
    core.log(TRACE, "below the level")
    core.logger.filters.clear()
    core.close()

    assert [record.getMessage() for record in records] == ["with extra", "failed"]
    assert records[0].customer == 7
    assert {(record.filename, record.funcName) for record in records} == {
        ("test_manager.py", "test_adapter_passes_everything_on")
    }
    assert lines(home / "logs/custom_error.log")[-1] == "ZeroDivisionError: division by zero"


def test_logger_is_reused(home: pathlib.Path) -> None:
    """By default, a second call changes nothing; with reuse=False, it creates the outputs again."""
    first = get_logger("myapp", console_output=False)
    assert get_logger("myapp", log_dir="elsewhere") is first
    first.info("here")
    get_logger("myapp", log_dir="elsewhere", console_output=False, reuse=False).info("there")
    first.info("there, too")
    shutdown_all_loggers()

    assert in_files(home)["logs/myapp.log"] == ["here"]
    assert in_files(home)["elsewhere/myapp.log"] == ["there", "there, too"]


def test_second_core_replaces_the_first(home: pathlib.Path) -> None:
    """P1: no record is written twice."""
    first = AsyncLoggerCore("custom", console_output=False)
    first.info("first")
    second = AsyncLoggerCore("custom", console_output=False)
    second.info("second")
    first.close()
    second.info("third")
    second.close()

    assert lines(home / "logs/custom.log")[0].endswith("first")
    assert in_files(home)["logs/custom.log"] == ["first", "second", "third"]
    assert logging.getLogger("custom").handlers == []


def test_registered_core_is_found_and_closed(home: pathlib.Path) -> None:
    """The registry treats a core that a program created directly like any other."""
    core = AsyncLoggerCore("other", console_output=False)
    register_logger("custom", core)

    assert LoggerManager.has_logger("custom")
    assert not LoggerManager.has_logger("other")
    assert get_logger("custom") is core.logger
    assert unregister_logger("custom")
    assert not unregister_logger("custom")
    assert core.logger.handlers == []
    with pytest.raises(TypeError, match="core must be an AsyncLoggerCore, not <Logger"):
        register_logger("custom", logging.getLogger("custom"))  # type: ignore[arg-type]


def test_statistics_count_the_records(home: pathlib.Path) -> None:
    """With the level, the files and the longest wait of the logger."""
    log = get_logger("myapp", console_output=False, log_level=logging.WARNING)
    for _ in range(5):
        log.warning("one")
        log.info("not shown")
    for handler in log.handlers:
        handler.flush()
    stats = LoggerManager.get_logger_stats()["myapp"]

    assert stats._replace(longest_wait=0) == (
        "WARNING",
        (str(home / "logs/myapp.log"), str(home / "logs/myapp_error.log")),
        0,
        5,
        0,
        0,
    )
    assert 0 <= stats.longest_wait < 60


def test_threads_get_the_same_logger(home: pathlib.Path) -> None:
    """P1: threads that call get_logger at the same time get one logger with one handler."""
    barrier = threading.Barrier(8)

    def call() -> None:
        barrier.wait()
        get_logger("myapp", console_output=False).info("here")

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shutdown_all_loggers()

    assert in_files(home)["logs/myapp.log"] == ["here"] * 8


def test_closed_logger_can_be_created_again(home: pathlib.Path) -> None:
    """It appends to the same files."""
    for text in ("before", "after"):
        get_logger("myapp", console_output=False).info(text)
        shutdown_all_loggers()

    assert in_files(home)["logs/myapp.log"] == ["before", "after"]


def test_logger_without_outputs_is_silent(capsys: pytest.CaptureFixture[str], home: pathlib.Path) -> None:
    """It writes no file and nothing to the console, not even through logging.lastResort."""
    log = get_logger("myapp", console_output=False, file_output=False)
    log.propagate = False
    log.error("nowhere")
    shutdown_all_loggers()
    log.propagate = True

    assert capsys.readouterr().err == ""
    assert list(home.iterdir()) == []


def test_file_rolls_over_by_size(home: pathlib.Path) -> None:
    """P3: max_bytes and backup_count are those of the file handler."""
    log = get_logger("myapp", console_output=False, max_bytes=1000, backup_count=2)
    for number in range(100):
        log.info("record %d", number)
    shutdown_all_loggers()

    assert sorted(path.name for path in (home / "logs").glob("myapp.log*")) == [
        "myapp.log",
        "myapp.log.1",
        "myapp.log.2",
    ]
    assert all(path.stat().st_size < 1000 for path in (home / "logs").glob("myapp.log*"))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"log_level": "LOUD"}, ValueError, "log_level='LOUD' is unknown: use FATAL, ERROR, WARN, INFO, DEBUG, TRACE"),
        ({"log_level": 0}, ValueError, "log_level=0 must be above 0"),
        ({"log_level": None}, TypeError, "log_level must be a level such as logging.INFO or 'INFO', not None"),
        ({"log_level": True}, TypeError, "log_level must be a level"),
        ({"max_bytes": -1}, ValueError, "max_bytes=-1 must not be negative"),
        ({"max_bytes": "10MB"}, TypeError, "max_bytes must be a whole number, not '10MB'"),
        ({"backup_count": -1}, ValueError, "backup_count=-1 must not be negative"),
        ({"name": ""}, ValueError, "name='' must be a valid file name"),
        ({"name": "../myapp"}, ValueError, "name='../myapp' must be a valid file name; pass the folder"),
        ({"name": None}, TypeError, "name must be a string, not None"),
        ({"worker": "fiber"}, ValueError, "worker='fiber' must be 'thread' or 'process'"),
        ({"log_dir": "file"}, OSError, "cannot write the log file"),
        ({"log_dir": "taken"}, OSError, "filename is a folder; name a file in it"),
    ],
)
def test_invalid_argument_of_a_named_logger_is_rejected(
    home: pathlib.Path, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    """The message names the argument, its value and the remedy; no logger is registered."""
    (home / "file").touch()
    (home / "taken" / "myapp_error.log").mkdir(parents=True)
    with pytest.raises(error, match=re.escape(message)):
        get_logger(**{"name": "myapp", "console_output": False, **arguments})

    assert not LoggerManager.has_logger("myapp")
    assert logging.getLogger("myapp").handlers == []

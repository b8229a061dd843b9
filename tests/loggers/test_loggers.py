"""The ready-made loggers: the programs that people write with them, their files and formats, and wrong arguments."""

import contextlib
import logging
import os
import pathlib
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

import concurrent_log.loggers
from concurrent_log.background import BackgroundHandler
from concurrent_log.loggers import (
    AsyncLoggerCore,
    AsyncQueueHandler,
    ConsoleLogger,
    FileLogger,
    Logger,
    LoggerInterface,
    LoggerManager,
    LogLevel,
    get_logger,
    register_logger,
    shutdown_all_loggers,
    unregister_logger,
)
from concurrent_log.loggers.levels import TRACE, level_number
from support.paths import PROGRAMS
from support.records import all_lines, files, lines

_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


@pytest.fixture(autouse=True)
def no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no environment ask for colour."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)


@pytest.fixture
def home(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pathlib.Path]:
    """Run the test in a folder of its own, and leave no logger behind."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    shutdown_all_loggers()
    Logger.close()


def run(program: str, *arguments: str, folder: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """Run a program to its end in ``folder``; warnings are errors in it."""
    command = [sys.executable, "-W", "error", str(PROGRAMS / program), *arguments]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=True)


def in_files(folder: pathlib.Path) -> dict[str, list[str]]:
    """Return the messages in each file below ``folder``."""
    return {
        str(path.relative_to(folder)): [line.rpartition(" - ")[2] for line in lines(path) if " - [" in line]
        for path in sorted(folder.rglob("*.log"))
    }


def test_public_names_are_pinned() -> None:
    """P6: a public name comes or goes only together with this list."""
    assert concurrent_log.loggers.__all__ == [
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


# The programs that people write


def test_loggers_by_name(tmp_path: pathlib.Path) -> None:
    """Each has a file for everything and one for errors, and all are on the console."""
    done = run("named_loggers.py", folder=tmp_path)
    errors = ["에러 발생", "예외 발생!"]

    assert in_files(tmp_path / "logs") == {
        "module1/module1.log": ["모듈1 로그"],
        "module1/module1_error.log": [],
        "module2/module2.log": ["모듈2 로그"],
        "module2/module2_error.log": [],
        "myapp.log": ["애플리케이션 시작", "경고 메시지", *errors],
        "myapp_error.log": errors,
    }
    assert lines(tmp_path / "logs/myapp_error.log")[-1] == "ZeroDivisionError: division by zero"
    told = done.stdout.splitlines()
    assert told[0] == "로거가 이미 등록되어 있습니다"
    assert [line.partition(":")[0] for line in told[1:]] == ["myapp", "module1", "module2"]
    assert all("level='INFO'" in line and "dropped=0" in line for line in told[1:])
    assert sorted(re.findall(r"\[named_loggers\.py:\d+\] (.*)", done.stderr)) == sorted(
        ["애플리케이션 시작", "경고 메시지", *errors, "모듈1 로그", "모듈2 로그"]
    )


def test_logger_made_by_hand(tmp_path: pathlib.Path) -> None:
    """P1: the end of the program writes what is waiting, without being asked."""
    done = run("manual_logger.py", folder=tmp_path)

    assert in_files(tmp_path / "logs") == {
        "app.log": ["함수 안에서"],
        "app_error.log": [],
        "custom/custom.log": ["디버그 로그"],
        "custom/custom_error.log": [],
    }
    (shown,) = [line for line in done.stderr.splitlines() if " app - " in line]
    assert re.fullmatch(rf"{_TIME} \[INFO    \] app - \[manual_logger\.py:33\] 함수 안에서", shown)
    path = re.escape(str(PROGRAMS / "manual_logger.py"))
    form = rf"{_TIME} \[INFO    \] app - \[{path}:33 in main\(\)\] - 함수 안에서"
    assert re.fullmatch(form, lines(tmp_path / "logs/app.log")[0])


def test_one_logger_for_an_application(tmp_path: pathlib.Path) -> None:
    """The façade does nothing before it is told where to, and then does it with the caller's file and line."""
    done = run("one_logger.py", folder=tmp_path)
    (file,) = (tmp_path / "logs").glob("base_web_server_*_001_KST.log")
    told = done.stdout.splitlines()

    assert in_files(tmp_path) == {
        f"logs/{file.name}": ["운영 로그 기록", "경고 메시지", "오류 로그", "로거가 정상 동작 중", "보임"],
        told[1].partition(f"{tmp_path}/")[2]: [],
    }
    first = rf"{_TIME} \[INFO    \] base_web_server - \[.*one_logger\.py:27 in <module>\(\)\] - 운영 로그 기록"
    assert re.fullmatch(first, lines(file)[0])
    assert told[0] == "로거가 초기화되지 않음"
    assert re.fullmatch(rf"현재 로그 파일: {re.escape(str(tmp_path))}/logs/test_.*_001_UTC\.log", told[1])
    assert told[2:4] == [f"로그 디렉토리: {tmp_path}/logs", "최대 파일 크기: 1048576 bytes"]
    assert told[4].endswith("_002_UTC.log")
    assert len(done.stderr.splitlines()) == 3 + 5


@pytest.mark.parametrize("worker", ["thread", "process"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.skipif(sys.platform == "win32", reason="has only spawn")
def test_processes_share_the_files(tmp_path: pathlib.Path, method: str, worker: str) -> None:
    """P1: each record of each process is there once, and no file reaches its size."""
    run("pool_of_loggers.py", method, worker, folder=tmp_path)
    tasks = [*range(8), *([100] if method == "fork" else [])]
    expected = Counter(f"{task}-{number}" for task in tasks for number in range(100))
    errors = Counter(f"{task}-{-number}" for task in tasks for number in (0, 50))
    found: dict[str, Counter[str]] = {"pool.log": Counter(), "pool_error.log": Counter(), "Pool_": Counter()}
    for path in [*(tmp_path / "logs").iterdir(), *(tmp_path / "log").iterdir()]:
        for name, count in found.items():
            if path.name.startswith(name):
                count.update(line.rpartition(" - ")[2] for line in lines(path))

    assert found["pool.log"] == expected + errors
    assert found["pool_error.log"] == errors
    assert found["Pool_"] == expected
    assert all(path.stat().st_size < 5120 for path in (tmp_path / "log").glob("Pool*"))
    assert all(path.stat().st_size < 5000 for path in (tmp_path / "logs").glob("pool*"))


def test_import_is_light(tmp_path: pathlib.Path) -> None:
    """Importing the loggers starts no thread, and imports none of the extras; neither does making some."""
    program = (
        "import sys, threading\n"
        "from concurrent_log.loggers import ConsoleLogger, FileLogger, get_logger\n"
        "get_logger('light'), FileLogger(), ConsoleLogger()\n"
        "assert threading.active_count() == 1\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names))"
    )
    command = [sys.executable, "-I", "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert "portalocker" in done.stdout.split()
    assert not {"rich", "colorama", "pytest"} & set(done.stdout.split())


# What people expect of logging


def test_logger_is_the_standard_one(home: pathlib.Path) -> None:
    """Whatever asks logging for the name gets the same logger."""
    log = get_logger("myapp", console_output=False)

    assert log is logging.getLogger("myapp")
    assert log.propagate
    assert [type(handler) for handler in log.handlers] == [BackgroundHandler]
    assert AsyncQueueHandler is BackgroundHandler


def test_pytest_sees_the_records(home: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    """A test may look at records with caplog, of both kinds of loggers."""
    get_logger("myapp", console_output=False).info("by name %d", 1)
    Logger.init(FileLogger(use_console=False))
    Logger.fatal("of the application")

    assert [(record.name, record.levelno, record.getMessage()) for record in caplog.records] == [
        ("myapp", logging.INFO, "by name 1"),
        ("App", logging.CRITICAL, "of the application"),
    ]
    assert {record.filename for record in caplog.records} == {"test_loggers.py"}
    assert {record.funcName for record in caplog.records} == {"test_pytest_sees_the_records"}


def test_level_filter_and_propagation_are_those_of_the_logger(home: pathlib.Path) -> None:
    """What a program sets on the standard logger counts."""
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


def test_record_is_on_the_console_once(capsys: pytest.CaptureFixture[str], home: pathlib.Path) -> None:
    """A logger below another one writes to its own outputs, and one without any to those above it."""
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
    """P1: a record that some queue brings need not have the logger's name."""
    log = get_logger("myapp", console_output=False)
    for name in ("elsewhere", "", None, "myapp.below"):
        log.handle(logging.makeLogRecord({"name": name, "levelno": logging.INFO, "msg": "handed over"}))
    shutdown_all_loggers()

    assert len(lines(home / "logs/myapp.log")) == 4


def test_adapter_passes_everything_on(home: pathlib.Path) -> None:
    """The core has the methods of a standard logger, with their extras and their callers."""
    core = AsyncLoggerCore("custom", console_output=False, log_level=logging.DEBUG)
    seen = []
    core.logger.addFilter(lambda record: bool(seen.append(record)) or True)
    core.info("with %s", "extra", extra={"customer": 7})
    with contextlib.suppress(ZeroDivisionError):
        try:
            _ = 1 / 0
        finally:
            core.exception("failed")
    core.log(TRACE, "below the level")
    core.logger.filters.clear()
    core.close()

    assert [record.getMessage() for record in seen] == ["with extra", "failed"]
    assert seen[0].customer == 7
    assert {(record.filename, record.funcName) for record in seen} == {
        ("test_loggers.py", "test_adapter_passes_everything_on")
    }
    assert lines(home / "logs/custom_error.log")[-1] == "ZeroDivisionError: division by zero"


# The registry


def test_logger_is_reused(home: pathlib.Path) -> None:
    """By default the second call changes nothing; with reuse=False it begins anew."""
    first = get_logger("myapp", console_output=False)
    assert get_logger("myapp", log_dir="elsewhere") is first
    first.info("here")
    get_logger("myapp", log_dir="elsewhere", console_output=False, reuse=False).info("there")
    first.info("there, too")
    shutdown_all_loggers()

    assert in_files(home)["logs/myapp.log"] == ["here"]
    assert in_files(home)["elsewhere/myapp.log"] == ["there", "there, too"]


def test_second_core_takes_the_place_of_the_first(home: pathlib.Path) -> None:
    """P1: nothing stands twice."""
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


def test_registry_knows_what_is_registered(home: pathlib.Path) -> None:
    """A core that was made by hand is found, replaced and closed like any other."""
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
    """They say what a person wants to know of a running program."""
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


def test_threads_get_one_logger(home: pathlib.Path) -> None:
    """P1: threads that ask at once get the same logger, with one handler."""
    begin = threading.Barrier(8)

    def ask() -> None:
        begin.wait()
        get_logger("myapp", console_output=False).info("here")

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shutdown_all_loggers()

    assert in_files(home)["logs/myapp.log"] == ["here"] * 8


def test_closed_logger_can_be_made_again(home: pathlib.Path) -> None:
    """The files go on."""
    for text in ("before", "after"):
        get_logger("myapp", console_output=False).info(text)
        shutdown_all_loggers()

    assert in_files(home)["logs/myapp.log"] == ["before", "after"]


def test_logger_without_outputs_is_silent(capsys: pytest.CaptureFixture[str], home: pathlib.Path) -> None:
    """Neither a file nor a line on the console, also for what logging itself would print as a last resort."""
    log = get_logger("myapp", console_output=False, file_output=False)
    log.propagate = False
    log.error("nowhere")
    shutdown_all_loggers()
    log.propagate = True

    assert capsys.readouterr().err == ""
    assert list(home.iterdir()) == []


def test_file_ends_by_size(home: pathlib.Path) -> None:
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


# The application's logger


class Remembering(LoggerInterface):
    """A logger of the program's own, with no more methods than it must have."""

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


def test_program_may_have_a_logger_of_its_own() -> None:
    """What the interface does not ask for goes to the nearest method."""
    logger = Remembering()
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
def test_level_shows_what_is_as_severe(capsys: pytest.CaptureFixture[str], level: LogLevel) -> None:
    """INFO is less severe than WARN, as everywhere in logging."""
    order = ["fatal", "error", "warn", "info", "debug", "trace"]
    logger = ConsoleLogger(level)
    for name in order:
        getattr(logger, name)(name)
    logger.close()
    shown = [line.rpartition("] ")[2] for line in capsys.readouterr().err.splitlines()]

    assert shown == order[: order.index(level.name.lower()) + 1] if level is not LogLevel.ALL else shown == order


def test_level_may_be_changed_at_any_time(capsys: pytest.CaptureFixture[str]) -> None:
    """Also after a record was asked for that was not shown."""
    logger = ConsoleLogger("info")
    Logger.init(logger)
    for level in ("INFO", LogLevel.DEBUG, logging.INFO, "trace"):
        Logger.set_level(level)
        Logger.debug(f"{level}")
    Logger.close()

    assert [line.rpartition("] ")[2] for line in capsys.readouterr().err.splitlines()] == ["DEBUG", "trace"]


def test_text_is_logged_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """A percent sign is no placeholder."""
    logger = ConsoleLogger()
    logger.info("100% of {this} and %s")
    logger.close()

    assert capsys.readouterr().err.endswith("] 100% of {this} and %s\n")


def test_times_are_those_of_the_zone(home: pathlib.Path) -> None:
    """P2: a line's time and its file's day are told by one clock."""
    logger = FileLogger(use_console=False, timezone="KST")
    record = logging.LogRecord("App", logging.INFO, __file__, 1, "new year", None, None)
    record.created = 1735657200.0  # 15:00 in UTC
    logger.logger.handle(record)
    logger.close()

    (line,) = files(home / "log")["App_2025-01-01_001_KST.log"]
    assert line.startswith("2025-01-01 00:00:00 [")


def test_file_loggers_of_one_prefix_are_two(home: pathlib.Path) -> None:
    """Neither writes into the other's folder, and dots in a prefix mean nothing."""
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


def test_days_beyond_the_count_are_deleted(home: pathlib.Path) -> None:
    """P3: the count is that of the dated handler."""
    (home / "log").mkdir()
    for day in ("2025-01-01", "2025-01-02", "2025-01-03"):
        (home / "log" / f"App_{day}_001_UTC.log").touch()
    logger = FileLogger(use_console=False, backup_count=1)
    logger.info("today")
    logger.close()

    assert len(files(home / "log")) == 2
    assert "App_2025-01-03_001_UTC.log" in files(home / "log")


# Levels


@pytest.mark.parametrize(
    ("level", "number"),
    [
        (LogLevel.FATAL, 50),
        ("critical", 50),
        ("Warning", 30),
        ("WARN", 30),
        ("TRACE", 5),
        ("all", 1),
        (logging.INFO, 20),
        (17, 17),
    ],
)
def test_level_is_a_number_or_a_name(level: int | str, number: int) -> None:
    """In any case, and with the names that logging has, too."""
    assert level_number(level) == number


def test_level_of_the_programs_own_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that was added to logging counts."""
    monkeypatch.setitem(logging._nameToLevel, "NOTICE", 25)  # what addLevelName does, for the time of this test

    assert level_number("NOTICE") == 25
    assert logging.getLevelName(TRACE) == "TRACE"


def test_level_is_printed_by_its_name() -> None:
    """On every Python alike; it is a number all the same."""
    assert f"{LogLevel.INFO} {LogLevel.WARN:>6} {LogLevel.WARN:d} {LogLevel.TRACE!s}" == "INFO   WARN 30 TRACE"
    assert LogLevel.INFO == logging.INFO
    assert LogLevel["WARNING"] is LogLevel.WARN
    assert [level.name for level in LogLevel] == ["FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE", "ALL"]


# Wrong arguments


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"log_level": "LOUD"}, ValueError, "log_level='LOUD' is unknown: use FATAL, ERROR, WARN, INFO, DEBUG, TRACE"),
        ({"log_level": 0}, ValueError, "log_level=0 must be above 0"),
        ({"log_level": None}, TypeError, "log_level must be a level such as logging.INFO or 'INFO', not None"),
        ({"log_level": True}, TypeError, "log_level must be a level"),
        ({"max_bytes": -1}, ValueError, "maxBytes=-1 must not be negative"),
        ({"max_bytes": "10MB"}, TypeError, "maxBytes must be a whole number, not '10MB'"),
        ({"backup_count": -1}, ValueError, "backupCount=-1 must not be negative"),
        ({"name": ""}, ValueError, "name='' must be a valid file name"),
        ({"name": "../myapp"}, ValueError, "name='../myapp' must be a valid file name; pass the folder"),
        ({"name": None}, TypeError, "name must be a string, not None"),
        ({"worker": "fiber"}, ValueError, "worker='fiber' must be 'thread' or 'process'"),
        ({"log_dir": "file"}, OSError, "cannot write the log file"),
        ({"log_dir": "taken"}, OSError, "filename is a folder; name a file in it"),
    ],
)
def test_named_logger_refuses(
    home: pathlib.Path, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    """The message names the argument, the value and the remedy, and nothing is registered."""
    (home / "file").touch()
    (home / "taken" / "myapp_error.log").mkdir(parents=True)
    with pytest.raises(error, match=re.escape(message)):
        get_logger(**{"name": "myapp", "console_output": False, **arguments})

    assert not LoggerManager.has_logger("myapp")
    assert logging.getLogger("myapp").handlers == []


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
def test_file_logger_refuses(
    home: pathlib.Path, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    """The message names the argument, the value and the remedy."""
    (home / "file").touch()
    with pytest.raises(error, match=re.escape(message)):
        FileLogger(**{"use_console": False, **arguments})

    assert logging.getLogger("App").handlers == []


def test_level_that_is_unknown_is_refused_later_too(home: pathlib.Path) -> None:
    """P4: the mistake is in the program, and is said where it is made."""
    logger = ConsoleLogger()
    with pytest.raises(ValueError, match="log_level='LOUD' is unknown"):
        logger.set_level("LOUD")
    logger.close()
    with pytest.raises(ValueError, match="log_level='LOUD' is unknown"):
        ConsoleLogger("LOUD")

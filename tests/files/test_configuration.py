"""Programs that configure logging in the standard ways: dictConfig and fileConfig, once and repeatedly."""

import os
from pathlib import Path

import pytest

from support.processes import run
from support.programs.writing import FORMAT
from support.record_counter import assert_exactly_once, assert_in_order, backups, read_back, records_of

_IN_FULL = "concurrent_log.ConcurrentTimedRotatingFileHandler"
_REGISTERED = "logging.handlers.ConcurrentTimedRotatingFileHandler"
_SHORT = "handlers.ConcurrentTimedRotatingFileHandler"

_DICT_CONFIG = """
import logging.config, sys, writing
handler = {**writing.CONFIGURATION["handlers"]["file"], "class": sys.argv[1]}
logging.config.dictConfig({**writing.CONFIGURATION, "handlers": {"file": handler}})
writing.log_past_seconds("a")
"""

_FILE_CONFIG = """
import logging.config, sys, writing
logging.config.fileConfig("logging.ini", disable_existing_loggers=False)
writing.log_past_seconds("a")
"""

_INI = """
[loggers]
keys=root,app
[handlers]
keys=file
[formatters]
keys=line
[logger_root]
handlers=
[logger_app]
level=INFO
qualname=app
handlers=file
[handler_file]
class={handler}
formatter=line
args=("app.log", "S", 1, 7, "utf-8")
kwargs={{"utc": True}}
[formatter_line]
format={format}
"""


def _check_past_seconds(folder: Path) -> None:
    records = read_back(folder / "app.log")

    assert_exactly_once(records, {f"a-{number}" for number in range(6)})
    assert_in_order(records)
    assert len(backups(folder / "app.log")) == 2


@pytest.mark.parametrize(("first", "handler"), [("", _IN_FULL), ("import concurrent_log\n", _REGISTERED)])
def test_dict_config_finds_the_class(tmp_path: Path, first: str, handler: str) -> None:
    """P6: a dictConfig uses the full name without an import, or the name in logging.handlers after an import."""
    run(tmp_path, "-c", first + _DICT_CONFIG, handler)

    _check_past_seconds(tmp_path)


@pytest.mark.parametrize(
    ("first", "handler"),
    [("", _IN_FULL), ("import concurrent_log\n", _REGISTERED), ("import concurrent_log\n", _SHORT)],
)
def test_file_config_finds_the_class(tmp_path: Path, first: str, handler: str) -> None:
    """P6: an ini file uses the full name, or after an import the names of standard classes."""
    (tmp_path / "logging.ini").write_text(_INI.format(handler=handler, format=FORMAT), encoding="utf-8")

    run(tmp_path, "-c", first + _FILE_CONFIG)

    _check_past_seconds(tmp_path)


def test_dict_config_sets_attributes_before_the_first_rollover(tmp_path: Path) -> None:
    """P6: a suffix from the configuration applies to every backup, including that of a file from an earlier run."""
    run(tmp_path, "-c", "import writing; writing.configure(); writing.log_past_seconds('a')")
    program = """
import concurrent_log, logging.config, writing
writing.CONFIGURATION["handlers"]["file"]["."] = {"suffix": "%Y%m%d%H%M%S"}
writing.configure()
logging.getLogger("app").info("record b-0  0")
"""

    run(tmp_path, "-c", program)

    assert [record.id for record in records_of(tmp_path / "app.log")] == ["b-0"]
    newest = next(path for path in backups(tmp_path / "app.log") if "-" not in path.name)
    assert [record.id for record in records_of(newest)] == ["a-4", "a-5"]


def test_second_dict_config_closes_the_handlers_of_the_first(tmp_path: Path) -> None:
    """P6: a second configuration closes the old handler, and the new one continues in the same file."""
    program = """
import logging, writing
logger = logging.getLogger("app")
writing.configure()
logger.info("record a-0  0")
old = logger.handlers[0]
writing.configure()
assert old not in logger.handlers and old.stream is None, (old, logger.handlers)
logger.info("record a-1  0")
"""
    run(tmp_path, "-c", program)
    records = read_back(tmp_path / "app.log")

    assert_exactly_once(records, {"a-0", "a-1"})
    assert_in_order(records)


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="this platform does not list open descriptors")
def test_repeated_configuration_leaks_no_descriptor(tmp_path: Path) -> None:
    """P6: a program that reloads its configuration a hundred times has as many descriptors as after the first time."""
    program = """
import logging, os, writing
held = []
for number in range(100):
    writing.configure()
    logging.getLogger("app").info("record a-%d  0", number)
    held.append(len(os.listdir("/dev/fd")))
assert held[0] == held[-1], held
"""
    run(tmp_path, "-c", program)

    assert_exactly_once(read_back(tmp_path / "app.log"), {f"a-{number}" for number in range(100)})


def test_handler_that_outlives_its_configuration_still_writes(tmp_path: Path) -> None:
    """P1: a handler that a second dictConfig closed, and that the program still uses, opens the file again."""
    program = """
import logging, writing
logger = logging.getLogger("app")
writing.configure()
old = logger.handlers[0]
logger.info("record a-0  0")
writing.configure()
logger.addHandler(old)
logger.handlers.remove(next(handler for handler in logger.handlers if handler is not old))
logger.info("record a-1  0")
writing.configure()
logger.info("record a-2  0")
"""
    run(tmp_path, "-c", program)
    records = read_back(tmp_path / "app.log")

    assert_exactly_once(records, {"a-0", "a-1", "a-2"})
    assert_in_order(records)


@pytest.mark.parametrize(("disable", "expected"), [(True, {"a-0"}), (False, {"a-0", "a-1"})])
def test_loggers_are_disabled_as_the_configuration_says(tmp_path: Path, disable: bool, expected: set[str]) -> None:
    """P6: disable_existing_loggers silences an omitted logger, or it keeps the handler, which re-opens the file."""
    program = f"""
import logging.config, writing
writing.configure()
logger = logging.getLogger("app")
logger.info("record a-0  0")
logging.config.dictConfig({{**writing.CONFIGURATION, "disable_existing_loggers": {disable}, "loggers": {{}}}})
logger.info("record a-1  0")
"""
    run(tmp_path, "-c", program)

    assert_exactly_once(read_back(tmp_path / "app.log"), expected)

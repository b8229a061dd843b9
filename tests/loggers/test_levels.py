"""The levels of the ready-made loggers."""

import logging

import pytest

from concurrent_log.loggers import (
    LogLevel,
)
from concurrent_log.loggers.levels import TRACE, level_number


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
    """In upper or lower case, and with the names of `logging`, too."""
    assert level_number(level) == number


def test_level_that_the_program_added_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was added with `logging.addLevelName`."""
    monkeypatch.setitem(logging._nameToLevel, "NOTICE", 25)  # as addLevelName does, but only during this test

    assert level_number("NOTICE") == 25
    assert logging.getLevelName(TRACE) == "TRACE"


def test_level_is_formatted_as_its_name() -> None:
    """On every Python version; it remains a number."""
    assert f"{LogLevel.INFO} {LogLevel.WARN:>6} {LogLevel.WARN:d} {LogLevel.TRACE!s}" == "INFO   WARN 30 TRACE"
    assert LogLevel.INFO == logging.INFO
    assert LogLevel["WARNING"] is LogLevel.WARN
    assert [level.name for level in LogLevel] == ["FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE", "ALL"]

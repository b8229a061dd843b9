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

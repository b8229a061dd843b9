"""Fixtures for the tests of the ready-made loggers."""

import pathlib
from collections.abc import Iterator

import pytest

from concurrent_log.loggers import (
    Logger,
    shutdown_all_loggers,
)


@pytest.fixture(autouse=True)
def no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the environment variable that forces colour."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)


@pytest.fixture
def home(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pathlib.Path]:
    """Run the test in its own folder, and close all loggers after it."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    shutdown_all_loggers()
    Logger.close()

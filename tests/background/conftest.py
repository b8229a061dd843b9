"""Fixtures for the tests of background logging."""

import logging
import logging.config
import logging.handlers
from collections.abc import Iterator
from typing import Any

import pytest

from concurrent_log import BackgroundHandler
from support.background_handlers import Make


@pytest.fixture
def make() -> Iterator[Make]:
    """Return a function that makes handlers, which are closed in the end."""
    made: list[logging.Handler] = []

    def make_one(*handlers: logging.Handler, kind: type[BackgroundHandler] = BackgroundHandler, **options: Any) -> Any:
        handler = kind(list(handlers), **{"stop_timeout": 20.0, **options})
        made.extend([handler, *handlers])
        return handler

    yield make_one
    for handler in made:
        handler.close()


@pytest.fixture
def unconfigured() -> Iterator[None]:
    """Close everything that a configuration made."""
    yield
    logging.config.dictConfig({"version": 1})

"""Fixtures for the tests of background logging."""

import logging
import logging.config
from collections.abc import Iterator
from typing import Any

import pytest

from concurrent_log import BackgroundHandler
from support.background_handlers import Create
from support.deadlines import DEADLINE


@pytest.fixture
def create() -> Iterator[Create]:
    """Return a function that creates a `BackgroundHandler`. All handlers are closed after the test."""
    created: list[logging.Handler] = []

    def create_handler(
        *handlers: logging.Handler, kind: type[BackgroundHandler] = BackgroundHandler, **options: Any
    ) -> Any:
        handler = kind(list(handlers), **{"stop_timeout": DEADLINE, **options})
        created.extend([handler, *handlers])
        return handler

    yield create_handler
    for handler in created:
        handler.close()


@pytest.fixture
def unconfigured() -> Iterator[None]:
    """Remove the logging configuration of the test, which closes its handlers."""
    yield
    logging.config.dictConfig({"version": 1})
    # dictConfig closes the handlers, but the logger keeps them: a record of another test would open the file again.
    logging.getLogger("shop").handlers.clear()

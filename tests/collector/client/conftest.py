"""Collectors for the tests of the clients: they are not the real server, but answer as a test asks them to."""

import time
from collections.abc import Iterator

import pytest

from support.fake_collector import Collector, Request


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Return a running collector, whose URL is in the environment.

    It does not use the `monkeypatch` fixture, which would then undo a test's own patches after all other fixtures.
    """
    server = Collector().start()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("COLLECTOR_URL", server.url)
        yield server
    server.stop()


@pytest.fixture
def slow_collector() -> Iterator[Collector]:
    """Return a running collector that takes its time."""

    def respond(request: Request) -> None:
        time.sleep(0.1)

    server = Collector(behave=respond).start()
    yield server
    server.stop()

"""The awaitable forms of `CollectorHandler` and `AsyncLogClient` in each kind of event loop."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from support.fake_collector import Collector
from support.programs.event_loops import LOOPS, count_turns, run_in
from support.records import write

pytest.importorskip("msgspec")
pytest.importorskip("urllib3")
pytest.importorskip("tenacity")

from concurrent_log.collector import AsyncLogClient, CollectorHandler


class _OfHandler:
    """A handler, used like a client."""

    def __init__(self, url: str) -> None:
        self.handler: logging.Handler = CollectorHandler(url, service="shop")
        self.flush, self.close = self.handler.aflush, self.handler.aclose  # type: ignore[attr-defined]

    def info(self, message: str) -> None:
        """Log through the handler."""
        write(self.handler, message)


def _make_client(url: str) -> AsyncLogClient:
    return AsyncLogClient(url, "shop", env_file=None)


@pytest.mark.parametrize("make", [_OfHandler, _make_client])
@pytest.mark.parametrize("loop", LOOPS)
def test_flush_and_close_let_loop_run(loop: str, make: Callable[[str], Any], slow_collector: Collector) -> None:
    """P8: other tasks run while a task waits for the collector, which stores all records."""
    for module in loop.split(" on "):
        pytest.importorskip(module)
    client = make(slow_collector.url)

    async def log() -> tuple[tuple[int, bool], tuple[int, Any]]:
        client.info("first")
        flushed = await count_turns(_in_coroutine(client.flush))
        client.info("second")
        return flushed, await count_turns(_in_coroutine(client.close))

    (flush_turns, is_flushed), (close_turns, _) = run_in(loop, log)

    assert is_flushed
    assert flush_turns > 10
    assert close_turns > 10
    assert slow_collector.messages == ["first", "second"]


def _in_coroutine(function: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
    async def wait() -> Any:
        return await function()

    return wait


@pytest.mark.parametrize("loop", LOOPS)
def test_client_is_closed_by_async_with(loop: str, slow_collector: Collector) -> None:
    """The end of an ``async with`` statement sends all records."""
    for module in loop.split(" on "):
        pytest.importorskip(module)

    async def log() -> None:
        async with _make_client(slow_collector.url) as client:
            client.info("first")

    run_in(loop, log)

    assert slow_collector.messages == ["first"]

"""Check of any message queue: a text that is published must be received."""

import asyncio
import inspect
import queue
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from concurrent_log.health.checks.probes import (
    TIMEOUT,
    AsyncCheck,
    Check,
    check_timeout,
    make_async_check,
    make_check,
    require_sync,
)
from concurrent_log.health.status import CheckFailed

_NEEDS_ASYNC = "publish and receive must be async def if the queue is async"
_POLL_INTERVAL = 0.02  # seconds


def message_queue(
    publish: Callable[[str], Any | Awaitable[Any]],
    receive: Callable[[], Any | Awaitable[Any]],
    *,
    timeout: float = TIMEOUT,
) -> Check | AsyncCheck:
    """Return a check that publishes a text, and then receives messages until it receives this text.

    Args:
        publish: Puts a text into the queue.
        receive: Returns the next message as text or bytes. None, ``queue.Empty`` or ``asyncio.QueueEmpty`` means that
            there is no message yet. It also removes messages of others, so use a queue that serves only the check.
        timeout: Seconds. A sync ``receive`` must not block for longer.

    Raises:
        TypeError: One of them is not callable, or only one is an ``async def``.
    """
    check_timeout(timeout)
    if not callable(publish) or not callable(receive):
        raise TypeError("publish and receive must be functions")
    if inspect.iscoroutinefunction(publish) != inspect.iscoroutinefunction(receive):
        raise TypeError("publish and receive must both be async def, or neither")

    async def async_probe() -> None:
        text = uuid.uuid4().hex
        await publish(text)
        while not _is_equal(await _receive_async(receive), text):
            await asyncio.sleep(_POLL_INTERVAL)

    def probe() -> None:
        text, deadline = uuid.uuid4().hex, time.monotonic() + timeout
        require_sync(publish(text), _NEEDS_ASYNC)
        while not _is_equal(_receive(receive), text):
            if time.monotonic() > deadline:
                raise CheckFailed("the published message was not received in time")
            time.sleep(_POLL_INTERVAL)

    if inspect.iscoroutinefunction(publish):
        return make_async_check("message_queue", async_probe, timeout)
    return make_check("message_queue", probe)


async def _receive_async(receive: Callable[[], Any]) -> Any:
    try:
        return await receive()
    except asyncio.QueueEmpty:
        return None


def _receive(receive: Callable[[], Any]) -> Any:
    try:
        return require_sync(receive(), _NEEDS_ASYNC)
    except queue.Empty:
        return None


def _is_equal(message: Any, text: str) -> bool:
    return bool((message.decode("utf-8", "replace") if isinstance(message, bytes) else message) == text)

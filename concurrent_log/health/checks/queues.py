"""Whether what goes into a queue comes out of it: any queue, with two functions for its ends."""

import asyncio
import inspect
import queue
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from concurrent_log.health.checks.probes import TIMEOUT, AsyncCheck, Check, async_check_of, check_of, seconds, sync
from concurrent_log.health.status import CheckFailed

_MUST_BE_ASYNC = "publish and receive must be async def where the queue is async"
_PAUSE = 0.02  # seconds before another look into a queue that did not have it


def message_queue(
    publish: Callable[[str], Any | Awaitable[Any]],
    receive: Callable[[], Any | Awaitable[Any]],
    *,
    timeout: float = TIMEOUT,
) -> Check | AsyncCheck:
    """Return a check that puts a text into a queue, and takes out of it what is there until the text comes.

    Args:
        publish: Puts the text in.
        receive: Returns what comes out next, as text or bytes; None, ``queue.Empty`` or ``asyncio.QueueEmpty`` is
            nothing yet. It takes what others have put in as well: let the queue be one for checks only.
        timeout: In seconds. A sync ``receive`` must not wait for longer by itself.

    Raises:
        TypeError: Only one of them is an ``async def``, or one cannot be called.
    """
    seconds(timeout)
    if not callable(publish) or not callable(receive):
        raise TypeError("publish and receive must be functions")
    if inspect.iscoroutinefunction(publish) != inspect.iscoroutinefunction(receive):
        raise TypeError("publish and receive must be async def both, or neither")

    async def async_probe() -> None:
        token = uuid.uuid4().hex
        await publish(token)
        while not _is(token, await _received(receive)):
            await asyncio.sleep(_PAUSE)

    def probe() -> None:
        token, give_up_at = uuid.uuid4().hex, time.monotonic() + timeout
        sync(publish(token), _MUST_BE_ASYNC)
        while not _is(token, _received_now(receive)):
            if time.monotonic() > give_up_at:
                raise CheckFailed("what was put into the queue did not come out of it in time")
            time.sleep(_PAUSE)

    if inspect.iscoroutinefunction(publish):
        return async_check_of("message_queue", async_probe, timeout)
    return check_of("message_queue", probe)


async def _received(receive: Callable[[], Any]) -> Any:
    try:
        return await receive()
    except asyncio.QueueEmpty:
        return None


def _received_now(receive: Callable[[], Any]) -> Any:
    try:
        return sync(receive(), _MUST_BE_ASYNC)
    except queue.Empty:
        return None


def _is(token: str, received: Any) -> bool:
    return bool((received.decode("utf-8", "replace") if isinstance(received, bytes) else received) == token)

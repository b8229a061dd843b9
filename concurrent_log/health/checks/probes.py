"""One try of a check within its time, of which nothing comes out but a short reason.

What a client library raises names hosts, users and databases, and its traceback leads to their values. So it ends in
here, and what is raised in its place is made anew: it has no cause, no context, and no frame of the library.
"""

import asyncio
import contextlib
import inspect
import math
from collections.abc import Callable, Coroutine
from typing import Any

from concurrent_log.health.checks.library_logging import quiet
from concurrent_log.health.failure_reasons import reason
from concurrent_log.health.status import CheckFailed, Degraded

TIMEOUT = 5.0  # seconds

_GOODBYE = 1.0  # seconds

Check = Callable[[], None]
AsyncCheck = Callable[[], Coroutine[Any, Any, None]]


def check_of(name: str, probe: Callable[[], None]) -> Check:
    """Return a check that calls ``probe``, which sees to its time itself; ``name`` is all that its repr says."""

    def check() -> None:
        found = _outcome(probe)
        if found is not None:
            raise found

    check.__name__ = check.__qualname__ = name
    return check


def async_check_of(name: str, probe: AsyncCheck, timeout: float) -> AsyncCheck:
    """Return a check that awaits ``probe`` for ``timeout`` seconds; ``name`` is all that its repr says."""

    async def check() -> None:
        found = await _outcome_within(probe, timeout)
        if found is not None:
            raise found

    check.__name__ = check.__qualname__ = name
    return check


async def leave(goodbye: Coroutine[Any, Any, object]) -> None:
    """Await the end of a connection for a moment, whatever comes of it: the server may have gone."""
    with contextlib.suppress(Exception):
        await asyncio.wait_for(goodbye, _GOODBYE)


def seconds(timeout: float) -> float:
    """Return ``timeout``, if it can be one.

    Raises:
        TypeError: It is not a number.
        ValueError: It is not more than 0, or has no end.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"timeout={timeout!r} must be a number of seconds")
    if not 0 < timeout < math.inf:
        raise ValueError(f"timeout={timeout!r} must be a number of seconds above 0")
    return timeout


def sync(answer: Any, otherwise: str) -> Any:
    """Return what a function of the user's has answered; where that is a coroutine, fail with ``otherwise``."""
    if inspect.iscoroutine(answer):
        answer.close()
        raise CheckFailed(otherwise)
    return answer


def _outcome(probe: Callable[[], None]) -> Exception | None:
    try:
        with quiet():
            probe()
    except Exception as error:
        return _anew(error)
    return None


async def _outcome_within(probe: AsyncCheck, timeout: float) -> Exception | None:
    try:
        with quiet():
            await _ask(probe, timeout)
    except Exception as error:
        return _anew(error)
    return None


async def _ask(probe: AsyncCheck, timeout: float) -> None:
    task = asyncio.ensure_future(probe())
    try:
        await asyncio.wait([task], timeout=timeout)
        if not task.done():
            raise TimeoutError
        task.result()
    finally:
        await _end(task)


async def _end(task: "asyncio.Task[None]") -> None:
    """Cancel a task until it ends: at some moments, redis 8 goes on as if nothing had been said."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=2 * _GOODBYE)
    if not task.cancelled():
        task.exception()  # Else asyncio complains, in the words of the library, that nobody has looked.


def _anew(error: Exception) -> Exception:
    if isinstance(error, Degraded):
        return Degraded(*error.args)
    if isinstance(error, CheckFailed):
        return CheckFailed(*error.args)
    return CheckFailed(reason(error))

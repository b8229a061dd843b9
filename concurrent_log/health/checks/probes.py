"""Turns a probe, which may raise anything, into a check that raises only short reasons.

The exceptions of client libraries name hosts, users and databases, and their tracebacks lead to these values. A check
therefore raises a new exception in their place, which has no cause, no context and no frame of the library.
"""

import asyncio
import contextlib
import inspect
import math
from collections.abc import Callable, Coroutine
from typing import Any

from concurrent_log.health.checks.muted_libraries import muted
from concurrent_log.health.failure_reasons import failure_reason
from concurrent_log.health.status import CheckFailed, Degraded

TIMEOUT = 5.0  # seconds

_CLOSE_TIMEOUT = 1.0  # seconds

Check = Callable[[], None]
AsyncCheck = Callable[[], Coroutine[Any, Any, None]]


def make_check(name: str, probe: Callable[[], None]) -> Check:
    """Return a check that calls ``probe``, which limits its own duration. The check's repr shows only ``name``."""

    def check() -> None:
        error = _run(probe)
        if error is not None:
            raise error

    check.__name__ = check.__qualname__ = name
    return check


def make_async_check(name: str, probe: AsyncCheck, timeout: float) -> AsyncCheck:
    """Return a check that awaits ``probe`` for up to ``timeout`` seconds. The check's repr shows only ``name``."""

    async def check() -> None:
        error = await _run_async(probe, timeout)
        if error is not None:
            raise error

    check.__name__ = check.__qualname__ = name
    return check


async def close_connection(close: Coroutine[Any, Any, object]) -> None:
    """Await ``close`` for a short time, and ignore its errors: the server may be unreachable."""
    with contextlib.suppress(Exception):
        await asyncio.wait_for(close, _CLOSE_TIMEOUT)


def check_timeout(timeout: float) -> float:
    """Return ``timeout``, validated.

    Raises:
        TypeError: It is not a number.
        ValueError: It is not a finite number above 0.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"timeout={timeout!r} must be a number of seconds")
    if not 0 < timeout < math.inf:
        raise ValueError(f"timeout={timeout!r} must be a number of seconds above 0")
    return timeout


def require_sync(result: Any, message: str) -> Any:
    """Return the result of a function of the user; raise `CheckFailed` with ``message`` if it is a coroutine."""
    if inspect.iscoroutine(result):
        result.close()
        raise CheckFailed(message)
    return result


def _run(probe: Callable[[], None]) -> Exception | None:
    try:
        with muted():
            probe()
    except Exception as error:
        return _sanitized(error)
    return None


async def _run_async(probe: AsyncCheck, timeout: float) -> Exception | None:
    try:
        with muted():
            await _run_within(probe, timeout)
    except Exception as error:
        return _sanitized(error)
    return None


async def _run_within(probe: AsyncCheck, timeout: float) -> None:
    task = asyncio.ensure_future(probe())
    try:
        await asyncio.wait([task], timeout=timeout)
        if not task.done():
            raise TimeoutError
        task.result()
    finally:
        await _cancel(task)


async def _cancel(task: "asyncio.Task[None]") -> None:
    """Cancel a task repeatedly until it ends: at some points, redis 8 swallows a cancellation and continues."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=2 * _CLOSE_TIMEOUT)
    if not task.cancelled():
        task.exception()  # Retrieved, because asyncio would log the library's message of an exception that was not.


def _sanitized(error: Exception) -> Exception:
    """Return a new exception with the message of a check's own exception, or with the reason of another one."""
    if isinstance(error, Degraded):
        return Degraded(*error.args)
    if isinstance(error, CheckFailed):
        return CheckFailed(*error.args)
    return CheckFailed(failure_reason(error))

"""Checks of locks: each acquires a lock and releases it."""

import inspect
import os
from collections.abc import Callable
from os import PathLike
from typing import Any

import portalocker

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

_HELD = "the lock is already held"
_NEEDS_ASYNC = "a function that creates an async lock must be async def"


def lock(lock: Any, *, timeout: float = TIMEOUT) -> Check | AsyncCheck:
    """Return a check that acquires a lock and releases it.

    Args:
        lock: An object with ``acquire`` and ``release``, both sync or both async, or a function that creates one for
            each check. The function must be async if the lock is.
        timeout: Seconds. A sync lock receives it as the argument ``timeout`` or ``blocking_timeout`` if it has one.

    Raises:
        TypeError: ``lock`` is neither a lock nor a function.
    """
    check_timeout(timeout)
    is_lock = hasattr(lock, "acquire") and not isinstance(lock, type)
    if not is_lock and not callable(lock):
        raise TypeError(
            f"lock must have acquire() and release(), or be a function that creates a lock, not {type(lock).__name__}"
        )

    async def async_probe() -> None:
        checked = lock if is_lock else await lock()
        if await checked.acquire() is False:
            raise CheckFailed(_HELD)
        await checked.release() if inspect.iscoroutinefunction(checked.release) else checked.release()

    def probe() -> None:
        checked = lock if is_lock else lock()
        if require_sync(checked.acquire(**_timeout_arguments(checked.acquire, timeout)), _NEEDS_ASYNC) is False:
            raise CheckFailed(_HELD)
        checked.release()

    if inspect.iscoroutinefunction(lock.acquire if is_lock else lock):
        return make_async_check("lock", async_probe, timeout)
    return make_check("lock", probe)


def file_lock(path: "str | PathLike[str]", *, timeout: float = TIMEOUT) -> Check:
    """Return a check that locks a file and unlocks it. The file is created if it does not exist."""
    check_timeout(timeout)
    name = os.fspath(path)

    def probe() -> None:
        with portalocker.Lock(name, "a", timeout=timeout):
            pass

    return make_check("file_lock", probe)


def _timeout_arguments(acquire: Callable[..., Any], timeout: float) -> dict[str, float]:
    try:
        known = set(inspect.signature(acquire).parameters)
    except ValueError:  # threading.Lock.acquire is built-in and has no signature.
        known = {"timeout"}
    return {name: timeout for name in ("timeout", "blocking_timeout") if name in known}

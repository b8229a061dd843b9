"""Whether a lock can be taken and released: any lock, or a lock file."""

import inspect
import os
from collections.abc import Callable
from os import PathLike
from typing import Any

import portalocker

from concurrent_log.health.checks.probes import TIMEOUT, AsyncCheck, Check, async_check_of, check_of, seconds, sync
from concurrent_log.health.status import CheckFailed

_HELD = "the lock is held by another"
_MUST_BE_ASYNC = "a function that makes an async lock must be async def"


def lock(lock: Any, *, timeout: float = TIMEOUT) -> Check | AsyncCheck:
    """Return a check that takes a lock and releases it.

    Args:
        lock: Anything with ``acquire`` and ``release``, both sync or both async, or a function that makes one for each
            check, which must be an async one if the lock is.
        timeout: In seconds. A sync lock gets it as ``timeout`` or ``blocking_timeout``, whichever it takes.

    Raises:
        TypeError: It is neither.
    """
    seconds(timeout)
    is_lock = hasattr(lock, "acquire") and not isinstance(lock, type)
    if not is_lock and not callable(lock):
        raise TypeError(f"lock must have acquire() and release(), or make what has them, not {type(lock).__name__}")

    async def async_probe() -> None:
        held = lock if is_lock else await lock()
        if await held.acquire() is False:
            raise CheckFailed(_HELD)
        await held.release() if inspect.iscoroutinefunction(held.release) else held.release()

    def probe() -> None:
        held = lock if is_lock else lock()
        if sync(held.acquire(**_limits(held.acquire, timeout)), _MUST_BE_ASYNC) is False:
            raise CheckFailed(_HELD)
        held.release()

    if inspect.iscoroutinefunction(lock.acquire if is_lock else lock):
        return async_check_of("lock", async_probe, timeout)
    return check_of("lock", probe)


def file_lock(path: "str | PathLike[str]", *, timeout: float = TIMEOUT) -> Check:
    """Return a check that locks a file, which is made if it is not there, and unlocks it."""
    seconds(timeout)
    name = os.fspath(path)

    def probe() -> None:
        with portalocker.Lock(name, "a", timeout=timeout):
            pass

    return check_of("file_lock", probe)


def _limits(acquire: Callable[..., Any], timeout: float) -> dict[str, float]:
    try:
        known = set(inspect.signature(acquire).parameters)
    except ValueError:  # that of threading.Lock, which is built in
        known = {"timeout"}
    return {name: timeout for name in ("timeout", "blocking_timeout") if name in known}

"""Asking checks, and looking whether what they say gives anything away."""

import asyncio
import inspect
import logging
import time
import traceback
from collections.abc import Callable
from typing import Any

from concurrent_log.health.status import CheckFailed, Degraded

_DEADLINE = 60.0  # seconds for tasks that only have to end
_ADDRESSES = ("127.0.0.1", "localhost", "::1")

Check = Callable[[], Any]


def ask(check: Check) -> None:
    """Let a check run, and see that it leaves no task behind."""
    if inspect.iscoroutinefunction(check):
        asyncio.run(_ask(check))
    else:
        check()


async def _ask(check: Check) -> None:
    try:
        await check()
    finally:
        give_up_at = time.monotonic() + _DEADLINE
        while len(asyncio.all_tasks()) > 1:
            assert time.monotonic() < give_up_at, asyncio.all_tasks()
            await asyncio.sleep(0.01)


def failure(check: Check, *secrets: object) -> str:
    """Return what a check says that must fail; neither that nor a log may have a secret or an address."""
    return _said(check, CheckFailed, secrets)


def warning(check: Check, *secrets: object) -> str:
    """Return of what a check warns, in the same way."""
    return _said(check, Degraded, secrets)


def _said(check: Check, kind: type[Exception], secrets: tuple[object, ...]) -> str:
    with Records() as records:
        try:
            ask(check)
        except kind as error:
            found = error
        else:
            raise AssertionError(f"{check!r} found nothing wrong")
    # The first frames are those of the tests, whose variables have the secrets in them.
    steps = found.__traceback__
    while steps is not None and steps.tb_frame.f_code.co_filename.startswith(__file__):
        steps = steps.tb_next
    shown = traceback.TracebackException(type(found), found, steps, capture_locals=True).format()
    told = "\n".join([repr(found), repr(check), *shown, *records.lines])

    assert found.__context__ is None
    assert [secret for secret in (*_ADDRESSES, *map(str, secrets)) if secret in told] == [], told
    return str(found)


class Records(logging.Handler):
    """Collects the lines of all records from WARNING on that are logged within."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line."""
        self.lines.append(self.format(record))

    def __enter__(self) -> "Records":
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *reason: object) -> None:
        logging.getLogger().removeHandler(self)

"""Runs checks and asserts that their errors reveal no addresses or secrets."""

import asyncio
import inspect
import logging
import time
import traceback
from collections.abc import Callable
from typing import Any

from concurrent_log.health.status import CheckFailed, Degraded
from support.deadlines import DEADLINE

_ADDRESSES = ("127.0.0.1", "localhost", "::1")

Check = Callable[[], Any]


def run_check(check: Check) -> None:
    """Run a check, and assert that it leaves no task behind."""
    if inspect.iscoroutinefunction(check):
        asyncio.run(_run_async(check))
    else:
        check()


async def _run_async(check: Check) -> None:
    try:
        await check()
    finally:
        give_up_at = time.monotonic() + DEADLINE
        while len(asyncio.all_tasks()) > 1:
            assert time.monotonic() < give_up_at, asyncio.all_tasks()
            await asyncio.sleep(0.01)


def failure(check: Check, *secrets: object) -> str:
    """Return the message of a check that must fail. Neither that nor the log may contain a secret or an address."""
    return _message(check, CheckFailed, secrets)


def warning(check: Check, *secrets: object) -> str:
    """Return the message of a check that must raise `Degraded`, with the same assertions."""
    return _message(check, Degraded, secrets)


def _message(check: Check, kind: type[Exception], secrets: tuple[object, ...]) -> str:
    with WarningRecords() as records:
        try:
            run_check(check)
        except kind as error:
            found = error
        else:
            raise AssertionError(f"{check!r} did not raise {kind.__name__}")
    # The first frames are those of the tests, whose variables contain the secrets.
    steps = found.__traceback__
    while steps is not None and steps.tb_frame.f_code.co_filename.startswith(__file__):
        steps = steps.tb_next
    shown = traceback.TracebackException(type(found), found, steps, capture_locals=True).format()
    output = "\n".join([repr(found), repr(check), *shown, *records.lines])

    assert found.__context__ is None
    assert [secret for secret in (*_ADDRESSES, *map(str, secrets)) if secret in output] == [], output
    return str(found)


class WarningRecords(logging.Handler):
    """Stores the lines of all records of level WARNING or above that are logged in the ``with`` block."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Store the line."""
        self.lines.append(self.format(record))

    def __enter__(self) -> "WarningRecords":
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *reason: object) -> None:
        logging.getLogger().removeHandler(self)

"""`BackgroundHandler.aflush` and `aclose` in each kind of event loop."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from concurrent_log.background import BackgroundHandler
from support.deadlines import DEADLINE
from support.programs.event_loops import LOOPS, count_turns, run_in
from support.records import lines, write


@pytest.fixture
def target(tmp_path: Path) -> "Iterator[_Blocked]":
    """Return a handler of a slow disk."""
    with contextlib.closing(_Blocked(tmp_path / "app.log")) as handler:
        yield handler


class _Blocked(logging.FileHandler):
    """Writes each record only after ``is_released`` is set, or after a while."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.is_released = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Write, after a time in which the event loop has many turns."""
        self.is_released.wait(0.1)
        super().emit(record)


@pytest.mark.parametrize("loop", LOOPS)
def test_aflush_and_aclose_let_loop_run(loop: str, target: "_Blocked", tmp_path: Path) -> None:
    """P8: other tasks run while a task waits for a slow disk, and all records are written."""
    for module in loop.split(" on "):
        pytest.importorskip(module)
    handler = BackgroundHandler([target])

    async def log() -> tuple[tuple[int, bool], tuple[int, None]]:
        write(handler, "first")
        flushed = await count_turns(handler.aflush)
        write(handler, "second")
        return flushed, await count_turns(handler.aclose)

    (flush_turns, is_flushed), (close_turns, _) = run_in(loop, log)

    assert is_flushed
    assert flush_turns > 10
    assert close_turns > 10
    assert lines(tmp_path / "app.log") == ["first", "second"]


@pytest.mark.parametrize("loop", LOOPS)
def test_task_that_is_cancelled_does_not_stop_the_close(loop: str, target: "_Blocked", tmp_path: Path) -> None:
    """P1: a shutdown with a time limit, shorter than the disk needs, loses no record."""
    import anyio

    for module in loop.split(" on "):
        pytest.importorskip(module)
    handler = BackgroundHandler([target])

    async def log() -> bool:
        for number in range(20):
            write(handler, str(number))
        with anyio.move_on_after(0.01) as scope:
            await handler.aclose()
        target.is_released.set()
        return scope.cancelled_caught

    is_cancelled = run_in(loop, log)
    handler.close()

    assert is_cancelled
    assert lines(tmp_path / "app.log") == [str(number) for number in range(20)]


def test_aflush_reports_that_time_was_not_enough(target: "_Blocked") -> None:
    """The result is that of `flush`."""
    handler = BackgroundHandler([target])

    async def log() -> tuple[bool, bool]:
        write(handler, "first")
        return await handler.aflush(0.01), await handler.aflush(DEADLINE)

    assert asyncio.run(log()) == (False, True)


def test_aclose_without_a_loop(target: "_Blocked", tmp_path: Path) -> None:
    """A coroutine that no event loop runs does its work at once."""
    handler = BackgroundHandler([target])
    write(handler, "first")
    coroutine = handler.aclose()

    with pytest.raises(StopIteration):
        coroutine.send(None)

    assert lines(tmp_path / "app.log") == ["first"]

"""The engine alone, with a task that collects numbers: start, stop, forks, locks, and interruptions anywhere."""

import contextlib
import gc
import logging
import os
import pickle
import queue
import random
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from concurrent_log.background.engine import Engine
from concurrent_log.internal import lifecycle
from support.deadlines import DEADLINE
from support.processes import wait_until

_STOP_TIMEOUT = 60.0  # seconds; no test waits that long


class _Collect:
    """A `BackgroundTask` that appends each queued item to ``done``. While its gate is closed, it blocks in an item."""

    park_timeout = float("inf")
    is_ordered = True

    def __init__(self) -> None:
        self.items: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.done: list[Any] = []
        self.threads: set[int] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.releases = 0
        self.lock = threading.RLock()
        self.stop_barrier: Any = None
        self.queued = 0

    def step(self) -> bool:
        barrier = self.stop_barrier
        with contextlib.suppress(queue.Empty):
            self._do(self.items.get(block=barrier is None))
        return barrier is None or not barrier.is_set()

    def drain(self) -> None:
        while not self.items.empty():
            self._do(self.items.get_nowait())

    def _do(self, item: Any) -> None:
        if isinstance(item, threading.Event):
            item.set()
        elif item is not None:
            self.entered.set()
            self.gate.wait()
            self.threads.add(threading.get_ident())
            self.done.append(item)

    def interrupt(self) -> None:
        self.items.put(None)

    def stop(self, timeout: float, *, is_urgent: bool) -> None:
        self.stop_barrier = self.put_barrier()

    def release(self) -> None:
        self.releases += 1

    def has_work(self) -> bool:
        return not self.items.empty()

    def pending(self) -> int:
        return self.queued - len(self.done)

    def put_barrier(self) -> Any:
        barrier = threading.Event()
        self.items.put(barrier)
        return barrier

    def locks(self) -> Iterable[Any]:
        return [self.lock]

    def describe_pending(self, records: int, timeout: float) -> str:
        return f"{records} left"

    def detach_after_fork(self) -> None:
        self.releases -= 1


@pytest.fixture
def engine() -> Iterator["Engine[_Collect]"]:
    """Return an engine, which is closed after the test."""
    one: Engine[_Collect] = Engine("collecting", _STOP_TIMEOUT)
    yield one
    if one.task is not None:
        one.task.gate.set()
    one.close()


def put(engine: "Engine[_Collect]", item: Any) -> _Collect:
    """Queue an item as a logging call does, and return the task."""
    task = engine.task or engine.create(lambda _: _Collect())
    task.queued += 1
    task.items.put(item)
    if engine.thread is None:
        engine.ensure_running()
    return task


def test_nothing_starts_before_the_first_item(engine: "Engine[_Collect]") -> None:
    """A program configures logging and then forks."""
    assert engine.flush()
    engine.close()

    assert (engine.task, engine.thread) == (None, None)


def test_flush_waits_for_everything_queued_before(engine: "Engine[_Collect]") -> None:
    """It returns whether that is done in time."""
    task = put(engine, 0)
    task.gate.clear()
    put(engine, 1)

    assert not engine.flush(0.05)
    task.gate.set()
    assert engine.flush()
    assert task.done == [0, 1]


def test_close_does_everything_and_releases_once(engine: "Engine[_Collect]") -> None:
    """A second close does nothing; later work is done in the calling thread."""
    task = put(engine, 0)
    engine.close()
    engine.close()
    releases = task.releases
    put(engine, 1)

    assert (task.done, releases, engine.thread) == ([0, 1], 1, None)
    assert threading.get_ident() in task.threads


def test_close_reports_what_is_not_done_once(engine: "Engine[_Collect]", capsys: pytest.CaptureFixture[str]) -> None:
    """What the task does later is not reported again."""
    task = put(engine, 0)
    task.gate.clear()
    put(engine, 1)
    task.entered.wait()
    engine.close(0.01)
    engine.close(0.01)
    task.gate.set()
    wait_until(lambda: engine.thread is None)
    engine.close()

    assert capsys.readouterr().err.count("left") == 1
    assert task.done == [0, 1]


@pytest.mark.parametrize("held", ["logging", "task", "both"])
def test_thread_that_holds_a_lock_of_the_task_does_not_wait(engine: "Engine[_Collect]", held: str) -> None:
    """P8: neither in flush, nor in close, nor for later work: the thread does it, and ends."""
    task = put(engine, 0)
    task.gate.clear()
    put(engine, 1)
    locks = {"logging": [logging._lock], "task": [task.lock]}.get(held, [logging._lock, task.lock])
    for lock in locks:
        lock.acquire()
    try:
        assert not engine.flush()
        engine.close()
        put(engine, 2)
        assert task.releases == 0
    finally:
        for lock in locks:
            lock.release()
    task.gate.set()
    wait_until(lambda: task.releases > 0 and engine.thread is None)

    assert task.done == [0, 1, 2]
    assert threading.get_ident() not in task.threads


def test_close_in_the_thread_of_the_task_does_not_wait(engine: "Engine[_Collect]") -> None:
    """P8: a handler that writes may close the handler that it belongs to."""

    class Closing(_Collect):
        def _do(self, item: Any) -> None:
            super()._do(item)
            if item == 1:
                engine.close()
                engine.flush()

    task = engine.create(lambda _: Closing())
    for item in range(3):
        put(engine, item)
    wait_until(lambda: task.releases == 1 and engine.thread is None)

    assert task.done == [0, 1, 2]


def test_dropped_engine_finishes(engine: "Engine[_Collect]") -> None:
    """P1: its owner's finalizer does not wait; the engine lives until everything is done."""
    dropped: Engine[_Collect] = Engine("dropped", _STOP_TIMEOUT)
    task = put(dropped, 0)
    task.gate.clear()
    put(dropped, 1)
    dropped.abandon()
    del dropped
    task.gate.set()
    wait_until(lambda: task.releases == 1)

    assert task.done == [0, 1]


def test_new_engine_waits_for_the_older_items_of_a_closed_one(engine: "Engine[_Collect]") -> None:
    """P1: a reconfiguration keeps the order of the records."""
    task = put(engine, 0)
    task.gate.clear()
    put(engine, 1)
    with logging._lock:
        engine.close()
    second: Engine[_Collect] = Engine("second", _STOP_TIMEOUT)
    shared = second.create(lambda _: _Collect())
    shared.done = task.done
    put(second, 2)
    task.gate.set()

    assert second.flush(DEADLINE)
    assert task.done == [0, 1, 2]
    second.close()


def test_new_engine_does_not_wait_indefinitely_for_a_closed_one(
    engine: "Engine[_Collect]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """P4: one that takes longer does its items later than newer ones, but each of them once."""
    monkeypatch.setattr("concurrent_log.background.engine._LONGEST_DELAY", 0.01)
    task = put(engine, 0)
    assert engine.flush()
    task.gate.clear()
    put(engine, 1)
    with logging._lock:
        engine.close()
    second: Engine[_Collect] = Engine("second", _STOP_TIMEOUT)
    newer = put(second, 2)

    assert second.flush(DEADLINE)
    assert (task.done, newer.done) == ([0], [2])
    task.gate.set()
    wait_until(lambda: task.releases == 1)
    assert task.done == [0, 1]
    second.close()


def test_pickled_engine_starts_empty(engine: "Engine[_Collect]") -> None:
    """A spawned process gets a handler with an engine."""
    put(engine, 0)
    copy = pickle.loads(pickle.dumps(engine))

    assert (copy.name, copy.stop_timeout, copy.task) == (engine.name, engine.stop_timeout, None)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
class TestFork:
    """Forks while the thread works, or wants a lock."""

    def test_child_starts_empty_and_the_parent_goes_on(self, engine: "Engine[_Collect]") -> None:
        """P1: each item is done once."""
        task = put(engine, 0)
        child = os.fork()
        if child == 0:
            os._exit(0 if engine.task is None and engine.thread is None and not lifecycle.is_forking() else 1)
        put(engine, 1)

        assert os.waitpid(child, 0)[1] == 0
        assert engine.flush()
        assert task.done == [0, 1]

    @pytest.mark.parametrize("held", ["logging", "task"])
    def test_fork_in_a_thread_that_holds_a_lock_of_the_task_returns(
        self, engine: "Engine[_Collect]", held: str
    ) -> None:
        """P8: the task waits for that lock, and cannot stop before the fork."""

        class Needy(_Collect):
            def _do(self, item: Any) -> None:
                self.entered.set()
                with lock:
                    super()._do(item)

        task = engine.create(lambda _: Needy())
        lock = logging._lock if held == "logging" else task.lock
        with lock:
            put(engine, 0)
            task.entered.wait()
            began = time.monotonic()
            child = os.fork()
            if child == 0:
                os._exit(0)
            seconds = time.monotonic() - began
        os.waitpid(child, 0)

        assert engine.flush()
        assert task.done == [0]
        assert seconds < lifecycle._PARK_TIMEOUT  # It would have waited that long.

    def test_forks_without_a_pause_do_not_starve_the_thread(self, engine: "Engine[_Collect]") -> None:
        """P8: several threads fork all the time; the thread progresses between two forks."""
        is_over = threading.Event()

        def fork() -> None:
            while not is_over.is_set():
                child = os.fork()
                if child == 0:
                    os._exit(0)
                os.waitpid(child, 0)

        threads = [threading.Thread(target=fork) for _ in range(4)]
        for thread in threads:
            thread.start()
        for item in range(50):
            task = put(engine, item)
        flushed = engine.flush()
        is_over.set()
        for thread in threads:
            thread.join()

        assert flushed
        assert task.done == list(range(50))


class _Interrupted(BaseException):
    pass


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rounds", [150, pytest.param(5_000, marks=[pytest.mark.long, pytest.mark.timeout(1200)])])
def test_interruption_anywhere_leaves_a_working_engine(rounds: int, seed: int) -> None:
    """P1, P4: an exception at any line of any call, as a signal handler raises it, loses no queued item."""
    chance = random.Random(seed)
    for _ in range(rounds):
        _interrupt_calls(chance)


def _interrupt_calls(chance: random.Random) -> None:
    engine: Engine[_Collect] = Engine("interrupted", _STOP_TIMEOUT)
    task = engine.create(lambda _: _Collect())
    calls = [
        lambda: put(engine, "x"),
        lambda: engine.flush(DEADLINE),
        lambda: engine.close(),
        lambda: engine.abandon(),
        lambda: (engine.prepare_fork(), engine.park(1), engine.resume()),
    ]
    for number in range(4):
        _interrupt(chance.choice(calls), chance.randrange(1, 60))
        task.items.put(number)  # A record that was queued, whatever became of the call.
    if engine.thread is None:
        engine.ensure_running()

    assert engine.flush(DEADLINE)
    engine.close()
    assert [item for item in task.done if item != "x"] == [0, 1, 2, 3]
    assert engine.thread is None
    assert not task.has_work()


def _interrupt(call: Any, at: int) -> None:
    """Run ``call``; raise at its line number ``at``, counted in all functions of the engine that it runs."""
    remaining = at

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal remaining
        if "concurrent_log" not in frame.f_code.co_filename:
            return None
        if event in ("line", "return"):
            remaining -= 1
            if remaining == 0:
                raise _Interrupted
        return trace

    before = sys.gettrace()
    gc.disable()  # The finalizer of an earlier test's handler would be interrupted, too.
    sys.settrace(trace)
    try:
        call()
    except _Interrupted:
        pass
    finally:
        sys.settrace(before)
        gc.enable()

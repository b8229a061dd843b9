"""The circuit breaker: states, outcomes, threads, tasks, signals and forks."""

import asyncio
import copy
import functools
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from concurrent_log.health import BreakerState, CircuitBreaker, CircuitOpenError
from concurrent_log.health.breaker import Call, Transition
from support.deadlines import DEADLINE

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return a clock that the test sets."""
    return Clock()


@pytest.fixture
def transitions() -> list[Transition]:
    """Return the list to which the breaker adds its transitions."""
    return []


@pytest.fixture
def breaker(clock: Clock, transitions: list[Transition]) -> CircuitBreaker:
    """Return a breaker with default settings, except for its clock."""
    return CircuitBreaker("payments", on_change=transitions.append, clock=clock)


def succeed(breaker: CircuitBreaker) -> None:
    """Make a call that succeeds."""
    with breaker.calling():
        pass


def fail(breaker: CircuitBreaker, error: type[BaseException] = OSError) -> None:
    """Make a call that fails."""
    with pytest.raises(error), breaker.calling():
        raise error


def opened(breaker: CircuitBreaker) -> CircuitBreaker:
    """Open the breaker by three failures, and return it."""
    for _ in range(3):
        fail(breaker)
    assert breaker.state is OPEN
    return breaker


def test_three_failures_in_a_row_open_it(breaker: CircuitBreaker, transitions: list[Transition]) -> None:
    """A success in between resets the count of failures."""
    fail(breaker)
    fail(breaker)
    succeed(breaker)
    fail(breaker)
    fail(breaker)
    assert breaker.state is CLOSED

    fail(breaker)

    assert breaker.state is OPEN
    assert [(old, new, type(error)) for old, new, error in transitions] == [(CLOSED, OPEN, OSError)]


def test_open_breaker_rejects_calls(breaker: CircuitBreaker, clock: Clock) -> None:
    """The error says when the next call is allowed."""
    opened(breaker)
    clock.now += 180.5

    with pytest.raises(
        CircuitOpenError, match=r"^payments has failed too often: the next call is allowed in 120 s$"
    ) as e:
        succeed(breaker)

    assert (e.value.name, e.value.retry_after) == ("payments", 119.5)


def test_breaker_closes_when_the_trial_after_300_seconds_succeeds(
    breaker: CircuitBreaker, clock: Clock, transitions: list[Transition]
) -> None:
    """Closed, open, half-open, closed."""
    opened(breaker)
    clock.now += 299.9
    assert breaker.state is OPEN

    clock.now += 0.1
    assert breaker.state is HALF_OPEN
    succeed(breaker)

    assert breaker.state is CLOSED
    assert breaker.failures == 0
    assert [new for _, new, _ in transitions] == [OPEN, HALF_OPEN, CLOSED]


def test_breaker_opens_again_when_the_trial_fails(breaker: CircuitBreaker, clock: Clock) -> None:
    """One failure is enough then, and the recovery timeout starts again."""
    opened(breaker)
    clock.now += 300
    fail(breaker)

    assert breaker.state is OPEN
    assert breaker.retry_after == 300
    assert breaker.failures == 4


def test_one_trial_at_a_time_is_allowed(breaker: CircuitBreaker, clock: Clock) -> None:
    """A service that has just recovered is not overloaded."""
    opened(breaker)
    clock.now += 300
    with breaker.calling():
        with pytest.raises(CircuitOpenError, match="allowed when the current trial has ended") as e:
            succeed(breaker)
        assert e.value.retry_after == 0

    assert breaker.state is CLOSED


def test_outcome_of_an_older_call_is_discarded(breaker: CircuitBreaker, clock: Clock) -> None:
    """A call that began before the last transition does not count, whether it succeeds or fails."""
    slow_success, slow_failure = breaker.calling(), breaker.calling()
    slow_success.begin()
    slow_failure.begin()
    opened(breaker)

    slow_success.end()
    assert breaker.state is OPEN

    clock.now += 300
    succeed(breaker)
    slow_failure.end(OSError())
    assert breaker.failures == 0


def test_trial_that_never_ends_is_abandoned(breaker: CircuitBreaker, clock: Clock) -> None:
    """A thread that was killed during a trial does not prevent the breaker from closing."""
    opened(breaker)
    clock.now += 300
    lost = breaker.calling()
    lost.begin()
    clock.now += 300

    trial = breaker.calling()
    trial.begin()
    lost.end(OSError())
    assert breaker.state is HALF_OPEN

    trial.end()
    assert breaker.state is CLOSED


@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError, GeneratorExit, SystemExit])
def test_interruption_is_neither_success_nor_failure(
    breaker: CircuitBreaker, clock: Clock, error: type[BaseException]
) -> None:
    """A cancelled call says nothing about the service. The next trial is allowed at once."""
    fail(breaker)
    fail(breaker, error)
    assert breaker.failures == 1

    fail(breaker)
    fail(breaker)
    clock.now += 300
    fail(breaker, error)
    assert breaker.state is HALF_OPEN

    succeed(breaker)
    assert breaker.state is CLOSED


def test_excluded_exceptions_are_successes(clock: Clock) -> None:
    """An order that does not exist is a response of a service that works."""
    breaker = CircuitBreaker(exclude=[LookupError], clock=clock)
    for _ in range(5):
        fail(breaker, KeyError)

    assert breaker.state is CLOSED
    assert breaker.failures == 0


def test_functions_plain_and_async_are_decorated(breaker: CircuitBreaker) -> None:
    """The decorated functions keep their results and names, and their calls count."""

    @breaker
    def plain(number: int) -> int:
        """Divide."""
        return 10 // number

    @breaker
    async def slow(number: int) -> int:
        return plain(number)

    assert (plain(5), asyncio.run(slow(2))) == (2, 5)
    assert (plain.__name__, plain.__doc__) == ("plain", "Divide.")

    with pytest.raises(ZeroDivisionError):
        asyncio.run(slow(0))  # Two failures: of the function, and of its caller.
    with pytest.raises(ZeroDivisionError):
        plain(0)
    with pytest.raises(CircuitOpenError):
        plain(1)
    with pytest.raises(CircuitOpenError):
        asyncio.run(slow(1))


def test_objects_and_partials_that_are_async_are_decorated(breaker: CircuitBreaker) -> None:
    """The outcome of the coroutine counts, not that it was created."""

    class AsyncCallable:
        async def __call__(self) -> None:
            raise ConnectionError

    async def fail_async(_: int) -> None:
        raise ConnectionError

    for function in (AsyncCallable(), functools.partial(fail_async, 1), breaker(AsyncCallable())):
        with pytest.raises(ConnectionError):
            asyncio.run(breaker(function)())

    assert breaker.state is OPEN


def test_generators_are_rejected(breaker: CircuitBreaker) -> None:
    """They fail after the call, while they are read."""

    def numbers() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match=r"is a generator, .* use calling\(\)"):
        breaker(numbers)


def test_async_with_counts_like_with(breaker: CircuitBreaker) -> None:
    """A breaker can be used in ``async with`` blocks."""

    async def failing() -> None:
        async with breaker.calling():
            raise ConnectionError

    for _ in range(3):
        with pytest.raises(ConnectionError):
            asyncio.run(failing())

    assert breaker.state is OPEN


def test_call_object_can_be_used_once(breaker: CircuitBreaker) -> None:
    """Two outcomes of one call would count twice."""
    call = breaker.calling()
    with call:
        pass

    with pytest.raises(RuntimeError, match="has already begun"):
        call.begin()
    with pytest.raises(RuntimeError, match="has not begun"):
        breaker.calling().end()


def test_first_outcome_of_a_call_counts(breaker: CircuitBreaker) -> None:
    """A call whose end is recorded three times has failed once."""
    call = breaker.calling()
    call.begin()
    for _ in range(3):
        call.end(OSError())

    assert breaker.failures == 1


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_breaker_cannot_be_copied(breaker: CircuitBreaker, duplicate: Callable[[Any], Any]) -> None:
    """A copy would count separately, and call the same listener."""
    with pytest.raises(
        TypeError, match="the breaker 'payments' cannot be copied or pickled: create one in each process"
    ):
        duplicate(breaker)


def test_reset_closes_it(breaker: CircuitBreaker, transitions: list[Transition]) -> None:
    """A program that knows that the service works can close the breaker."""
    breaker.reset()
    opened(breaker).reset()

    assert breaker.state is CLOSED
    assert breaker.failures == 0
    assert [new for _, new, _ in transitions] == [OPEN, CLOSED]


def test_threshold_and_timeout_can_be_changed(breaker: CircuitBreaker, clock: Clock) -> None:
    """The threshold takes effect at the next failure, the timeout at once."""
    opened(breaker)
    breaker.recovery_timeout = 10
    clock.now += 10
    assert breaker.state is HALF_OPEN

    breaker.failure_threshold = 1
    succeed(breaker)
    fail(breaker)
    assert breaker.state is OPEN


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"failure_threshold": 0}, ValueError, r"failure_threshold=0 must be at least 1"),
        ({"failure_threshold": 1.5}, TypeError, r"failure_threshold must be a whole number, not 1\.5"),
        ({"failure_threshold": True}, TypeError, r"failure_threshold must be a whole number, not True"),
        ({"recovery_timeout": 0}, ValueError, r"recovery_timeout=0 must be more than 0 seconds"),
        ({"recovery_timeout": float("nan")}, ValueError, r"recovery_timeout=nan must be more than 0 seconds"),
        ({"recovery_timeout": float("inf")}, ValueError, r"recovery_timeout=inf .* finite"),
        ({"recovery_timeout": "300"}, TypeError, r"recovery_timeout must be a number of seconds, not '300'"),
        ({"exclude": [3]}, TypeError, r"exclude must be exception classes, such as \[KeyError\]"),
        ({"exclude": [KeyboardInterrupt]}, TypeError, r"exclude must be exception classes"),
    ],
)
def test_invalid_arguments_raise(options: dict[str, Any], error: type[Exception], message: str) -> None:
    """The error names the argument, the value and the remedy."""
    with pytest.raises(error, match=message):
        CircuitBreaker(**options)


def test_listener_may_use_and_change_the_breaker(clock: Clock) -> None:
    """No lock is held during the call of the listener, and transitions that it causes are passed on afterwards."""
    states: list[tuple[BreakerState, BreakerState]] = []

    def listen(transition: Transition) -> None:
        states.append((transition.new, breaker.state))
        if transition.new is OPEN:
            breaker.reset()

    breaker = CircuitBreaker(failure_threshold=1, on_change=listen, clock=clock)
    fail(breaker)

    assert states == [(OPEN, OPEN), (CLOSED, CLOSED)]


def test_transition_caused_by_a_listener_is_dispatched_after_its_return(clock: Clock) -> None:
    """All handlers of a logger therefore see the same order, even if the first one uses the breaker."""
    states: list[BreakerState] = []

    def listen(transition: Transition) -> None:
        if transition.new is OPEN:
            breaker.reset()
        states.append(transition.new)

    breaker = CircuitBreaker(failure_threshold=1, on_change=listen, clock=clock)
    fail(breaker)

    assert states == [OPEN, CLOSED]


def test_transitions_of_many_threads_are_dispatched_in_order() -> None:
    """Each transition is passed to the listener once, in order, regardless of the thread that caused it."""
    transitions: list[Transition] = []
    breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=1e-6, on_change=transitions.append)

    def call() -> None:
        for _ in range(300):
            try:
                with breaker.calling():
                    time.sleep(0)
                    raise ConnectionError
            except (ConnectionError, CircuitOpenError):
                pass

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [old for old, _, _ in transitions[1:]] == [new for _, new, _ in transitions[:-1]]
    assert {(old, new) for old, new, _ in transitions} == {(CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, OPEN)}


def test_one_of_many_concurrent_calls_is_the_trial(breaker: CircuitBreaker, clock: Clock) -> None:
    """Many threads that call at the end of the recovery timeout do not overload the service."""
    opened(breaker)
    clock.now += 300
    together, calls = threading.Barrier(50), []

    def call() -> None:
        together.wait()
        try:
            with breaker.calling():
                calls.append(threading.get_ident())
                ended.wait()
        except CircuitOpenError:
            rejected.release()

    ended, rejected = threading.Event(), threading.Semaphore(0)
    threads = [threading.Thread(target=call) for _ in range(50)]
    for thread in threads:
        thread.start()
    for _ in range(49):
        assert rejected.acquire(timeout=DEADLINE)
    ended.set()
    for thread in threads:
        thread.join()

    assert len(calls) == 1
    assert breaker.state is CLOSED


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="signal.setitimer needs POSIX")
def test_signal_handler_may_call_at_any_moment() -> None:
    """A handler that interrupts a call inside the breaker, and uses the breaker, neither blocks nor corrupts it."""
    breaker, interruptions = CircuitBreaker(failure_threshold=2, recovery_timeout=1e-6), 0

    def interrupt(*_: object) -> None:
        nonlocal interruptions
        interruptions += 1
        call(interruptions % 3 == 0)

    def call(is_success: bool) -> None:
        try:
            with breaker.calling():
                if not is_success:
                    raise OSError
        except (OSError, CircuitOpenError):
            pass

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        while interruptions < 500:
            call(interruptions % 2 == 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    breaker.reset()
    succeed(breaker)

    assert breaker.state is CLOSED


_INTERRUPTED = """
import contextlib, gc, signal, threading
from concurrent_log.health import CircuitBreaker, CircuitOpenError

def interrupt(*_):
    global interruptions
    interruptions += 1
    raise KeyboardInterrupt

def fail():
    with contextlib.suppress(OSError, CircuitOpenError), breaker.calling():
        raise OSError

gc.disable()  # Python prints an exception in a finalizer, and ignores it.
interruptions = 0
signal.signal(signal.SIGALRM, interrupt)
for number in range(300):
    transitions = []
    breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=1e-6, on_change=transitions.append)
    with contextlib.suppress(KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, 0.0002 + number * 0.000003)
        while interruptions == number:
            fail()
    transitions.clear()
    other = threading.Thread(target=lambda: (breaker.reset(), fail()), daemon=True)
    other.start()
    other.join(100)
    assert not other.is_alive(), "a lock is still held"
    assert transitions, "the listener is no longer called"
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="signal.setitimer needs POSIX")
def test_interrupted_call_leaves_no_lock_behind(tmp_path: pathlib.Path) -> None:
    """After Ctrl-C at any line of the breaker, other threads can use it, and the listener is called."""
    command = [sys.executable, "-c", _INTERRUPTED]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE)

    assert run.returncode == 0, run.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_child_is_not_blocked_by_a_lock_of_the_parent() -> None:
    """A lock that a thread of the parent held at the fork does not block the child."""
    breaker = CircuitBreaker()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with breaker._lock.for_this_process():
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        fail(breaker)
        os._exit(breaker.failures)
    done.set()
    thread.join()

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert breaker.failures == 0


class Breakers(RuleBasedStateMachine):
    """Any calls, in any order, at any time, compared with a model."""

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.transitions = Clock(), []
        self.breaker = CircuitBreaker(
            failure_threshold=2, recovery_timeout=10, on_change=self.transitions.append, clock=self.clock
        )
        self.calls: list[tuple[Call, int]] = []  # with the number of the state in which they began
        self.state, self.number, self.failures, self.opened_at = CLOSED, 0, 0, 0.0
        self.trial: tuple[Call, float] | None = None

    def become(self, state: BreakerState) -> None:
        """Change the model's state."""
        self.state, self.trial, self.number = state, None, self.number + 1
        self.opened_at = self.clock.now

    def settle(self) -> None:
        """Make the transitions of the model that are due."""
        if self.state is OPEN and self.clock.now >= self.opened_at + 10:
            self.become(HALF_OPEN)
        if self.trial and self.clock.now >= self.trial[1]:
            self.trial = None

    @rule(seconds=st.sampled_from([0.0, 1.0, 5.0, 9.999, 10.0, 25.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.now += seconds

    @rule()
    def begin(self) -> None:
        """Begin a call; the model knows whether it is allowed."""
        self.settle()
        call = self.breaker.calling()
        if self.state is OPEN or self.trial:
            with pytest.raises(CircuitOpenError):
                call.begin()
            return
        call.begin()
        if self.state is HALF_OPEN:
            self.number += 1
            self.trial = call, self.clock.now + 10
        self.calls.append((call, self.number))

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, 99), error=st.sampled_from([None, OSError(), asyncio.CancelledError()]))
    def end(self, which: int, error: BaseException | None) -> None:
        """End one of the running calls."""
        call, number = self.calls.pop(which % len(self.calls))
        call.end(error)
        if number != self.number:
            return
        if error is None:
            self.failures = 0
            if self.state is HALF_OPEN:
                self.become(CLOSED)
        elif isinstance(error, Exception):
            self.failures += 1
            if self.state is HALF_OPEN or self.failures >= 2:
                self.become(OPEN)
        else:
            self.trial = None

    @rule()
    def reset(self) -> None:
        """Reset the breaker."""
        self.breaker.reset()
        self.failures = 0
        self.become(CLOSED)

    @invariant()
    def states_agree(self) -> None:
        """The breaker has the state and count of the model, and its transitions are without gaps."""
        self.settle()
        assert self.breaker.state is self.state
        assert self.breaker.failures == self.failures
        states = [CLOSED, *(new for _, new, _ in self.transitions)]
        assert [old for old, _, _ in self.transitions] == states[:-1]
        assert states[-1] is self.state or not self.transitions


TestAnyCalls: Callable[..., Any] = Breakers.TestCase
TestAnyCalls.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)

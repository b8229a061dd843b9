"""The circuit breaker: its states, its outcomes, threads, tasks, signals and forks."""

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

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still."""
    return Clock()


@pytest.fixture
def told() -> list[Transition]:
    """Return what the breaker has told."""
    return []


@pytest.fixture
def breaker(clock: Clock, told: list[Transition]) -> CircuitBreaker:
    """Return a breaker as it is by default, but for its clock."""
    return CircuitBreaker("payments", on_change=told.append, clock=clock)


def succeed(breaker: CircuitBreaker) -> None:
    """Make a call that succeeds."""
    with breaker.calling():
        pass


def fail(breaker: CircuitBreaker, error: type[BaseException] = OSError) -> None:
    """Make a call that fails."""
    with pytest.raises(error), breaker.calling():
        raise error


def opened(breaker: CircuitBreaker) -> CircuitBreaker:
    """Return the breaker after three failures."""
    for _ in range(3):
        fail(breaker)
    assert breaker.state is OPEN
    return breaker


def test_three_failures_in_a_row_open_it(breaker: CircuitBreaker, told: list[Transition]) -> None:
    """A success in between forgets the failures before it."""
    fail(breaker)
    fail(breaker)
    succeed(breaker)
    fail(breaker)
    fail(breaker)
    assert breaker.state is CLOSED

    fail(breaker)

    assert breaker.state is OPEN
    assert [(old, new, type(error)) for old, new, error in told] == [(CLOSED, OPEN, OSError)]


def test_open_breaker_makes_no_call(breaker: CircuitBreaker, clock: Clock) -> None:
    """What is down is left alone, and the caller is told until when."""
    opened(breaker)
    clock.now += 180.5

    with pytest.raises(
        CircuitOpenError, match=r"^payments has failed too often: the next call is tried in 120 s$"
    ) as e:
        succeed(breaker)

    assert (e.value.name, e.value.retry_after) == ("payments", 119.5)


def test_breaker_closes_when_the_trial_after_300_seconds_succeeds(
    breaker: CircuitBreaker, clock: Clock, told: list[Transition]
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
    assert [new for _, new, _ in told] == [OPEN, HALF_OPEN, CLOSED]


def test_breaker_is_open_again_when_the_trial_fails(breaker: CircuitBreaker, clock: Clock) -> None:
    """One failure is enough then, and the time begins anew."""
    opened(breaker)
    clock.now += 300
    fail(breaker)

    assert breaker.state is OPEN
    assert breaker.retry_after == 300
    assert breaker.failures == 4


def test_one_call_at_a_time_is_tried(breaker: CircuitBreaker, clock: Clock) -> None:
    """What has just come back is not run over."""
    opened(breaker)
    clock.now += 300
    with breaker.calling():
        with pytest.raises(CircuitOpenError, match="tried when the one that is under way has ended") as e:
            succeed(breaker)
        assert e.value.retry_after == 0

    assert breaker.state is CLOSED


def test_outcome_of_a_call_from_before_is_discarded(breaker: CircuitBreaker, clock: Clock) -> None:
    """A call that hung all the time says nothing about now, whether it ends well or not."""
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


def test_trial_that_never_ends_is_given_up(breaker: CircuitBreaker, clock: Clock) -> None:
    """A thread that was killed in a trial does not keep the breaker from ever closing."""
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
    """Who gives up waiting says nothing about the service; a trial may be made again at once."""
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
    """An order that does not exist is an answer of a service that works."""
    breaker = CircuitBreaker(exclude=[LookupError], clock=clock)
    for _ in range(5):
        fail(breaker, KeyError)

    assert breaker.state is CLOSED
    assert breaker.failures == 0


def test_functions_plain_and_async_are_decorated(breaker: CircuitBreaker) -> None:
    """Both return what they return, keep their names, and count."""

    @breaker
    def plain(number: int) -> int:
        """Say something."""
        return 10 // number

    @breaker
    async def slow(number: int) -> int:
        return plain(number)

    assert (plain(5), asyncio.run(slow(2))) == (2, 5)
    assert (plain.__name__, plain.__doc__) == ("plain", "Say something.")

    with pytest.raises(ZeroDivisionError):
        asyncio.run(slow(0))  # Two failures: of the function, and of the one that called it.
    with pytest.raises(ZeroDivisionError):
        plain(0)
    with pytest.raises(CircuitOpenError):
        plain(1)
    with pytest.raises(CircuitOpenError):
        asyncio.run(slow(1))


def test_objects_and_partials_that_are_async_are_decorated(breaker: CircuitBreaker) -> None:
    """What counts is what becomes of the coroutine, not that one was made."""

    class Asking:
        async def __call__(self) -> None:
            raise ConnectionError

    async def ask(_: int) -> None:
        raise ConnectionError

    for function in (Asking(), functools.partial(ask, 1), breaker(Asking())):
        with pytest.raises(ConnectionError):
            asyncio.run(breaker(function)())

    assert breaker.state is OPEN


def test_generators_are_refused(breaker: CircuitBreaker) -> None:
    """They fail while they are read, after the call."""

    def numbers() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match=r"is a generator, .* use calling\(\)"):
        breaker(numbers)


def test_block_of_a_coroutine_is_guarded(breaker: CircuitBreaker) -> None:
    """``async with`` does what ``with`` does."""

    async def failing() -> None:
        async with breaker.calling():
            raise ConnectionError

    for _ in range(3):
        with pytest.raises(ConnectionError):
            asyncio.run(failing())

    assert breaker.state is OPEN


def test_call_can_be_made_once(breaker: CircuitBreaker) -> None:
    """Two outcomes of one call would count twice."""
    call = breaker.calling()
    with call:
        pass

    with pytest.raises(RuntimeError, match="has begun already"):
        call.begin()
    with pytest.raises(RuntimeError, match="has not begun"):
        breaker.calling().end()


def test_first_outcome_of_a_call_counts(breaker: CircuitBreaker) -> None:
    """One call that is ended three times has not failed three times."""
    call = breaker.calling()
    call.begin()
    for _ in range(3):
        call.end(OSError())

    assert breaker.failures == 1


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_breaker_says_that_it_cannot_be_copied(breaker: CircuitBreaker, duplicate: Callable[[Any], Any]) -> None:
    """A copy would count for itself, and tell the same listener."""
    with pytest.raises(TypeError, match="the breaker 'payments' cannot be copied or pickled: each process makes one"):
        duplicate(breaker)


def test_reset_closes_it(breaker: CircuitBreaker, told: list[Transition]) -> None:
    """Somebody who knows better need not wait."""
    breaker.reset()
    opened(breaker).reset()

    assert breaker.state is CLOSED
    assert breaker.failures == 0
    assert [new for _, new, _ in told] == [OPEN, CLOSED]


def test_threshold_and_timeout_can_be_changed(breaker: CircuitBreaker, clock: Clock) -> None:
    """The threshold holds from the next failure on, the timeout at once."""
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
        ({"recovery_timeout": float("inf")}, ValueError, r"recovery_timeout=inf .* not endless"),
        ({"recovery_timeout": "300"}, TypeError, r"recovery_timeout must be a number of seconds, not '300'"),
        ({"exclude": [3]}, TypeError, r"exclude must be types of exceptions, such as \[KeyError\]"),
        ({"exclude": [KeyboardInterrupt]}, TypeError, r"exclude must be types of exceptions"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    """With the argument, the value and what would be right."""
    with pytest.raises(error, match=message):
        CircuitBreaker(**options)


def test_listener_may_ask_the_breaker_and_change_it(clock: Clock) -> None:
    """No lock is held while it is told, and what it causes is told after that."""
    told: list[tuple[BreakerState, BreakerState]] = []

    def listen(transition: Transition) -> None:
        told.append((transition.new, breaker.state))
        if transition.new is OPEN:
            breaker.reset()

    breaker = CircuitBreaker(failure_threshold=1, on_change=listen, clock=clock)
    fail(breaker)

    assert told == [(OPEN, OPEN), (CLOSED, CLOSED)]


def test_what_a_listener_causes_is_told_after_it_has_ended(clock: Clock) -> None:
    """So all handlers of a logger see the same order, though the first one of them uses the breaker."""
    told: list[BreakerState] = []

    def listen(transition: Transition) -> None:
        if transition.new is OPEN:
            breaker.reset()
        told.append(transition.new)

    breaker = CircuitBreaker(failure_threshold=1, on_change=listen, clock=clock)
    fail(breaker)

    assert told == [OPEN, CLOSED]


def test_many_threads_are_told_an_unbroken_story() -> None:
    """Each transition is told once, in order, whichever thread made it."""
    told: list[Transition] = []
    breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=1e-6, on_change=told.append)

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

    assert [old for old, _, _ in told[1:]] == [new for _, new, _ in told[:-1]]
    assert {(old, new) for old, new, _ in told} == {(CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, OPEN)}


def test_of_a_hundred_calls_one_is_tried(breaker: CircuitBreaker, clock: Clock) -> None:
    """Threads that all come at once when the time has passed do not run over the service."""
    opened(breaker)
    clock.now += 300
    together, made = threading.Barrier(50), []

    def call() -> None:
        together.wait()
        try:
            with breaker.calling():
                made.append(threading.get_ident())
                ended.wait()
        except CircuitOpenError:
            refused.release()

    ended, refused = threading.Event(), threading.Semaphore(0)
    threads = [threading.Thread(target=call) for _ in range(50)]
    for thread in threads:
        thread.start()
    for _ in range(49):
        assert refused.acquire(timeout=60)
    ended.set()
    for thread in threads:
        thread.join()

    assert len(made) == 1
    assert breaker.state is CLOSED


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers that interrupt: POSIX only")
def test_signal_handler_may_call_at_any_moment() -> None:
    """P4: a handler that interrupts a call inside the breaker and uses it, too, neither hangs nor breaks it."""
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

gc.disable()  # Of what a finalizer raises, Python would only complain.
interruptions = 0
signal.signal(signal.SIGALRM, interrupt)
for number in range(300):
    told = []
    breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=1e-6, on_change=told.append)
    with contextlib.suppress(KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, 0.0002 + number * 0.000003)
        while interruptions == number:
            fail()
    told.clear()
    other = threading.Thread(target=lambda: (breaker.reset(), fail()), daemon=True)
    other.start()
    other.join(60)
    assert not other.is_alive(), "a lock was left behind"
    assert told, "nothing is told any more"
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers that interrupt: POSIX only")
def test_interrupted_call_leaves_no_lock_behind(tmp_path: pathlib.Path) -> None:
    """Ctrl-C at any line of the breaker: other threads use it on, and are told what they change."""
    command = [sys.executable, "-c", _INTERRUPTED]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)

    assert run.returncode == 0, run.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_child_goes_on_where_a_thread_of_the_parent_held_the_lock() -> None:
    """A lock that was held at the fork by a thread that the child does not have holds up nobody."""
    breaker = CircuitBreaker()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with breaker._lock.mine():
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
    """Any calls, in any order, at any time, against a model that keeps all it knows."""

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.told = Clock(), []
        self.breaker = CircuitBreaker(
            failure_threshold=2, recovery_timeout=10, on_change=self.told.append, clock=self.clock
        )
        self.calls: list[tuple[Call, int]] = []  # with the number of the state that they began in
        self.state, self.number, self.failures, self.opened_at = CLOSED, 0, 0, 0.0
        self.trial: tuple[Call, float] | None = None

    def become(self, state: BreakerState) -> None:
        """Change the model's state."""
        self.state, self.trial, self.number = state, None, self.number + 1
        self.opened_at = self.clock.now

    def settle(self) -> None:
        """Do in the model what the time does."""
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
        """Begin a call; whether it goes through, the model knows."""
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
        """End one of the calls that are under way."""
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
        """Close it by hand."""
        self.breaker.reset()
        self.failures = 0
        self.become(CLOSED)

    @invariant()
    def states_agree(self) -> None:
        """The breaker is in the model's state, counts as it does, and has told an unbroken story."""
        self.settle()
        assert self.breaker.state is self.state
        assert self.breaker.failures == self.failures
        assert [old for old, _, _ in self.told] == [CLOSED, *(new for _, new, _ in self.told)][: len(self.told)]
        assert not self.told or self.told[-1].new is self.state


TestAnyCalls: Callable[..., Any] = Breakers.TestCase
TestAnyCalls.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)

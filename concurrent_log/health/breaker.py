"""A circuit breaker: what fails again and again is left alone for a while, and then tried with care."""

import functools
import inspect
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from types import TracebackType
from typing import Any, NamedTuple, NoReturn, TypeVar, cast

from concurrent_log.health.check_policy import check_positive, check_threshold
from concurrent_log.health.event_queue import News, OwnLock

F = TypeVar("F", bound=Callable[..., Any])


_ENDED = -1  # is no generation, so that an outcome for it is discarded


class BreakerState(Enum):
    """Whether calls go through: all of them, none, or one at a time to try."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class CircuitOpenError(Exception):
    """Raised in place of a call that was not made.

    Attributes:
        name: The name of the breaker.
        retry_after: In how many seconds a call may go through; 0 while another one is being tried.
    """

    def __init__(self, name: str, retry_after: float) -> None:
        super().__init__(name, retry_after)
        self.name, self.retry_after = name, retry_after

    def __str__(self) -> str:
        when = f"in {math.ceil(self.retry_after)} s" if self.retry_after else "when the one that is under way has ended"
        return f"{self.name or 'the circuit'} has failed too often: the next call is tried {when}"


class Transition(NamedTuple):
    """A change of a breaker's state; ``error`` is what opened it, if it is known."""

    old: BreakerState
    new: BreakerState
    error: BaseException | None


@dataclass(frozen=True)
class _Facts:
    """Replaced as a whole, so that nobody sees half a change."""

    generation: int = 0  # of outcomes that count; a transition begins another one
    state: BreakerState = BreakerState.CLOSED  # as it was at the last transition
    failures: int = 0  # in a row
    opened_at: float = 0.0
    trial_ends: float | None = None  # when the trial that is under way is given up


class CircuitBreaker:
    """Let calls through while they succeed; after failures in a row none, and after a while one to try.

    Closed: all calls go through. ``failure_threshold`` failures in a row open it: calls raise `CircuitOpenError` at
    once, for ``recovery_timeout`` seconds. Then it is half-open: one call at a time goes through; if it succeeds, the
    breaker closes, and if it fails, it is open again. The outcome of a call that began before the last change of state
    is discarded. There is no timer: the state is computed from ``clock`` when it is asked for.

    Use it as a decorator of a function, plain or async, or for a block::

        breaker = CircuitBreaker("payments")

        @breaker
        async def pay(order): ...

        with breaker.calling():
            ...

    Safe for threads, tasks, signal handlers and forks; a child has a copy of its own. It is not shared by processes.

    Args:
        name: What it guards, for messages.
        failure_threshold: How many failures in a row open it.
        recovery_timeout: Seconds until a call is tried again. A trial that takes longer than that is given up.
        exclude: Exceptions that are no failure of the service, such as ``KeyError``: with them, the call succeeded.
            Whatever is no `Exception`, such as a cancellation, is neither success nor failure.
        on_change: Is told each `Transition`, in order. It must not raise.
        clock: Returns the time in seconds; it must not run backwards.

    Raises:
        ValueError, TypeError: An argument is not of its kind.
    """

    def __init__(
        self,
        name: str = "",
        *,
        failure_threshold: int = 3,
        recovery_timeout: float = 300.0,
        exclude: Sequence[type[Exception]] = (),
        on_change: Callable[[Transition], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.failure_threshold = failure_threshold
        self.recovery_timeout = recovery_timeout
        self._exclude = _exceptions(exclude)
        self._clock = clock
        self._facts = _Facts()
        self._lock = OwnLock()
        self._news = News(on_change or _ignore)

    @property
    def failure_threshold(self) -> int:
        """How many failures in a row open it; another value holds from the next failure on."""
        return self._failure_threshold

    @failure_threshold.setter
    def failure_threshold(self, value: int) -> None:
        self._failure_threshold = check_threshold("failure_threshold", value)

    @property
    def recovery_timeout(self) -> float:
        """Seconds from opening to the first trial; another value holds at once."""
        return self._recovery_timeout

    @recovery_timeout.setter
    def recovery_timeout(self, value: float) -> None:
        self._recovery_timeout = check_positive("recovery_timeout", value)

    @property
    def state(self) -> BreakerState:
        """The state now."""
        with self._lock.mine():
            self._settle(self._clock())
            state = self._facts.state
        self._news.tell()
        return state

    @property
    def failures(self) -> int:
        """How many calls have failed in a row."""
        return self._facts.failures

    @property
    def retry_after(self) -> float:
        """In how many seconds a call may go through; 0 where one may now, or is being tried."""
        facts = self._facts
        if facts.state is not BreakerState.OPEN:
            return 0.0
        return max(0.0, facts.opened_at + self.recovery_timeout - self._clock())

    def calling(self) -> "Call":
        """Return a context manager, plain and async, for one call; entering it raises `CircuitOpenError`."""
        return Call(self)

    def __call__(self, function: F) -> F:
        """Return ``function``, plain or async, behind this breaker."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function!r} is a generator, which fails while it is read: use calling() around that")
        if is_async(function):

            @functools.wraps(function)
            async def guarded_async(*args: Any, **kwargs: Any) -> Any:
                generation = self._begin()
                try:
                    result = await function(*args, **kwargs)
                except BaseException as error:
                    self._end(generation, error)
                    raise
                self._end(generation, None)
                return result

            return cast(F, guarded_async)

        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            generation = self._begin()
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                self._end(generation, error)
                raise
            self._end(generation, None)
            return result

        return cast(F, guarded)

    def reset(self) -> None:
        """Close it, and forget all failures."""
        with self._lock.mine():
            if self._facts.state is BreakerState.CLOSED:
                self._facts = _Facts(self._facts.generation + 1)
            else:
                self._change(BreakerState.CLOSED, self._clock(), 0)
        self._news.tell()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"the breaker {self.name!r} cannot be copied or pickled: each process makes one of its own")

    def _begin(self) -> int:
        """Let a call through, and return the generation that its outcome is for."""
        facts = self._facts
        if facts.state is BreakerState.CLOSED:  # No time changes that, so nothing has to be locked.
            return facts.generation
        with self._lock.mine():
            now = self._clock()
            self._settle(now)
            facts = self._facts
            refused = facts.state is BreakerState.OPEN or facts.trial_ends is not None
            if not refused and facts.state is BreakerState.HALF_OPEN:
                # In a generation of its own: the outcome of a trial that was given up is not the one of this.
                trial_ends = now + self.recovery_timeout
                self._facts = facts = replace(facts, generation=facts.generation + 1, trial_ends=trial_ends)
        self._news.tell()
        if refused:
            raise CircuitOpenError(self.name, self.retry_after)
        return facts.generation

    def _end(self, generation: int, error: BaseException | None) -> None:
        """Take the outcome of a call."""
        facts = self._facts
        if error is None and facts.state is BreakerState.CLOSED and not facts.failures:
            return
        with self._lock.mine():
            if generation == self._facts.generation:
                if error is None or isinstance(error, self._exclude):
                    self._succeed()
                elif isinstance(error, Exception):
                    self._fail(error)
                else:
                    self._facts = replace(self._facts, trial_ends=None)
        self._news.tell()

    def _succeed(self) -> None:
        if self._facts.state is BreakerState.HALF_OPEN:
            self._change(BreakerState.CLOSED, self._clock(), 0)
        elif self._facts.failures:
            self._facts = replace(self._facts, failures=0)

    def _fail(self, error: Exception) -> None:
        failures = self._facts.failures + 1
        if self._facts.state is BreakerState.HALF_OPEN or failures >= self.failure_threshold:
            self._change(BreakerState.OPEN, self._clock(), failures, error)
        else:
            self._facts = replace(self._facts, failures=failures)

    def _settle(self, now: float) -> None:
        """Make what the time alone has changed."""
        facts = self._facts
        if facts.state is BreakerState.OPEN and now >= facts.opened_at + self.recovery_timeout:
            self._change(BreakerState.HALF_OPEN, now, facts.failures)
        elif facts.trial_ends is not None and now >= facts.trial_ends:
            self._facts = replace(facts, trial_ends=None)

    def _change(self, new: BreakerState, now: float, failures: int, error: BaseException | None = None) -> None:
        old = self._facts.state
        self._facts = _Facts(self._facts.generation + 1, new, failures, now)
        self._news.add(Transition(old, new, error))


class Call:
    """One call through a breaker: ``with breaker.calling():``, or ``async with``, or `begin` and `end`."""

    __slots__ = ("_breaker", "_generation")

    def __init__(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker
        self._generation: int | None = None

    def begin(self) -> None:
        """Begin the call; raise `CircuitOpenError` where none may be made, RuntimeError where it has begun already."""
        if self._generation is not None:
            raise RuntimeError("this call has begun already: use calling() for each one")
        self._generation = self._breaker._begin()

    def end(self, error: BaseException | None = None) -> None:
        """Say how the call ended: well, or with ``error``; what is no `Exception` is neither success nor failure.

        Only what is said first counts.
        """
        if self._generation is None:
            raise RuntimeError("this call has not begun")
        generation, self._generation = self._generation, _ENDED
        self._breaker._end(generation, error)

    __enter__ = begin

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.end(error)

    async def __aenter__(self) -> None:
        self.begin()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.end(error)


def is_async(function: Callable[..., Any]) -> bool:
    """Return whether calling ``function`` makes a coroutine."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _exceptions(exclude: Sequence[type[Exception]]) -> tuple[type[Exception], ...]:
    found = tuple(exclude) if isinstance(exclude, Sequence) else (exclude,)
    for each in found:
        if not (isinstance(each, type) and issubclass(each, Exception)):
            raise TypeError(f"exclude must be types of exceptions, such as [KeyError], not {exclude!r}")
    return found


def _ignore(_: Transition) -> None:
    pass

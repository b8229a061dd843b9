"""Circuit breaker: stop calling a service that keeps failing, and try again after a while."""

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
from concurrent_log.health.event_queue import EventQueue
from concurrent_log.internal.fork_safe_lock import ForkSafeLock

F = TypeVar("F", bound=Callable[..., Any])

_ENDED = -1  # matches no generation, so that an outcome for it is discarded


class BreakerState(Enum):
    """Closed: all calls are allowed. Open: none is. Half-open: one call at a time is allowed, as a trial."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class CircuitOpenError(Exception):
    """Raised instead of making a call, because the circuit breaker is open.

    Attributes:
        name: Name of the breaker.
        retry_after: Seconds until a call is allowed; 0 while a trial is in progress.
    """

    def __init__(self, name: str, retry_after: float) -> None:
        super().__init__(name, retry_after)
        self.name, self.retry_after = name, retry_after

    def __str__(self) -> str:
        when = f"in {math.ceil(self.retry_after)} s" if self.retry_after else "when the current trial has ended"
        return f"{self.name or 'the service'} has failed too often: the next call is allowed {when}"


class Transition(NamedTuple):
    """A change of a breaker's state; ``error`` is the exception that opened it, if known."""

    old: BreakerState
    new: BreakerState
    error: BaseException | None


@dataclass(frozen=True)
class _Snapshot:
    """The state of a breaker. It is replaced as a whole, so that no thread sees half a change."""

    generation: int = 0  # only outcomes of this generation count; a transition starts a new one
    state: BreakerState = BreakerState.CLOSED  # at the last transition
    failures: int = 0  # in a row
    opened_at: float = 0.0
    trial_ends: float | None = None  # time at which the current trial is abandoned


class CircuitBreaker:
    """Allow calls while they succeed; after several failures in a row, reject them for a while.

    Closed: all calls are allowed. ``failure_threshold`` failures in a row open the breaker: calls raise
    `CircuitOpenError` at once, for ``recovery_timeout`` seconds. Then it is half-open: one call at a time is allowed.
    If that trial succeeds, the breaker closes; if it fails, the breaker opens again. The outcome of a call that began
    before the last change of state is discarded. There is no timer: the state is computed from ``clock`` on access.

    Use it as a decorator of a function, plain or async, or for a block::

        breaker = CircuitBreaker("payments")

        @breaker
        async def pay(order): ...

        with breaker.calling():
            ...

    Safe for threads, tasks, signal handlers and forks. A forked child has its own copy; processes share no state.

    Args:
        name: Name of the service, for messages.
        failure_threshold: Failures in a row that open the breaker.
        recovery_timeout: Seconds until a trial is allowed. A trial that takes longer than this is abandoned.
        exclude: Exceptions that are not failures of the service, such as ``KeyError``: they count as success.
            A `BaseException` that is not an `Exception`, such as a cancellation, is neither success nor failure.
        on_change: Called with each `Transition`, in order. It must not raise.
        clock: Returns the time in seconds; it must not run backwards.

    Raises:
        ValueError, TypeError: An argument has the wrong value or type.
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
        self._exclude = _exception_classes(exclude)
        self._clock = clock
        self._current = _Snapshot()
        self._lock = ForkSafeLock()
        self._transitions = EventQueue(on_change or _ignore)

    @property
    def failure_threshold(self) -> int:
        """Failures in a row that open the breaker. A new value takes effect at the next failure."""
        return self._failure_threshold

    @failure_threshold.setter
    def failure_threshold(self, value: int) -> None:
        self._failure_threshold = check_threshold("failure_threshold", value)

    @property
    def recovery_timeout(self) -> float:
        """Seconds from opening to the first trial. A new value takes effect at once."""
        return self._recovery_timeout

    @recovery_timeout.setter
    def recovery_timeout(self, value: float) -> None:
        self._recovery_timeout = check_positive("recovery_timeout", value)

    @property
    def state(self) -> BreakerState:
        """The current state."""
        with self._lock.for_this_process():
            self._apply_time(self._clock())
            state = self._current.state
        self._transitions.dispatch()
        return state

    @property
    def failures(self) -> int:
        """Number of calls that have failed in a row."""
        return self._current.failures

    @property
    def retry_after(self) -> float:
        """Seconds until a call is allowed; 0 if one is allowed now, or a trial is in progress."""
        current = self._current
        if current.state is not BreakerState.OPEN:
            return 0.0
        return max(0.0, current.opened_at + self.recovery_timeout - self._clock())

    def calling(self) -> "Call":
        """Return a context manager for one call, plain or async. Entering it may raise `CircuitOpenError`."""
        return Call(self)

    def __call__(self, function: F) -> F:
        """Decorate ``function``, plain or async, with this breaker."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function!r} is a generator, which fails while it is read: use calling() around the loop")
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
        """Close the breaker, and reset the count of failures."""
        with self._lock.for_this_process():
            if self._current.state is BreakerState.CLOSED:
                self._current = _Snapshot(self._current.generation + 1)
            else:
                self._change(BreakerState.CLOSED, self._clock(), 0)
        self._transitions.dispatch()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"the breaker {self.name!r} cannot be copied or pickled: create one in each process")

    def _begin(self) -> int:
        """Allow a call, and return the generation of its outcome; raise `CircuitOpenError` if no call is allowed."""
        current = self._current
        if current.state is BreakerState.CLOSED:  # Time does not change this state, so no lock is needed.
            return current.generation
        with self._lock.for_this_process():
            now = self._clock()
            self._apply_time(now)
            current = self._current
            is_rejected = current.state is BreakerState.OPEN or current.trial_ends is not None
            if not is_rejected and current.state is BreakerState.HALF_OPEN:
                # A new generation, so that the outcome of an abandoned trial does not count for this one.
                trial_ends = now + self.recovery_timeout
                self._current = current = replace(current, generation=current.generation + 1, trial_ends=trial_ends)
        self._transitions.dispatch()
        if is_rejected:
            raise CircuitOpenError(self.name, self.retry_after)
        return current.generation

    def _end(self, generation: int, error: BaseException | None) -> None:
        """Record the outcome of a call."""
        current = self._current
        if error is None and current.state is BreakerState.CLOSED and not current.failures:
            return
        with self._lock.for_this_process():
            if generation == self._current.generation:
                if error is None or isinstance(error, self._exclude):
                    self._succeed()
                elif isinstance(error, Exception):
                    self._fail(error)
                else:
                    self._current = replace(self._current, trial_ends=None)
        self._transitions.dispatch()

    def _succeed(self) -> None:
        if self._current.state is BreakerState.HALF_OPEN:
            self._change(BreakerState.CLOSED, self._clock(), 0)
        elif self._current.failures:
            self._current = replace(self._current, failures=0)

    def _fail(self, error: Exception) -> None:
        failures = self._current.failures + 1
        if self._current.state is BreakerState.HALF_OPEN or failures >= self.failure_threshold:
            self._change(BreakerState.OPEN, self._clock(), failures, error)
        else:
            self._current = replace(self._current, failures=failures)

    def _apply_time(self, now: float) -> None:
        """Make the transitions that are due at the time ``now``."""
        current = self._current
        if current.state is BreakerState.OPEN and now >= current.opened_at + self.recovery_timeout:
            self._change(BreakerState.HALF_OPEN, now, current.failures)
        elif current.trial_ends is not None and now >= current.trial_ends:
            self._current = replace(current, trial_ends=None)

    def _change(self, new: BreakerState, now: float, failures: int, error: BaseException | None = None) -> None:
        old = self._current.state
        self._current = _Snapshot(self._current.generation + 1, new, failures, now)
        self._transitions.add(Transition(old, new, error))


class Call:
    """One call through a circuit breaker: ``with breaker.calling():``, or ``async with``, or `begin` and `end`."""

    __slots__ = ("_breaker", "_generation")

    def __init__(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker
        self._generation: int | None = None

    def begin(self) -> None:
        """Begin the call.

        Raises:
            CircuitOpenError: No call is allowed now.
            RuntimeError: The call has already begun.
        """
        if self._generation is not None:
            raise RuntimeError("this call has already begun: use calling() for each call")
        self._generation = self._breaker._begin()

    def end(self, error: BaseException | None = None) -> None:
        """Record the outcome of the call: success, or ``error``. Further outcomes of the same call are ignored.

        A `BaseException` that is not an `Exception` is neither success nor failure.
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
    """Return whether calling ``function`` returns a coroutine."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _exception_classes(exclude: Sequence[type[Exception]]) -> tuple[type[Exception], ...]:
    found = tuple(exclude) if isinstance(exclude, Sequence) else (exclude,)
    for each in found:
        if not (isinstance(each, type) and issubclass(each, Exception)):
            raise TypeError(f"exclude must be exception classes, such as [KeyError], not {exclude!r}")
    return found


def _ignore(_: Transition) -> None:
    pass

"""One service that is watched: its check, its breaker, and what is known of it."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from concurrent_log.health.breaker import BreakerState, CircuitBreaker, CircuitOpenError, Transition
from concurrent_log.health.check_policy import Policy
from concurrent_log.health.check_runner import Check, CheckRunner, Outcome
from concurrent_log.health.event_queue import News, OwnLock
from concurrent_log.health.flapping import Flapping, Turn
from concurrent_log.health.redaction import told
from concurrent_log.health.status import ServiceHealth, ServiceStatus

_HEALTHY, _DEGRADED, _UNHEALTHY = ServiceStatus.HEALTHY, ServiceStatus.DEGRADED, ServiceStatus.UNHEALTHY


@dataclass(frozen=True)
class StatusChanged:
    """A service has another status than before."""

    old: ServiceHealth
    new: ServiceHealth
    is_flapping: bool


@dataclass(frozen=True)
class BreakerChanged:
    """The breaker of a service has another state."""

    health: ServiceHealth
    transition: Transition
    recovery_timeout: float
    is_flapping: bool


@dataclass(frozen=True)
class FlappingChanged:
    """A service has begun to come and go, or has settled."""

    health: ServiceHealth
    began: bool


Event = StatusChanged | BreakerChanged | FlappingChanged


class Service:
    """A service. Its ``health`` is replaced as a whole, so anybody may read it at any time.

    Args:
        name: What it is called.
        check: What checks it.
        policy: Returns the policy of the monitor, as it is now.
        own: What differs from that for this service.
        critical: Whether the program cannot do without it.
        tell: Is told each event, in order.
        clock: Returns the time in seconds; it does not run backwards.
        now: Returns the date and time.
    """

    def __init__(
        self,
        name: str,
        check: Check,
        *,
        policy: Callable[[], Policy],
        own: Mapping[str, Any],
        critical: bool,
        tell: Callable[[Event], None],
        clock: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self.name = name
        self.health = ServiceHealth(name, critical=critical)
        self.successful_checks = self.failed_checks = 0
        self._runner = CheckRunner(check, clock)
        self._policy, self._own, self._now = policy, own, now
        self._common = policy()
        self._merged = replace(self._common, **own)
        self._flapping, self._lock, self._news = Flapping(), OwnLock(), News(tell)
        self._reported: Outcome | None = None
        self.breaker = CircuitBreaker(name, on_change=self._breaker_changed, clock=clock)
        self._adjust()

    @property
    def policy(self) -> Policy:
        """How it is watched."""
        common = self._policy()
        if common is not self._common:
            self._common, self._merged = common, replace(common, **self._own)
        return self._merged

    def snapshot(self) -> ServiceHealth:
        """Return what is known of it now."""
        state = self.breaker.state
        return self.health if self.health.breaker is state else replace(self.health, breaker=state)

    def report(self, outcome: Outcome) -> None:
        """Say what became of its check, from within that, or of something else that has used the service."""
        if self._runner.is_running:
            self._reported = outcome
            return
        with contextlib.suppress(CircuitOpenError):
            call = self.breaker.calling()
            call.begin()
            call.end(self._take(outcome))

    async def check(self) -> None:
        """Check the service once, unless its breaker is open, or it is just being checked."""
        self._adjust()
        call = self.breaker.calling()
        try:
            call.begin()
        except CircuitOpenError:
            self._left_out()
            return
        error: BaseException | None = asyncio.CancelledError()
        try:
            if not self._runner.is_running:  # Else it may just have said something, which is not yet taken.
                self._reported = None
            outcome = await self._runner.run(self.policy.timeout)
            if outcome is not None:
                error = self._take(self._reported if self._reported and not outcome.error else outcome)
        finally:
            call.end(error)

    def late_task(self) -> "asyncio.Task[float] | None":
        """Return the task of a check that goes on in this event loop, though it was given up."""
        task = self._runner.task
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            return None
        return task

    def _adjust(self) -> None:
        policy = self.policy
        self.breaker.failure_threshold = policy.failure_threshold
        self.breaker.recovery_timeout = policy.recovery_timeout

    def _take(self, outcome: Outcome) -> BaseException | None:
        """Note what became of a check, and return what the breaker has to know of it."""
        failure = outcome.failure
        with self._lock.mine():
            self.successful_checks += failure is None
            self.failed_checks += failure is not None
            self._become(self._after(outcome))
        self._news.tell()
        return failure

    def _after(self, outcome: Outcome) -> ServiceHealth:
        """Return what is known after a check."""
        policy, old, now, milliseconds = self.policy, self.health, self._now(), outcome.seconds * 1000
        known = replace(old, last_check=now, response_time_ms=milliseconds)
        if outcome.failure is not None:
            failures = old.consecutive_failures + 1
            is_down = failures >= policy.failure_threshold or old.status is _UNHEALTHY
            status = _UNHEALTHY if is_down else _DEGRADED
            return replace(known, status=status, error_message=told(outcome.failure), consecutive_failures=failures)
        known = replace(known, last_success=now, consecutive_failures=0)
        if outcome.error is not None:
            return replace(known, status=_DEGRADED, error_message=told(outcome.error))
        if outcome.seconds > policy.slow:
            return replace(known, status=_DEGRADED, error_message=f"slow (more than {policy.slow * 1000:g} ms)")
        return replace(known, status=_HEALTHY, error_message=None)

    def _become(self, new: ServiceHealth) -> None:
        """Take what is known now, and note what has changed; with the lock held."""
        old, changed = self.health, new.status is not self.health.status
        self.health = new = replace(new, since=self._now()) if changed else new
        turn = self._flapping.add(changed)
        if turn is Turn.BEGAN:
            self._news.add(FlappingChanged(new, began=True))
        if changed:
            self._news.add(StatusChanged(old, new, self._flapping.is_on))
        if turn is Turn.ENDED:
            self._news.add(FlappingChanged(new, began=False))

    def _left_out(self) -> None:
        """Note that a check was left out, since the breaker is open."""
        with self._lock.mine():
            self._become(self.health)
        self._news.tell()

    def _breaker_changed(self, transition: Transition) -> None:
        """Follow the breaker, which calls of the program may have changed as well."""
        _, new, error = transition
        with self._lock.mine():
            health = replace(self.health, breaker=new)
            if new is BreakerState.OPEN and health.status is not _UNHEALTHY:
                message = "calls of the program failed" if error is None else told(error)
                self._become(replace(health, status=_UNHEALTHY, error_message=message))
            elif new is BreakerState.CLOSED and health.status is _UNHEALTHY:
                self._become(replace(health, status=_HEALTHY, error_message=None, consecutive_failures=0))
            else:
                self.health = health
            self._news.add(BreakerChanged(self.health, transition, self.breaker.recovery_timeout, self._flapping.is_on))
        self._news.tell()

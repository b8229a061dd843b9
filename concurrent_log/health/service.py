"""One monitored service: its check, its circuit breaker and its health."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from concurrent_log.health.breaker import BreakerState, CircuitBreaker, CircuitOpenError, Transition
from concurrent_log.health.check_policy import CheckPolicy
from concurrent_log.health.check_runner import Check, CheckOutcome, CheckRunner
from concurrent_log.health.event_queue import EventQueue
from concurrent_log.health.flapping import FlappingDetector, FlappingTransition
from concurrent_log.health.redaction import describe_error
from concurrent_log.health.status import ServiceHealth, ServiceStatus
from concurrent_log.internal.fork_safe_lock import ForkSafeLock

_HEALTHY, _DEGRADED, _UNHEALTHY = ServiceStatus.HEALTHY, ServiceStatus.DEGRADED, ServiceStatus.UNHEALTHY


@dataclass(frozen=True)
class StatusChanged:
    """The status of a service has changed."""

    old: ServiceHealth
    new: ServiceHealth
    is_flapping: bool


@dataclass(frozen=True)
class BreakerChanged:
    """The circuit breaker of a service has changed its state."""

    health: ServiceHealth
    transition: Transition
    recovery_timeout: float
    is_flapping: bool


@dataclass(frozen=True)
class FlappingChanged:
    """A service has started or stopped flapping."""

    health: ServiceHealth
    has_started: bool


ServiceEvent = StatusChanged | BreakerChanged | FlappingChanged


class Service:
    """A monitored service. Its ``health`` is replaced as a whole, so that any thread may read it at any time.

    Args:
        name: Its name.
        check: The function that checks it.
        policy: Returns the current policy of the monitor.
        overrides: The values of the policy that differ for this service.
        critical: Whether the program depends on it.
        on_event: Called with each event, in order.
        clock: Returns the time in seconds; it does not run backwards.
        now: Returns the date and time.
    """

    def __init__(
        self,
        name: str,
        check: Check,
        *,
        policy: Callable[[], CheckPolicy],
        overrides: Mapping[str, Any],
        critical: bool,
        on_event: Callable[[ServiceEvent], None],
        clock: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self.name = name
        self.health = ServiceHealth(name, critical=critical)
        self.successful_checks = self.failed_checks = 0
        self._runner = CheckRunner(check, clock)
        self._monitor_policy, self._overrides, self._now = policy, overrides, now
        self._base_policy = policy()
        self._merged_policy = replace(self._base_policy, **overrides)
        self._flapping, self._lock, self._events = FlappingDetector(), ForkSafeLock(), EventQueue(on_event)
        self._reported: CheckOutcome | None = None
        self.breaker = CircuitBreaker(name, on_change=self._breaker_changed, clock=clock)
        self._apply_policy()

    @property
    def policy(self) -> CheckPolicy:
        """The policy of the monitor, with the overrides of this service."""
        base = self._monitor_policy()
        if base is not self._base_policy:
            self._base_policy, self._merged_policy = base, replace(base, **self._overrides)
        return self._merged_policy

    def snapshot(self) -> ServiceHealth:
        """Return the current health, with the current state of the breaker."""
        state = self.breaker.state
        return self.health if self.health.breaker is state else replace(self.health, breaker=state)

    def report(self, outcome: CheckOutcome) -> None:
        """Record an outcome from inside the check, or of another call to the service."""
        if self._runner.is_running:
            self._reported = outcome
            return
        with contextlib.suppress(CircuitOpenError):
            call = self.breaker.calling()
            call.begin()
            call.end(self._record(outcome))

    async def check(self) -> None:
        """Check the service once, unless its breaker is open or a check is running."""
        self._apply_policy()
        call = self.breaker.calling()
        try:
            call.begin()
        except CircuitOpenError:
            self._record_skipped_check()
            return
        error: BaseException | None = asyncio.CancelledError()
        try:
            if not self._runner.is_running:  # A running check may have reported an outcome that is not recorded yet.
                self._reported = None
            outcome = await self._runner.run(self.policy.timeout)
            if outcome is not None:
                error = self._record(self._reported if self._reported and not outcome.error else outcome)
        finally:
            call.end(error)

    def overdue_task(self) -> "asyncio.Task[float] | None":
        """Return the task of a check that still runs in this event loop after its timeout."""
        task = self._runner.task
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            return None
        return task

    def _apply_policy(self) -> None:
        policy = self.policy
        self.breaker.failure_threshold = policy.failure_threshold
        self.breaker.recovery_timeout = policy.recovery_timeout

    def _record(self, outcome: CheckOutcome) -> BaseException | None:
        """Record the outcome of a check, and return its failure for the breaker."""
        failure = outcome.failure
        with self._lock.for_this_process():
            self.successful_checks += failure is None
            self.failed_checks += failure is not None
            self._set_health(self._health_after(outcome))
        self._events.dispatch()
        return failure

    def _health_after(self, outcome: CheckOutcome) -> ServiceHealth:
        """Return the health after a check."""
        policy, old, now, milliseconds = self.policy, self.health, self._now(), outcome.seconds * 1000
        checked = replace(old, last_check=now, response_time_ms=milliseconds)
        if outcome.failure is not None:
            failures = old.consecutive_failures + 1
            is_down = failures >= policy.failure_threshold or old.status is _UNHEALTHY
            status = _UNHEALTHY if is_down else _DEGRADED
            message = describe_error(outcome.failure)
            return replace(checked, status=status, error_message=message, consecutive_failures=failures)
        working = replace(checked, last_success=now, consecutive_failures=0)
        if outcome.error is not None:
            return replace(working, status=_DEGRADED, error_message=describe_error(outcome.error))
        if outcome.seconds > policy.slow:
            return replace(working, status=_DEGRADED, error_message=f"slow (more than {policy.slow * 1000:g} ms)")
        return replace(working, status=_HEALTHY, error_message=None)

    def _set_health(self, new: ServiceHealth) -> None:
        """Replace the health, and queue an event for each change. Call this with the lock held."""
        old, has_changed = self.health, new.status is not self.health.status
        self.health = new = replace(new, since=self._now()) if has_changed else new
        flapping = self._flapping.add(has_changed)
        if flapping is FlappingTransition.STARTED:
            self._events.add(FlappingChanged(new, has_started=True))
        if has_changed:
            self._events.add(StatusChanged(old, new, self._flapping.is_flapping))
        if flapping is FlappingTransition.ENDED:
            self._events.add(FlappingChanged(new, has_started=False))

    def _record_skipped_check(self) -> None:
        """Count a check that was skipped because the breaker is open."""
        with self._lock.for_this_process():
            self._set_health(self.health)
        self._events.dispatch()

    def _breaker_changed(self, transition: Transition) -> None:
        """Adapt the health to the breaker, whose state may also change by calls of the program."""
        _, new, error = transition
        with self._lock.for_this_process():
            health = replace(self.health, breaker=new)
            if new is BreakerState.OPEN and health.status is not _UNHEALTHY:
                message = "calls of the program failed" if error is None else describe_error(error)
                self._set_health(replace(health, status=_UNHEALTHY, error_message=message))
            elif new is BreakerState.CLOSED and health.status is _UNHEALTHY:
                self._set_health(replace(health, status=_HEALTHY, error_message=None, consecutive_failures=0))
            else:
                self.health = health
            self._events.add(
                BreakerChanged(self.health, transition, self.breaker.recovery_timeout, self._flapping.is_flapping)
            )
        self._events.dispatch()

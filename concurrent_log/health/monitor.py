"""The monitor: checks all services again and again, in an event loop or in a thread of its own."""

import asyncio
import atexit
import functools
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from types import TracebackType
from typing import Any, TypeVar

from concurrent_log.health.alerts import Alerts
from concurrent_log.health.breaker import CircuitBreaker
from concurrent_log.health.check_loop import Watch
from concurrent_log.health.check_policy import Policy, check_positive
from concurrent_log.health.check_runner import Check, Outcome
from concurrent_log.health.event_queue import OwnLock
from concurrent_log.health.redaction import masked
from concurrent_log.health.service import Service
from concurrent_log.health.status import CheckFailed, ServiceHealth, ServiceStatus, overall

F = TypeVar("F", bound=Check)

_LAST = 5.0  # seconds that the thread has to end when the program does


class ServiceMonitor:
    """Checks services again and again, logs what changes, and leaves alone what is down.

    In an asyncio program, `start_monitoring` and `stop_monitoring`; in any other one, `start` and `stop`, which check
    in a thread. Checks run at the same time, each with its own timeout, and never two of one service; one that hangs or
    fails concerns no other. After ``failure_threshold`` failures in a row, a service is unhealthy, and its circuit
    breaker keeps checks away for ``recovery_timeout`` seconds.

    What changes is logged to ``concurrent_log.health``, once; see `concurrent_log.health.alerts.Alerts`.

    Services are added with `add` or `check`. In a subclass, each method ``async def _check_NAME(self, service_name)``
    is the check of a service NAME, too. Everything may be called from any thread. A child process, after a fork, has to
    start monitoring anew.

    Args:
        interval: Seconds from one check of a service to the next.
        timeout: Seconds after which a check has failed.
        slow: A check that takes more seconds makes the service degraded.
        failure_threshold: Failures in a row that make a service unhealthy.
        recovery_timeout: Seconds for which an unhealthy service is left alone.
        jitter: Up to this share, each interval is longer or shorter, so that checks do not come all at once.
        report_interval: Seconds from one summary of all services in the log to the next; None for none.
        clock: Returns the time in seconds; it must not run backwards.

    Raises:
        TypeError, ValueError: An argument is not of its kind.
    """

    def __init__(
        self,
        *,
        interval: float = 30.0,
        timeout: float = 10.0,
        slow: float = 1.0,
        failure_threshold: int = 3,
        recovery_timeout: float = 300.0,
        jitter: float = 0.1,
        report_interval: float | None = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.policy = Policy(interval, timeout, slow, failure_threshold, recovery_timeout)
        self.jitter = _share("jitter", jitter)
        self.report_interval = None if report_interval is None else check_positive("report_interval", report_interval)
        self._clock = clock
        self._alerts = Alerts()
        self._services: dict[str, Service] = {}
        self._watch: Watch | None = None
        self._starting = OwnLock()
        self._add_methods()

    def add(
        self,
        name: str,
        check: "Check | str",
        *,
        critical: bool = True,
        interval: float | None = None,
        timeout: float | None = None,
        slow: float | None = None,
        failure_threshold: int | None = None,
        recovery_timeout: float | None = None,
    ) -> None:
        """Watch a service, from now on if monitoring has started.

        Args:
            name: What it is called; no other service may have that name.
            check: What is called to check it, plain or async, or the text of a ready-made check, such as
                ``redis://127.0.0.1/0``. It raises where the service does not work, or returns False.
            critical: Whether the program cannot do without it; others never make `status` unhealthy.
            interval: As of the monitor, for this service; the same holds for the others.
            timeout: Seconds after which its check has failed.
            slow: Seconds after which its check is slow.
            failure_threshold: Failures in a row that make it unhealthy.
            recovery_timeout: Seconds for which it is left alone then.

        Raises:
            TypeError, ValueError: An argument is not of its kind, or there is a service of that name.
        """
        numbers: dict[str, Any] = {
            "interval": interval,
            "timeout": timeout,
            "slow": slow,
            "failure_threshold": failure_threshold,
            "recovery_timeout": recovery_timeout,
        }
        own = {key: value for key, value in numbers.items() if value is not None}
        service = Service(
            _service_name(name),
            _callable(name, check),
            policy=lambda: self.policy,
            own=own,
            critical=bool(critical),
            tell=self._alerts.log,
            clock=self._clock,
            now=_now,
        )
        if self._services.setdefault(name, service) is not service:
            raise ValueError(f"there is a service {name!r} already: remove it before, or choose another name")
        if self._watch is not None:
            self._watch.follow()

    def check(self, name: str, **options: Any) -> Callable[[F], F]:
        """Return a decorator that adds the function below it as the check of a service, with the options of `add`."""

        def added(function: F) -> F:
            self.add(name, function, **options)
            return function

        return added

    def remove(self, name: str) -> None:
        """Watch a service no longer; raise KeyError where there is none of that name."""
        if self._services.pop(name, None) is None:
            raise self._unknown(name)
        if self._watch is not None:
            self._watch.follow()

    def snapshot(self) -> dict[str, ServiceHealth]:
        """Return what is known of each service now, by its name."""
        return {name: service.snapshot() for name, service in self.services.items()}

    @property
    def services(self) -> dict[str, Service]:
        """The services that are watched now, by name, for what shows more of them than `snapshot`; a copy."""
        return self._services.copy()

    @property
    def status(self) -> ServiceStatus:
        """How the services are as a whole: as bad as the worst one; one that is not critical only degrades it."""
        return overall(self.snapshot().values())

    @property
    def is_running(self) -> bool:
        """Whether monitoring has started in this process, and has not stopped."""
        return self._watch is not None and self._watch.is_running

    def breaker(self, name: str) -> CircuitBreaker:
        """Return the breaker of a service, for calls of the program: what they meet counts as what a check meets."""
        return self._service(name).breaker

    async def check_all(self) -> dict[str, ServiceHealth]:
        """Check all services once, at the same time, and return what is known of them."""
        await asyncio.gather(*(service.check() for service in self.services.values()))
        return self.snapshot()

    async def start_monitoring(self) -> None:
        """Start in this event loop, unless monitoring has started already; the checks go on in the background."""
        with self._starting.mine():
            if not self.is_running:
                self._watch = self._new_watch()
                self._watch.begin()

    async def stop_monitoring(self) -> None:
        """Stop, and return when the checks that were running have ended."""
        if self._watch is not None:
            await self._watch.end()

    def start(self) -> None:
        """Start in a thread, unless monitoring has started already; it keeps no program from ending."""
        with self._starting.mine():
            if not self.is_running:
                self._watch = self._new_watch()
                self._watch.begin_in_thread()
                # While logging still works, and also where the program is left without stopping.
                atexit.register(_stop, weakref.ref(self._watch))

    def stop(self, timeout: float = 5.0) -> None:
        """Stop, and wait for the end of the thread, at most ``timeout`` seconds; not to be called in an event loop.

        What was started in an event loop is stopped as well, soon, but not waited for.
        """
        if self._watch is not None:
            self._watch.end_thread(timeout)

    def __enter__(self) -> "ServiceMonitor":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> "ServiceMonitor":
        await self.start_monitoring()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.stop_monitoring()

    def _service(self, name: str) -> Service:
        service = self._services.get(name)
        if service is None:
            raise self._unknown(name)
        return service

    def _unknown(self, name: str) -> KeyError:
        return KeyError(f"there is no service {name!r}; there are {', '.join(self.services) or 'none'}")

    def _new_watch(self) -> Watch:
        return Watch(self._services, self._alerts, self.jitter, self.report_interval)

    # What subclasses know from the monitor that this one follows.

    def _add_methods(self) -> None:
        """Add each method ``_check_NAME`` of a subclass as the check of a service NAME."""
        for attribute in dir(type(self)):
            if attribute.startswith("_check_") and not hasattr(ServiceMonitor, attribute):
                name, method = attribute.removeprefix("_check_"), getattr(self, attribute)
                if callable(method):
                    self.add(name, functools.partial(method, name))

    def _record_success(self, service_name: str, response_time: float) -> None:
        """Say, in a check, that it went well, and took so many milliseconds."""
        self._service(service_name).report(Outcome(response_time / 1000))

    def _record_failure(self, service_name: str, error: str, response_time: float) -> None:
        """Say, in a check, why it failed, and that it took so many milliseconds."""
        self._service(service_name).report(Outcome(response_time / 1000, CheckFailed(masked(str(error)))))

    async def _check_all_services(self) -> None:
        await self.check_all()

    @property
    def _service_health(self) -> dict[str, ServiceHealth]:
        return self.snapshot()

    @property
    def _monitoring_active(self) -> bool:
        return self.is_running

    @property
    def _check_interval(self) -> float:
        return self.policy.interval

    @_check_interval.setter
    def _check_interval(self, value: float) -> None:
        self.policy = replace(self.policy, interval=value)

    @property
    def _failure_threshold(self) -> int:
        return self.policy.failure_threshold

    @_failure_threshold.setter
    def _failure_threshold(self, value: int) -> None:
        self.policy = replace(self.policy, failure_threshold=value)

    @property
    def _recovery_timeout(self) -> float:
        return self.policy.recovery_timeout

    @_recovery_timeout.setter
    def _recovery_timeout(self, value: float) -> None:
        self.policy = replace(self.policy, recovery_timeout=value)


def _service_name(name: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the name of a service must be a text, not {name!r}")
    if not name or not name.isprintable():
        raise ValueError(f"the name of a service must be printable, and not empty: {name!r}")
    return name


def _callable(name: str, check: "Check | str") -> Check:
    if isinstance(check, str):
        from concurrent_log.health.checks import from_url

        return from_url(check)
    if not callable(check):
        raise TypeError(f"the check of {name!r} must be a function, or a text such as 'tcp://HOST:PORT', not {check!r}")
    return check


def _share(name: str, value: float) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number from 0 to 1, not {value!r}")
    if not 0 <= value <= 1:
        raise ValueError(f"{name}={value} must be from 0 to 1")
    return value


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _stop(watch: "weakref.ref[Watch]") -> None:
    if (found := watch()) is not None:
        found.end_thread(_LAST)

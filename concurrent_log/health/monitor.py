"""The service monitor: checks all services repeatedly, in an event loop or in a thread."""

import asyncio
import atexit
import time
import weakref
from collections.abc import Callable
from datetime import datetime, timezone
from types import TracebackType
from typing import Any, TypeVar

from concurrent_log.health.alerts import AlertLogger
from concurrent_log.health.breaker import CircuitBreaker
from concurrent_log.health.check_loop import CheckLoop
from concurrent_log.health.check_policy import CheckPolicy, check_positive
from concurrent_log.health.check_runner import Check
from concurrent_log.health.core_service_compatibility import CoreServiceCompatibility
from concurrent_log.health.service import Service
from concurrent_log.health.status import ServiceHealth, ServiceStatus, overall_status
from concurrent_log.internal.fork_safe_lock import ForkSafeLock

F = TypeVar("F", bound=Check)

_EXIT_TIMEOUT = 5.0  # seconds to wait for the thread at the exit of the program


class ServiceMonitor(CoreServiceCompatibility):
    """Checks services repeatedly, and logs each change of their status once.

    In an asyncio program, use `start_monitoring` and `stop_monitoring`. In any other program, use `start` and `stop`,
    which run the checks in a thread. Checks of different services run at the same time, each with its own timeout. One
    service is never checked twice at the same time, and a check that hangs or fails does not affect the others. After
    ``failure_threshold`` failures in a row, a service is unhealthy, and its circuit breaker prevents further checks for
    ``recovery_timeout`` seconds.

    The logger is ``concurrent_log.health``; see `concurrent_log.health.alerts.AlertLogger` for the records.

    Add services with `add` or `check`. In a subclass, each method ``async def _check_NAME(self, service_name)`` is
    also the check of a service NAME. All methods are thread-safe. After a fork, the child process must start
    monitoring again.

    Args:
        interval: Seconds from one check of a service to the next.
        timeout: Seconds after which a check counts as failed.
        slow: A check that takes more seconds than this makes the service degraded.
        failure_threshold: Failures in a row that make a service unhealthy.
        recovery_timeout: Seconds for which an unhealthy service is not checked.
        jitter: Each interval is longer or shorter by up to this fraction, so that the checks are spread out.
        report_interval: Seconds between two summaries of all services in the log; None for none.
        clock: Returns the time in seconds; it must not run backwards.

    Raises:
        TypeError, ValueError: An argument has the wrong type or value.
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
        self.policy = CheckPolicy(interval, timeout, slow, failure_threshold, recovery_timeout)
        self.jitter = _check_fraction("jitter", jitter)
        self.report_interval = None if report_interval is None else check_positive("report_interval", report_interval)
        self._clock = clock
        self._alerts = AlertLogger()
        self._services: dict[str, Service] = {}
        self._check_loop: CheckLoop | None = None
        self._start_lock = ForkSafeLock()
        self._add_check_methods()

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
        """Add a service. If monitoring has started, its checks start now.

        The numbers default to those of the monitor.

        Args:
            name: Unique name of the service.
            check: A function, plain or async, or the URL of a ready-made check, such as ``redis://127.0.0.1/0``. A
                function raises, or returns False, if the service does not work.
            critical: Whether the program depends on it. Other services never make `status` unhealthy.
            interval: Seconds from one check to the next.
            timeout: Seconds after which its check counts as failed.
            slow: A check that takes more seconds than this makes it degraded.
            failure_threshold: Failures in a row that make it unhealthy.
            recovery_timeout: Seconds for which it is not checked when it is unhealthy.

        Raises:
            TypeError, ValueError: An argument has the wrong type or value, or a service of that name exists.
        """
        numbers: dict[str, Any] = {
            "interval": interval,
            "timeout": timeout,
            "slow": slow,
            "failure_threshold": failure_threshold,
            "recovery_timeout": recovery_timeout,
        }
        overrides = {key: value for key, value in numbers.items() if value is not None}
        service = Service(
            _checked_name(name),
            _check_function(name, check),
            policy=lambda: self.policy,
            overrides=overrides,
            critical=bool(critical),
            on_event=self._alerts.log,
            clock=self._clock,
            now=_now,
        )
        if self._services.setdefault(name, service) is not service:
            raise ValueError(f"a service {name!r} already exists: remove it first, or choose another name")
        if self._check_loop is not None:
            self._check_loop.update()

    def check(self, name: str, **options: Any) -> Callable[[F], F]:
        """Return a decorator that adds a function as the check of a service, with the options of `add`."""

        def add_check(function: F) -> F:
            self.add(name, function, **options)
            return function

        return add_check

    def remove(self, name: str) -> None:
        """Remove a service, and stop its checks; raise KeyError if no service has that name."""
        if self._services.pop(name, None) is None:
            raise self._unknown(name)
        if self._check_loop is not None:
            self._check_loop.update()

    def snapshot(self) -> dict[str, ServiceHealth]:
        """Return the current health of each service, by name."""
        return {name: service.snapshot() for name, service in self.services.items()}

    @property
    def services(self) -> dict[str, Service]:
        """A copy of the dictionary of services, by name."""
        return self._services.copy()

    @property
    def status(self) -> ServiceStatus:
        """The worst status of all services; a service that is not critical counts as degraded at worst."""
        return overall_status(self.snapshot().values())

    @property
    def is_running(self) -> bool:
        """True while monitoring runs in this process."""
        return self._check_loop is not None and self._check_loop.is_running

    def breaker(self, name: str) -> CircuitBreaker:
        """Return the circuit breaker of a service. Calls of the program through it count like checks."""
        return self._service(name).breaker

    async def check_all(self) -> dict[str, ServiceHealth]:
        """Check all services once, concurrently, and return their health."""
        await asyncio.gather(*(service.check() for service in self.services.values()))
        return self.snapshot()

    async def start_monitoring(self) -> None:
        """Start monitoring in the background of this event loop, unless it is running."""
        with self._start_lock.for_this_process():
            if not self.is_running:
                self._check_loop = self._new_check_loop()
                self._check_loop.start()

    async def stop_monitoring(self) -> None:
        """Stop monitoring, and wait a limited time for the running checks to end."""
        if self._check_loop is not None:
            await self._check_loop.stop()

    def start(self) -> None:
        """Start monitoring in a daemon thread, unless it is running."""
        with self._start_lock.for_this_process():
            if not self.is_running:
                self._check_loop = self._new_check_loop()
                self._check_loop.start_thread()
                # Stops programs that do not call stop(), while logging still works.
                atexit.register(_stop, weakref.ref(self._check_loop))

    def stop(self, timeout: float = 5.0) -> None:
        """Stop monitoring, and wait up to ``timeout`` seconds for the end of the thread. Not for use in an event loop.

        Monitoring that was started in an event loop also stops, but this method does not wait for it.
        """
        if self._check_loop is not None:
            self._check_loop.stop_thread(timeout)

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
        return KeyError(f"no service is named {name!r}; the services are: {', '.join(self.services) or 'none'}")

    def _new_check_loop(self) -> CheckLoop:
        return CheckLoop(self._services, self._alerts, self.jitter, self.report_interval)


def _checked_name(name: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the name of a service must be a string, not {name!r}")
    if not name or not name.isprintable():
        raise ValueError(f"the name of a service must be printable, and not empty: {name!r}")
    return name


def _check_function(name: str, check: "Check | str") -> Check:
    if isinstance(check, str):
        from concurrent_log.health.checks import from_url

        return from_url(check)
    if not callable(check):
        raise TypeError(f"the check of {name!r} must be a function, or a URL such as 'tcp://HOST:PORT', not {check!r}")
    return check


def _check_fraction(name: str, value: float) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number from 0 to 1, not {value!r}")
    if not 0 <= value <= 1:
        raise ValueError(f"{name}={value} must be from 0 to 1")
    return value


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _stop(reference: "weakref.ref[CheckLoop]") -> None:
    if (check_loop := reference()) is not None:
        check_loop.stop_thread(_EXIT_TIMEOUT)

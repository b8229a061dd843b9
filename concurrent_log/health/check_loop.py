"""The tasks that check all services repeatedly, in an event loop or in the event loop of a thread."""

import asyncio
import contextlib
import os
import random
import threading

from concurrent_log.health.alerts import AlertLogger
from concurrent_log.health.service import Service
from concurrent_log.internal import stderr

_CLEANUP_TIMEOUT = 1.0  # seconds for checks to clean up at the end
_DAY = 86_400.0  # seconds
_SERVICES_PER_RECORD = 50


class CheckLoop:
    """Checks services repeatedly until it is stopped. Each start of monitoring creates a new one.

    Args:
        services: The services to check, by name. The owner calls `update` after adding or removing one.
        alerts: Logs the start, the end, and the summaries in between.
        jitter: Each interval is longer or shorter by up to this fraction.
        report_interval: Seconds between two summaries; None for none.
    """

    def __init__(
        self, services: dict[str, Service], alerts: AlertLogger, jitter: float, report_interval: float | None
    ) -> None:
        self._services, self._alerts = services, alerts
        self._jitter, self._report_interval = jitter, report_interval
        self._process = os.getpid()
        self._task: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None
        self._check_tasks: dict[Service, asyncio.Task[None]] = {}
        self._is_update_pending = False

    @property
    def is_running(self) -> bool:
        """True while it runs in this process. A task that is left over in a closed event loop does not run."""
        if self._task is None or self._process != os.getpid():
            return False
        return not self._task.done() and not self._task.get_loop().is_closed()

    def start(self) -> None:
        """Start in the running event loop."""
        self._task = asyncio.create_task(self._run(), name="concurrent_log health")

    def start_thread(self) -> None:
        """Start in a new thread; raise RuntimeError if it cannot start."""
        started = threading.Event()
        self._thread = threading.Thread(
            target=self._run_thread, args=(started,), name="concurrent_log health", daemon=True
        )
        self._thread.start()
        started.wait()
        if self._task is None:
            raise RuntimeError("monitoring cannot start: its thread failed to create an event loop")

    async def stop(self) -> None:
        """Stop, and wait a limited time for the running checks."""
        if not self.is_running or self._task is None:
            return
        loop = self._task.get_loop()
        if self._thread is not None:
            await asyncio.get_running_loop().run_in_executor(None, self.stop_thread, _CLEANUP_TIMEOUT + 4)
        elif loop is asyncio.get_running_loop():
            self._task.cancel()
            await asyncio.wait({self._task})
        else:
            in_other_loop = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.stop(), loop))
            await asyncio.wait({in_other_loop}, timeout=_CLEANUP_TIMEOUT + 4)

    def stop_thread(self, timeout: float) -> None:
        """Stop, and wait up to ``timeout`` seconds for the end of the thread, if there is one."""
        if not self.is_running or self._task is None:
            return
        with contextlib.suppress(RuntimeError):  # The loop may close at this moment.
            self._task.get_loop().call_soon_threadsafe(self._task.cancel)
        if self._thread not in (None, threading.current_thread()):
            self._thread.join(timeout)

    def update(self) -> None:
        """Start checking services that were added, and stop checking those that were removed. Thread-safe."""
        if self.is_running and self._task is not None and not self._is_update_pending:
            # One update covers all services that are added before it runs: each update visits every service.
            self._is_update_pending = True
            with contextlib.suppress(RuntimeError):  # The loop may close at this moment.
                self._task.get_loop().call_soon_threadsafe(self._update)

    def _run_thread(self, started: threading.Event) -> None:
        try:
            asyncio.run(self._run_in_thread(started))
        finally:
            started.set()

    async def _run_in_thread(self, started: threading.Event) -> None:
        self.start()
        started.set()
        assert self._task is not None
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        """Check all services until this task is cancelled."""
        try:
            await self._log_summary("started")
            self._update()
            while True:
                await asyncio.sleep(self._report_interval or _DAY)
                if self._report_interval:
                    await self._log_summary("report")
        finally:
            await self._stop_checks()
            await self._log_summary("stopped")

    def _update(self) -> None:
        self._is_update_pending = False  # Cleared first, so that a service added during this update starts another.
        services = set(self._services.copy().values())
        for service in self._check_tasks.keys() - services:
            self._check_tasks.pop(service).cancel()
        for service in services - self._check_tasks.keys():
            task = asyncio.create_task(self._check_repeatedly(service), name=f"checking {service.name}")
            self._check_tasks[service] = task

    async def _check_repeatedly(self, service: Service) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(service.policy.interval * self._jitter * random.random())
        while True:
            began = loop.time()
            try:
                await service.check()
            except Exception as error:  # A bug in this package must not end the monitoring of the service.
                stderr.warn(f"the check of {service.name!r} was interrupted by {type(error).__name__}")
            interval = service.policy.interval * (1 + self._jitter * random.uniform(-1, 1))
            await asyncio.sleep(max(0.0, began + interval - loop.time()))

    async def _stop_checks(self) -> None:
        """Cancel all checks, and give them a limited time to clean up."""
        for task in self._check_tasks.values():
            task.cancel()
        overdue = [service.overdue_task() for service in self._check_tasks]
        ending = {*self._check_tasks.values(), *filter(None, overdue)}
        if ending:
            await asyncio.wait(ending, timeout=_CLEANUP_TIMEOUT)

    async def _log_summary(self, event: str) -> None:
        """Log the health of all services in records of limited size; other tasks run in between."""
        services = list(self._services.copy().values())
        for first in range(0, len(services) or 1, _SERVICES_PER_RECORD):
            part = services[first : first + _SERVICES_PER_RECORD]
            self._alerts.log_summary(event, [service.snapshot() for service in part])
            await asyncio.sleep(0)

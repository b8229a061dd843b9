"""Checking again and again: the tasks in an event loop, or in the loop of a thread."""

import asyncio
import contextlib
import os
import random
import threading

from concurrent_log.health.alerts import Alerts
from concurrent_log.health.service import Service
from concurrent_log.internal import stderr

_PATIENCE = 1.0  # seconds that checks have to clean up at the end
_DAY = 86_400.0
_AT_ONCE = 50  # services in a record


class Watch:
    """Checks services from its beginning to its end; there is a new one for each start.

    Args:
        services: What to watch; others may come and go, see `follow`.
        alerts: What is told the beginning, the end, and how all services are in between.
        jitter: Up to this share, each interval is longer or shorter.
        report_interval: Seconds from one report to the next; None for none.
    """

    def __init__(
        self, services: dict[str, Service], alerts: Alerts, jitter: float, report_interval: float | None
    ) -> None:
        self._services, self._alerts = services, alerts
        self._jitter, self._report_interval = jitter, report_interval
        self._process = os.getpid()
        self._task: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None
        self._watchers: dict[Service, asyncio.Task[None]] = {}
        self._will_follow = False

    @property
    def is_running(self) -> bool:
        """Whether it goes on, in this process; what is left in a loop that was closed does not."""
        if self._task is None or self._process != os.getpid():
            return False
        return not self._task.done() and not self._task.get_loop().is_closed()

    def begin(self) -> None:
        """Begin in the event loop that is running."""
        self._task = asyncio.create_task(self._run(), name="concurrent_log health")

    def begin_in_thread(self) -> None:
        """Begin in a thread; raise RuntimeError where none can be started."""
        begun = threading.Event()
        self._thread = threading.Thread(target=self._loop, args=(begun,), name="concurrent_log health", daemon=True)
        self._thread.start()
        begun.wait()
        if self._task is None:
            raise RuntimeError("monitoring cannot start: its thread could not make an event loop")

    async def end(self) -> None:
        """Stop, and wait for the checks that are running, but not for long."""
        if not self.is_running or self._task is None:
            return
        loop = self._task.get_loop()
        if self._thread is not None:
            await asyncio.get_running_loop().run_in_executor(None, self.end_thread, _PATIENCE + 4)
        elif loop is asyncio.get_running_loop():
            self._task.cancel()
            await asyncio.wait({self._task})
        else:
            elsewhere = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.end(), loop))
            await asyncio.wait({elsewhere}, timeout=_PATIENCE + 4)

    def end_thread(self, timeout: float) -> None:
        """Stop, and wait for the end of the thread, if there is one, at most so many seconds."""
        if not self.is_running or self._task is None:
            return
        with contextlib.suppress(RuntimeError):  # It may just be ending by itself.
            self._task.get_loop().call_soon_threadsafe(self._task.cancel)
        if self._thread not in (None, threading.current_thread()):
            self._thread.join(timeout)

    def follow(self) -> None:
        """Watch what was added, and leave what was removed; from any thread."""
        if self.is_running and self._task is not None and not self._will_follow:
            # Once for all that are added until then, since each time looks at all there are.
            self._will_follow = True
            with contextlib.suppress(RuntimeError):  # It may just be ending.
                self._task.get_loop().call_soon_threadsafe(self._follow)

    def _loop(self, begun: threading.Event) -> None:
        try:
            asyncio.run(self._in_thread(begun))
        finally:
            begun.set()

    async def _in_thread(self, begun: threading.Event) -> None:
        self.begin()
        begun.set()
        assert self._task is not None
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        """Watch all services until this is cancelled."""
        try:
            await self._summarise("started")
            self._follow()
            while True:
                await asyncio.sleep(self._report_interval or _DAY)
                if self._report_interval:
                    await self._summarise("report")
        finally:
            await self._ended()
            await self._summarise("stopped")

    def _follow(self) -> None:
        self._will_follow = False  # first, so that nothing is missed that comes while this looks
        services = set(self._services.copy().values())
        for service in self._watchers.keys() - services:
            self._watchers.pop(service).cancel()
        for service in services - self._watchers.keys():
            self._watchers[service] = asyncio.create_task(self._watched(service), name=f"watching {service.name}")

    async def _watched(self, service: Service) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(service.policy.interval * self._jitter * random.random())
        while True:
            began = loop.time()
            try:
                await service.check()
            except Exception as error:  # A mistake of ours must not end the watch.
                stderr.warn(f"the check of {service.name!r} was interrupted by {type(error).__name__}")
            pause = service.policy.interval * (1 + self._jitter * random.uniform(-1, 1))
            await asyncio.sleep(max(0.0, began + pause - loop.time()))

    async def _ended(self) -> None:
        """Cancel all watchers, and give checks some time to clean up."""
        for watcher in self._watchers.values():
            watcher.cancel()
        ending = {*self._watchers.values(), *(task for each in self._watchers if (task := each.late_task()))}
        if ending:
            await asyncio.wait(ending, timeout=_PATIENCE)

    async def _summarise(self, event: str) -> None:
        """Log how all services are, some at a time, so that no record is large, and the loop goes on in between."""
        services = list(self._services.copy().values())
        for first in range(0, len(services) or 1, _AT_ONCE):
            self._alerts.summarise(event, [service.snapshot() for service in services[first : first + _AT_ONCE]])
            await asyncio.sleep(0)

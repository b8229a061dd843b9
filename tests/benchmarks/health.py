"""Figures: a thousand checks on one event loop, and a call through a circuit breaker."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from measuring import Duel, Figure, Work, serve

Check = Callable[[], Awaitable[None]]

_TICK = 0.001  # seconds between two looks at how late the loop is


def figure(quick: bool) -> Figure:
    """Return the figure: our monitor beside a bare loop of asyncio, and our breaker beside two others."""
    checks = {"services": 50, "interval": 0.05} if quick else {"services": 1000, "interval": 1.0}
    calls = 1000 if quick else 200_000
    pairs = 1 if quick else 5
    return Figure(
        name="health",
        title="Watching a thousand services on one event loop",
        text="A thousand services are checked once a second for ten seconds, by checks that only yield to the loop "
        "once. The monitor is compared with the minimum that does this at all: one task for each service with "
        "`asyncio.wait_for` and `asyncio.sleep`. That has no breaker, no status and no log, and it starts all "
        "checks at the same time. The first row is the CPU time of the process for each check. A task that "
        "repeatedly sleeps for a millisecond measures how long the loop blocks other tasks; the second row is "
        "the longest such pause. The other rows are a successful call through a closed breaker: `with "
        "breaker.calling()` for ours and pybreaker, and a decorated function for circuitbreaker, which lets "
        "any number of trials through and takes no lock.",
        duels=[
            Duel(
                title="CPU time of a check, 1,000 services",
                against="a bare loop of `asyncio.wait_for`",
                unit="µs",
                ours=Work("health.py", {"what": "monitor", **checks}),
                theirs=Work("health.py", {"what": "bare loop", **checks}),
                pairs=pairs,
                further={"pause": "longest pause of the loop, 1,000 services"},
            ),
            *(
                Duel(
                    title=f"a call through a closed breaker, {how}",
                    against=theirs,
                    unit="µs",
                    ours=Work("health.py", {"what": ours, "calls": calls}),
                    theirs=Work("health.py", {"what": theirs, "calls": calls}),
                    pairs=pairs,
                    rounds=3,
                )
                for how, ours, theirs in (
                    ("a block", "our block", "pybreaker"),
                    ("a function", "our function", "circuitbreaker"),
                )
            ),
        ],
    )


def _prepare(folder: str, what: str, **arguments: Any) -> Callable[[], dict[str, float]]:
    logger = logging.getLogger("concurrent_log.health")
    logger.addHandler(logging.FileHandler(os.path.join(folder, "health.log")))
    logger.setLevel(logging.INFO)
    if what in _WATCHES:
        return lambda: asyncio.run(_watched(_WATCHES[what], **arguments))
    return _called(_CALLS[what](), **arguments)


async def _watched(
    watch: Callable[[list[Check], float], AbstractAsyncContextManager[object]], services: int, interval: float
) -> dict[str, float]:
    """Watch ``services`` services; return the microseconds of a check, and of the longest pause."""
    counts = [0] * services
    async with watch([_check(counts, number) for number in range(services)], interval):
        await asyncio.sleep(interval / 2)  # All have begun.
        before, cpu = sum(counts), time.process_time()
        await asyncio.sleep(interval * 5)
        cost = (time.process_time() - cpu) / (sum(counts) - before)
        pause = await _longest_pause(interval * 5)
    return {"value": cost * 1e6, "pause": pause * 1e6}


async def _longest_pause(seconds: float) -> float:
    """Return the longest time in seconds that the loop blocked another task."""
    longest, end = 0.0, time.perf_counter() + seconds
    while (now := time.perf_counter()) < end:
        await asyncio.sleep(_TICK)
        longest = max(longest, time.perf_counter() - now - _TICK)
    return longest


def _check(counts: list[int], number: int) -> Check:
    async def check() -> None:
        await asyncio.sleep(0)
        counts[number] += 1

    return check


@contextlib.asynccontextmanager
async def _with_monitor(checks: list[Check], interval: float) -> AsyncIterator[None]:
    from concurrent_log.health import ServiceMonitor

    monitor = ServiceMonitor(interval=interval, slow=10)
    for number, check in enumerate(checks):
        monitor.add(f"service {number}", check)
    async with monitor:
        yield


@contextlib.asynccontextmanager
async def _with_bare_loop(checks: list[Check], interval: float) -> AsyncIterator[None]:
    async def watch(check: Check) -> None:
        while True:
            await asyncio.wait_for(check(), 10)
            await asyncio.sleep(interval)

    tasks = [asyncio.create_task(watch(check)) for check in checks]
    yield
    for task in tasks:
        task.cancel()


def _called(call: Callable[[], None], calls: int) -> Callable[[], dict[str, float]]:
    def one_round() -> dict[str, float]:
        start = time.perf_counter()
        for _ in range(calls):
            call()
        return {"value": (time.perf_counter() - start) / calls * 1e6}

    return one_round


def _our_block() -> Callable[[], None]:
    from concurrent_log.health import CircuitBreaker

    breaker = CircuitBreaker("payments")

    def call() -> None:
        with breaker.calling():
            pass

    return call


def _our_function() -> Callable[[], None]:
    from concurrent_log.health import CircuitBreaker

    return CircuitBreaker("payments")(_nothing)


def _pybreaker() -> Callable[[], None]:
    import pybreaker

    breaker = pybreaker.CircuitBreaker(fail_max=3, reset_timeout=300, name="payments")

    def call() -> None:
        with breaker.calling():
            pass

    return call


def _circuitbreaker() -> Callable[[], None]:
    import circuitbreaker

    return circuitbreaker.CircuitBreaker(3, 300, name="payments")(_nothing)


def _nothing() -> None:
    pass


_WATCHES = {"monitor": _with_monitor, "bare loop": _with_bare_loop}
_CALLS = {
    "our block": _our_block,
    "our function": _our_function,
    "pybreaker": _pybreaker,
    "circuitbreaker": _circuitbreaker,
}


if __name__ == "__main__":
    serve(_prepare)

"""Runs coroutines in each kind of event loop, and counts how often another task runs meanwhile."""

from collections.abc import Awaitable, Callable
from typing import Any

LOOPS = ["asyncio", "uvloop", "trio", "anyio on asyncio", "anyio on trio"]


def run_in(loop: str, function: Callable[[], Awaitable[Any]]) -> Any:
    """Return the result of ``await function()`` in an event loop of its own."""
    if loop == "trio":
        import trio

        return trio.run(function)
    if loop.startswith("anyio"):
        import anyio

        return anyio.run(function, backend=loop.rpartition(" ")[2])
    if loop == "uvloop":
        import uvloop

        return uvloop.run(function())  # type: ignore[arg-type]
    import asyncio

    return asyncio.run(function())  # type: ignore[arg-type]


async def count_turns(work: Callable[[], Awaitable[Any]]) -> tuple[int, Any]:
    """Await ``work()``; return how often another task has run meanwhile, and the result."""
    import anyio

    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.sleep(0.001)

    async with anyio.create_task_group() as group:
        group.start_soon(turn)
        await anyio.sleep(0)
        result = await work()
        group.cancel_scope.cancel()
    return turns, result

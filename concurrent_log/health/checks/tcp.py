"""Whether something listens at a port."""

import asyncio

from concurrent_log.health.checks.probes import TIMEOUT, AsyncCheck, async_check_of, seconds


def tcp(host: str, port: int, *, timeout: float = TIMEOUT) -> AsyncCheck:
    """Return a check that connects to ``port`` of ``host``, and says nothing there.

    Raises:
        TypeError: The host is not a text, or the port or timeout not a number.
        ValueError: The host is empty, or the port or timeout is out of its range.
    """
    seconds(timeout)
    if not isinstance(host, str) or isinstance(port, bool) or not isinstance(port, int):
        raise TypeError("host must be a text, and port a whole number")
    if not host or not 0 < port < 65536:
        raise ValueError(f"port={port} must be from 1 to 65535, and host must not be empty")

    async def probe() -> None:
        _, writer = await asyncio.open_connection(host, port)
        writer.close()
        await writer.wait_closed()

    return async_check_of("tcp", probe, timeout)

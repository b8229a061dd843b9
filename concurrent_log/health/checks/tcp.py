"""Check that a TCP port accepts connections."""

import asyncio

from concurrent_log.health.checks.probes import TIMEOUT, AsyncCheck, check_timeout, make_async_check


def tcp(host: str, port: int, *, timeout: float = TIMEOUT) -> AsyncCheck:
    """Return a check that connects to a port and sends nothing.

    Raises:
        TypeError: The host is not a string, or the port or the timeout is not a number.
        ValueError: The host is empty, or the port or the timeout is out of range.
    """
    check_timeout(timeout)
    if not isinstance(host, str) or isinstance(port, bool) or not isinstance(port, int):
        raise TypeError("host must be a string, and port a whole number")
    if not host or not 0 < port < 65536:
        raise ValueError(f"port={port} must be from 1 to 65535, and host must not be empty")

    async def probe() -> None:
        _, writer = await asyncio.open_connection(host, port)
        writer.close()
        await writer.wait_closed()

    return make_async_check("tcp", probe, timeout)

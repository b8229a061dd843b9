"""The two modes of the command ``monitor``: one check, or monitoring until a signal arrives."""

import argparse
import asyncio
import contextlib
import json
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType

from concurrent_log.health.alerts import LOGGER
from concurrent_log.health.command.output import print_lines, show_table, status_table
from concurrent_log.health.command.terminal import is_terminal
from concurrent_log.health.configuration import Configuration
from concurrent_log.health.endpoints import serve
from concurrent_log.health.endpoints.responses import health_report
from concurrent_log.health.monitor import ServiceMonitor
from concurrent_log.health.status import ServiceStatus

_REFRESH_INTERVAL = 0.5  # seconds between two updates of the output, and within which it reacts to a signal


def check_once(configuration: Configuration, options: argparse.Namespace) -> int:
    """Check each service once, and print the result. Output of checks and handlers goes to stderr."""
    with contextlib.redirect_stdout(sys.stderr):
        configuration.set_up_logging()
        logging.getLogger(LOGGER).addHandler(logging.NullHandler())
        monitor = configuration.monitor(once=True)
        asyncio.run(monitor.check_all())
    if options.json:
        print(json.dumps(health_report(monitor), indent=2))
    else:
        from rich.console import Console

        Console().print(status_table(monitor, options.file))
    return 1 if monitor.status is ServiceStatus.UNHEALTHY else 0


def monitor_until_signal(configuration: Configuration, options: argparse.Namespace) -> int:
    """Monitor the services, and show their status, until SIGINT or SIGTERM arrives."""
    configuration.set_up_logging()
    monitor = configuration.monitor()
    if not configuration.has_logging:
        logging.getLogger(LOGGER).setLevel(logging.INFO)
    with contextlib.ExitStack() as stack:
        has_signal = stack.enter_context(_exit_signals())
        url = stack.enter_context(_endpoints(monitor, options.listen))
        title = f"{options.file}  {url}".rstrip()
        refresh = stack.enter_context(show_table(monitor, title) if is_terminal() else print_lines(url))
        stack.enter_context(monitor)
        while not has_signal():
            refresh()
            time.sleep(_REFRESH_INTERVAL)
    return 0


class CannotListenError(Exception):
    """The server cannot listen on an address."""


@contextlib.contextmanager
def _exit_signals() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether SIGINT or SIGTERM has arrived. Both end this command normally."""
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        received.append(number)

    before = {each: signal.signal(each, remember) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(received)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextlib.contextmanager
def _endpoints(monitor: ServiceMonitor, address: tuple[str, int] | None) -> Iterator[str]:
    """Serve the endpoints if an address is given, and yield their URL."""
    if address is None:
        yield ""
        return
    host, port = address
    shown = f"[{host}]" if ":" in host else host
    try:
        server = serve(monitor, port, host)
    except OSError as error:
        raise CannotListenError(f"cannot listen on {shown}:{port}: {(error.strerror or str(error)).lower()}") from error
    with server:
        yield f"http://{shown}:{server.port}/health"

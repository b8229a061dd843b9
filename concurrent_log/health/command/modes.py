"""What the command ``monitor`` does: checking once, or until a signal says to end."""

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
from concurrent_log.health.command import is_terminal
from concurrent_log.health.command.output import lines, screen_of, table
from concurrent_log.health.configuration import Configuration
from concurrent_log.health.endpoints import serve
from concurrent_log.health.endpoints.responses import health_of
from concurrent_log.health.monitor import ServiceMonitor
from concurrent_log.health.status import ServiceStatus

_PAUSE = 0.5  # seconds from one picture to the next, and until a signal is noticed


def once(configuration: Configuration, options: argparse.Namespace) -> int:
    """Check each service once, and say how they are; what checks and handlers print is not part of the answer."""
    with contextlib.redirect_stdout(sys.stderr):
        configuration.set_up_logging()
        logging.getLogger(LOGGER).addHandler(logging.NullHandler())
        monitor = configuration.monitor(once=True)
        asyncio.run(monitor.check_all())
    if options.json:
        print(json.dumps(health_of(monitor), indent=2))
    else:
        from rich.console import Console

        Console().print(screen_of(monitor, options.file))
    return 1 if monitor.status is ServiceStatus.UNHEALTHY else 0


def watch(configuration: Configuration, options: argparse.Namespace) -> int:
    """Check services, and show how they are, until a signal says to end."""
    configuration.set_up_logging()
    monitor = configuration.monitor()
    if not configuration.has_logging:
        logging.getLogger(LOGGER).setLevel(logging.INFO)
    with contextlib.ExitStack() as stack:
        is_told_to_end = stack.enter_context(_signals())
        where = stack.enter_context(_listening(monitor, options.listen))
        title = f"{options.file}  {where}".rstrip()
        show = stack.enter_context(table(monitor, title) if is_terminal() else lines(where))
        stack.enter_context(monitor)
        while not is_told_to_end():
            show()
            time.sleep(_PAUSE)
    return 0


class CannotListenError(Exception):
    """Nobody can listen at an address."""


@contextlib.contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """Yield what says whether SIGINT or SIGTERM has come; either is the proper end of this command."""
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)

    before = {each: signal.signal(each, note) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(came)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextlib.contextmanager
def _listening(monitor: ServiceMonitor, address: tuple[str, int] | None) -> Iterator[str]:
    """Answer at an address, if there is one, and yield the URL."""
    if address is None:
        yield ""
        return
    host, port = address
    shown = f"[{host}]" if ":" in host else host
    try:
        server = serve(monitor, port, host)
    except OSError as error:
        raise CannotListenError(f"cannot listen at {shown}:{port}: {(error.strerror or str(error)).lower()}") from error
    with server:
        yield f"http://{shown}:{server.port}/health"

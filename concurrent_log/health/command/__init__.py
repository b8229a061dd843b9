"""The command ``monitor``: its options, and what it does until it is told to end."""

import argparse
import asyncio
import contextlib
import importlib.util
import json
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

from concurrent_log.health.alerts import LOGGER
from concurrent_log.health.command.display import lines, screen_of, table
from concurrent_log.health.endpoints import serve
from concurrent_log.health.endpoints.answers import health_of
from concurrent_log.health.monitor import ServiceMonitor
from concurrent_log.health.status import ServiceStatus

if TYPE_CHECKING:
    from concurrent_log.health.configuration import Configuration

_PAUSE = 0.5  # seconds from one picture to the next, and until a signal is noticed

_NO_TABLE = (
    "rich draws the table and is not installed: run pip install rich, or have plain lines, without a terminal, or JSON,"
    " with --once --json"
)
_NO_TOML = "tomli reads the file and is not installed: run pip install tomli"
_DESCRIPTION = """Check the services that a file names, again and again, and show how they are: as a table on a
terminal, and elsewhere as one line for each change. With --once, the exit status is 0 where no critical service is
unhealthy, and 1 where one is. It is 2 where the file or the command line is wrong."""


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("monitor", help="check services, and show how they are", description=_DESCRIPTION)
    parser.set_defaults(run=main)
    parser.add_argument("file", metavar="FILE.toml", help="names the services, and how they are checked")
    parser.add_argument("--once", action="store_true", help="check each service once, show the result, and end")
    parser.add_argument("--json", action="store_true", help="with --once: print JSON and nothing else")
    parser.add_argument(
        "--listen",
        type=_address,
        metavar="[HOST:]PORT",
        help="answer there, too: /health, /ready, /live, /metrics; the host is 127.0.0.1 unless you say so",
    )


def main(options: argparse.Namespace) -> int:
    """Watch, or check once, and return the exit status."""
    if wrong := _wrong_options(options):
        return _fail(wrong)
    sys.path.insert(0, "")  # for checks in this folder, which the file names as python:MODULE:NAME
    try:
        return _run(options)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it at the end.
        return 1
    except KeyboardInterrupt:  # before there was a result
        return 130


def _wrong_options(options: argparse.Namespace) -> str:
    if options.json and not options.once:
        return "--json goes with --once"
    if options.once and options.listen:
        return "--listen and --once exclude each other"
    if sys.version_info < (3, 11) and importlib.util.find_spec("tomli") is None:
        return _NO_TOML
    needs_table = not options.json if options.once else _is_terminal()
    return _NO_TABLE if needs_table and importlib.util.find_spec("rich") is None else ""


def _run(options: argparse.Namespace) -> int:
    # Imported here, so that the command line works without tomli.
    from concurrent_log.health.configuration import Configuration, ConfigurationError

    try:
        configuration = Configuration(options.file)
        return _once(configuration, options) if options.once else _watch(configuration, options)
    except (ConfigurationError, _CannotListenError) as error:
        return _fail(str(error))


def _once(configuration: "Configuration", options: argparse.Namespace) -> int:
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


def _watch(configuration: "Configuration", options: argparse.Namespace) -> int:
    """Check services, and show how they are, until a signal says to end."""
    configuration.set_up_logging()
    monitor = configuration.monitor()
    if not configuration.has_logging:
        logging.getLogger(LOGGER).setLevel(logging.INFO)
    with contextlib.ExitStack() as stack:
        is_told_to_end = stack.enter_context(_signals())
        where = stack.enter_context(_listening(monitor, options.listen))
        title = f"{options.file}  {where}".rstrip()
        show = stack.enter_context(table(monitor, title) if _is_terminal() else lines(where))
        stack.enter_context(monitor)
        while not is_told_to_end():
            show()
            time.sleep(_PAUSE)
    return 0


class _CannotListenError(Exception):
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
        raise _CannotListenError(
            f"cannot listen at {shown}:{port}: {(error.strerror or str(error)).lower()}"
        ) from error
    with server:
        yield f"http://{shown}:{server.port}/health"


def _is_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _address(text: str) -> tuple[str, int]:
    """Return the host and the port of ``[HOST:]PORT``; an address of IPv6 stands in brackets."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if colon else "127.0.0.1"
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535 or not host:
        raise argparse.ArgumentTypeError(f"must be PORT or HOST:PORT, such as 0.0.0.0:8080, not {text!r}")
    return host, int(port)


def _fail(what: str) -> int:
    print(f"concurrent-log monitor: {what}", file=sys.stderr)
    return 2

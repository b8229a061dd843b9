"""The command ``monitor``: command-line options and exit status."""

import argparse
import importlib.util
import os
import re
import sys
from typing import Any

from concurrent_log.health.command.terminal import is_terminal

_NO_RICH = "the table needs rich, which is not installed: use --once --json, or pip install rich"
_NO_TOMLI = "the file needs tomli, which is not installed: pip install tomli"
_DESCRIPTION = """Check the services in a configuration file repeatedly. On a terminal, the command shows a table;
otherwise it prints one line for each change. With --once, the exit status is 1 if a critical service is unhealthy,
and 0 if none is. It is 2 if the file or the command line is invalid."""


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("monitor", help="check services and show their status", description=_DESCRIPTION)
    parser.set_defaults(run=main)
    parser.add_argument("file", metavar="FILE.toml", help="the services and their checks")
    parser.add_argument("--once", action="store_true", help="check each service once, print the result and exit")
    parser.add_argument("--json", action="store_true", help="with --once: print only JSON")
    parser.add_argument(
        "--listen",
        type=_address,
        metavar="[HOST:]PORT",
        help="also serve /health, /ready, /live and /metrics there; the default host is 127.0.0.1",
    )


def main(options: argparse.Namespace) -> int:
    """Run the command, and return the exit status."""
    if problem := _option_problem(options):
        return _fail(problem)
    sys.path.insert(0, "")  # for checks python:MODULE:NAME in the current folder
    try:
        return _run(options)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it at exit.
        return 1
    except KeyboardInterrupt:  # before the first result
        return 130


def _option_problem(options: argparse.Namespace) -> str:
    if options.json and not options.once:
        return "--json needs --once"
    if options.once and options.listen:
        return "--listen and --once cannot be combined"
    if sys.version_info < (3, 11) and importlib.util.find_spec("tomli") is None:
        return _NO_TOMLI
    needs_table = not options.json if options.once else is_terminal()
    return _NO_RICH if needs_table and importlib.util.find_spec("rich") is None else ""


def _run(options: argparse.Namespace) -> int:
    # Imported here, so that other commands start without these modules, and without tomli.
    from concurrent_log.health.command.modes import CannotListenError, check_once, monitor_until_signal
    from concurrent_log.health.configuration import Configuration, ConfigurationError

    try:
        configuration = Configuration(options.file)
        run = check_once if options.once else monitor_until_signal
        return run(configuration, options)
    except (ConfigurationError, CannotListenError) as error:
        return _fail(str(error))


def _address(text: str) -> tuple[str, int]:
    """Return the host and the port of ``[HOST:]PORT``. An IPv6 address is in brackets."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if colon else "127.0.0.1"
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535 or not host:
        raise argparse.ArgumentTypeError(f"must be PORT or HOST:PORT, such as 0.0.0.0:8080, not {text!r}")
    return host, int(port)


def _fail(problem: str) -> int:
    print(f"concurrent-log monitor: {problem}", file=sys.stderr)
    return 2

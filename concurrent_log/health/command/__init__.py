"""The command ``monitor``: its options, and its exit status."""

import argparse
import importlib.util
import os
import re
import sys
from typing import Any

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
    needs_table = not options.json if options.once else is_terminal()
    return _NO_TABLE if needs_table and importlib.util.find_spec("rich") is None else ""


def _run(options: argparse.Namespace) -> int:
    # Imported here, so that the command line works without tomli, and other commands begin without all of this.
    from concurrent_log.health.command.modes import CannotListenError, once, watch
    from concurrent_log.health.configuration import Configuration, ConfigurationError

    try:
        configuration = Configuration(options.file)
        return once(configuration, options) if options.once else watch(configuration, options)
    except (ConfigurationError, CannotListenError) as error:
        return _fail(str(error))


def is_terminal() -> bool:
    """Return whether a table can be shown."""
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

"""The command ``demo``: a collector with a temporary database, and a shop that logs to it."""

import argparse
import asyncio
import contextlib
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from concurrent_log.collector.server.command import describe_missing_packages, print_error, server_url
from concurrent_log.collector.server.settings import ServerSettings

_DESCRIPTION = """Start a collector and a shop that logs to it: a page in the browser, and its back end in Python.
Click in the shop, and follow an order through both. All records are deleted when the command ends."""
_LOCAL = "127.0.0.1"


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("demo", help="try the collector with a small shop", description=_DESCRIPTION)
    parser.set_defaults(run=main)
    parser.add_argument(
        "--port", type=int, default=8000, metavar="N", help="port of the collector (default: %(default)s)"
    )
    parser.add_argument(
        "--shop-port", type=int, default=8001, metavar="N", help="port of the shop (default: %(default)s)"
    )


def main(options: argparse.Namespace) -> int:
    """Run both until the process gets a signal to end, and return the exit status."""
    if missing := describe_missing_packages():
        return print_error(missing, "demo")
    with tempfile.TemporaryDirectory(prefix="concurrent-log-demo-") as folder:
        return asyncio.run(_run(options.port, options.shop_port or _free_port(), f"{folder}/logs.sqlite3"))


async def _run(port: int, shop_port: int, database: str) -> int:
    from concurrent_log.collector.server.uvicorn_server import open_socket, serve

    pages = tuple(f"http://{host}:{shop_port}" for host in (_LOCAL, "localhost"))
    settings = ServerSettings(database=database, port=port, cors_origins=pages)
    with contextlib.ExitStack() as stack:
        try:
            listener = stack.enter_context(open_socket(settings))
            url = server_url(settings, listener)
            await serve(settings, listener, lambda: stack.enter_context(_shop(url, shop_port)))
        except OSError as error:
            return print_error(str(error), "demo")
    return 0


@contextlib.contextmanager
def _shop(collector: str, port: int) -> Iterator[None]:
    """Run the shop as a child process. It ends before the collector, so that its last records arrive."""
    command = [sys.executable, "-m", "concurrent_log.collector.demo.shop", collector, str(port)]
    process = subprocess.Popen(command)
    print(f"Shop:       http://{_LOCAL}:{port}/")
    print(f"Collector:  {collector}/", flush=True)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.create_server((_LOCAL, 0)) as probe:
        return int(probe.getsockname()[1])

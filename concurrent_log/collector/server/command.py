"""The command ``serve``: its options, and what it says."""

import argparse
import asyncio
import importlib.util
import sys
from typing import TYPE_CHECKING, Any

from concurrent_log.collector.server.settings import DEFAULT_PORT, PREFIX, Settings, settings_of

if TYPE_CHECKING:
    import socket

_NEEDED = ("asyncpg", "fastapi", "fastapi_offline", "msgspec", "sse_starlette", "uvicorn")
_REMEDY = "the server needs more packages: run pip install 'concurrent_log[server]'"
_DESCRIPTION = f"""Take the records of many processes and machines, store them, and serve the page to read them on.
Each option can be given as an environment variable, too: --max-body as {PREFIX}MAX_BODY."""


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("serve", help="collect records over HTTP, and show them", description=_DESCRIPTION)
    parser.set_defaults(run=main)
    add = parser.add_argument
    add("--database", metavar="WHERE", help="the path of an SQLite file, or postgresql://USER@HOST/NAME")
    add("--data-directory", metavar="PATH", help="where the SQLite file is kept, without --database")
    add("--host", metavar="ADDRESS", help="where to listen (default: 127.0.0.1, this machine only)")
    add("--port", metavar="N", help=f"where to listen; 0 takes a free port (default: {DEFAULT_PORT})")
    add("--token", help="what requests must know; other users of the machine can see options, so rather use one below")
    add("--token-file", metavar="PATH", help=f"the file with the token; or set {PREFIX}TOKEN")
    add("--retention-days", metavar="N", help="remove records that are older (default: keep all)")
    add("--max-body", metavar="SIZE", help="the largest body of a request, before and after decompression, such as 16M")
    add("--cors-origin", metavar="ORIGIN", action="append", help="let pages of this origin ask; may be repeated")


def main(options: argparse.Namespace) -> int:
    """Serve until the process is told to end, and return the exit status."""
    names = "database data_directory host port token token_file retention_days max_body cors_origin"
    try:
        settings = settings_of({name: getattr(options, name) for name in names.split()})
    except ValueError as error:
        return fail(str(error))
    if missing := missing_extra():
        return fail(missing)
    return asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> int:
    # Imported here, so that the command line works without the extra.
    from concurrent_log.collector.server.uvicorn_server import listening, serve
    from concurrent_log.collector.store import StoreUnusable

    try:
        with listening(settings) as where:
            await serve(settings, where, lambda: _say_how_to_begin(settings, where))
    except (OSError, StoreUnusable) as error:
        return fail(str(error))
    return 0


def missing_extra() -> str:
    """Return what to do where a package is missing; an empty string where none is."""
    return "" if all(importlib.util.find_spec(name) for name in _NEEDED) else _REMEDY


def _say_how_to_begin(settings: Settings, where: "socket.socket") -> None:
    address = address_of(settings, where)
    bearer = f' -H "Authorization: Bearer ${PREFIX}TOKEN"' if settings.token is not None else ""
    record = '{"logs": [{"level": "INFO", "message": "hello"}]}'
    print(f"concurrent_log keeps records in {settings.names_database}")
    print(f"Read them at       {address}/")
    print(f"Send a first one:  curl{bearer} {address}/logs -d '{record}'", flush=True)


def address_of(settings: Settings, where: "socket.socket") -> str:
    """Return the address at which this machine finds the server."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{where.getsockname()[1]}"


def fail(what: str, command: str = "serve") -> int:
    """Say what is wrong, and return the exit status."""
    print(f"concurrent-log {command}: {what}", file=sys.stderr)
    return 2

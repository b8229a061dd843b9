"""The command ``serve``: its options and its output."""

import argparse
import asyncio
import importlib.util
import sys
from typing import TYPE_CHECKING, Any

from concurrent_log.collector.server.settings import DEFAULT_PORT, FORMATS, PREFIX, ServerSettings, load_settings

if TYPE_CHECKING:
    import socket

_NEEDED = ("asyncpg", "cramjam", "fastapi", "fastapi_offline", "msgspec", "sse_starlette", "uvicorn")
_DESCRIPTION = f"""Store the records of many processes and machines, and serve a page to read them.
Each option can also be set by an environment variable: --max-body by {PREFIX}MAX_BODY."""


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("serve", help="collect records over HTTP, and show them", description=_DESCRIPTION)
    parser.set_defaults(run=main)
    add = parser.add_argument
    add("--database", metavar="WHERE", help="the path of an SQLite file, or postgresql://USER@HOST/NAME")
    add("--data-directory", metavar="PATH", help="the folder of the SQLite file, if --database is not given")
    add("--host", metavar="ADDRESS", help="the address to listen on (default: 127.0.0.1, this machine only)")
    add("--port", metavar="N", help=f"the port to listen on; 0 chooses a free port (default: {DEFAULT_PORT})")
    add("--token", help="the secret that requests must send; prefer --token-file: other users can see options")
    add("--token-file", metavar="PATH", help=f"a file that contains the token; or set {PREFIX}TOKEN")
    add("--retention-days", metavar="N", help="remove records that are older (default: keep all)")
    add("--service-retention", metavar="NAME=N", action="append", help="remove records of a service that are older")
    add("--retention-size", metavar="SIZE", help="remove the oldest records beyond this size, such as 50G")
    add("--max-body", metavar="SIZE", help="the largest body of a request, before and after decompression, such as 16M")
    add("--cors-origin", metavar="ORIGIN", action="append", help="allow pages of this origin; may be repeated")
    add("--trusted-proxy", metavar="ADDRESS", action="append", help="trust the headers of this proxy; may be repeated")
    add("--user-header", metavar="NAME", help="the header in which a trusted proxy sends the name of the user")
    add("--disable-format", metavar="NAME", action="append", help=f"refuse {', '.join(FORMATS)}; may be repeated")
    add("--admin-user", metavar="NAME", action="append", help="this person is an administrator; may be repeated")


def main(options: argparse.Namespace) -> int:
    """Serve until a signal ends the process, and return the exit status."""
    names = "database data_directory host port token token_file retention_days retention_size max_body cors_origin"
    names += " trusted_proxy user_header admin_user service_retention disable_format"
    try:
        settings = load_settings({name: getattr(options, name) for name in names.split()})
    except ValueError as error:
        return print_error(str(error))
    if missing := describe_missing_packages():
        return print_error(missing)
    return asyncio.run(_serve(settings))


async def _serve(settings: ServerSettings) -> int:
    # Imported here, so that the command line works without the extra.
    from concurrent_log.collector.server.uvicorn_server import open_socket, serve
    from concurrent_log.collector.store.interface import StoreUnusable, full_reason

    try:
        with open_socket(settings) as listener:
            await serve(settings, listener, lambda: _print_first_steps(settings, listener), _print_first_key)
    except (OSError, StoreUnusable) as error:
        return print_error(full_reason(error))
    return 0


def describe_missing_packages() -> str:
    """Return which packages to install; an empty string if none is missing."""
    missing = [name.replace("_", "-") for name in _NEEDED if importlib.util.find_spec(name) is None]
    if not missing:
        return ""
    return f"the server needs {', '.join(missing)}: in a clone, run python -m pip install '.[server]'"


def _print_first_steps(settings: ServerSettings, listener: "socket.socket") -> None:
    url = server_url(settings, listener)
    bearer = f' -H "Authorization: Bearer ${PREFIX}TOKEN"' if settings.token is not None else ""
    if settings.needs_key:
        bearer = ' -H "Authorization: Bearer KEY"'
    record = '{"logs": [{"level": "INFO", "message": "hello"}]}'
    print(f"concurrent_log stores records in {settings.database_name}")
    print(f"Read them at:         {url}/")
    print(f"Send a first record:  curl{bearer} {url}/logs -d '{record}'", flush=True)


def _print_first_key(secret: str) -> None:
    print("This is the first start for others than this machine, so here is an admin key. It is not shown again:")
    print(f"    {secret}")
    print("Log in with it, and create a key for each sender with: concurrent-log key create send", flush=True)


def server_url(settings: ServerSettings, listener: "socket.socket") -> str:
    """Return the URL of the server on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def print_error(message: str, command: str = "serve") -> int:
    """Print an error on stderr, and return the exit status."""
    print(f"concurrent-log {command}: {message}", file=sys.stderr)
    return 2

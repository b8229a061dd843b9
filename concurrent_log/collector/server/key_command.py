"""The command ``key``: creates, lists and revokes keys, directly in the database."""

import argparse
import asyncio
import getpass
import re
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from typing import Any

from concurrent_log.collector.server.command import describe_missing_packages, print_error
from concurrent_log.collector.server.settings import PREFIX, ServerSettings, load_settings, parse_size
from concurrent_log.collector.store.interface import Store, StoreUnavailable, StoreUnusable, full_reason
from concurrent_log.collector.store.keys import KINDS, Key, KeyTable, new_key
from concurrent_log.internal import stderr

_UNITS = {"h": 3600, "d": 86_400, "w": 604_800}
_DESCRIPTION = f"""Create, list and revoke the keys of a collector: send keys for programs and web pages, read keys for
people, admin keys for everything. The command works on the database itself, while servers run or not; name it as for
the command serve, or by {PREFIX}DATABASE. Servers notice a change within seconds."""

_Action = Callable[[Store], Awaitable[int]]


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("key", help="create, list and revoke keys of a collector", description=_DESCRIPTION)
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_create(actions)
    _add_list(actions)
    _add_revoke(actions)


def _add_create(actions: "argparse._SubParsersAction[Any]") -> None:
    description = "Create a key, and print it on stdout, only this once: the database has its digest only."
    parser = actions.add_parser("create", help="create a key, and print it", description=description)
    parser.set_defaults(run=_create)
    add = parser.add_argument
    add("kind", choices=KINDS, help="what the key allows; an admin key may also send and read")
    add(
        "--name", metavar="TEXT", help="what the key is for, such as 'web servers' (default: the kind and the services)"
    )
    add("--service", metavar="NAME", action="append", default=[], help="send only for, or read only, this service")
    add("--environment", metavar="NAME", help="send only for this environment")
    add("--origin", metavar="ORIGIN", action="append", default=[], help="only pages of this origin may send with it")
    add("--records-per-minute", metavar="N", type=int, help="limit for all senders with this key (pages: 6,000)")
    add("--bytes-per-minute", metavar="SIZE", help="limit for all senders with this key, such as 10M (pages: 6M)")
    add("--expires", metavar="TIME", help="when the key ends: after 12h, 90d or 52w, or a date such as 2027-01-31")
    _add_database(parser)


def _add_list(actions: "argparse._SubParsersAction[Any]") -> None:
    parser = actions.add_parser("list", help="list all keys", description="List all keys, without their secrets.")
    parser.set_defaults(run=_list)
    _add_database(parser)


def _add_revoke(actions: "argparse._SubParsersAction[Any]") -> None:
    description = "Revoke a key. Servers refuse it within seconds, and its sessions on the page end."
    parser = actions.add_parser("revoke", help="revoke a key", description=description)
    parser.set_defaults(run=_revoke)
    parser.add_argument("id", help="the id of the key, from the list")
    _add_database(parser)


def _add_database(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--database", metavar="WHERE", help="the path of an SQLite file, or postgresql://USER@HOST/NAME")
    add("--data-directory", metavar="PATH", help="the folder of the SQLite file, if --database is not given")


def _create(options: argparse.Namespace) -> int:
    limits: dict[str, Any] = {"environment": options.environment, "records_per_minute": options.records_per_minute}
    try:
        limits["bytes_per_minute"] = parse_size("bytes-per-minute", options.bytes_per_minute, None)
        limits["expires_at"] = _parse_end(options.expires, time.time_ns() // 1000)
        services, origins = tuple(dict.fromkeys(options.service)), tuple(dict.fromkeys(options.origin))
        name = options.name or " ".join([options.kind, *services])
        key = new_key(options.kind, name, services=services, origins=origins, **limits)
    except ValueError as error:
        return print_error(str(error), "key create")

    async def create(store: Store) -> int:
        await _record(store, "created a key", key)
        secret = await KeyTable(store).add(key)
        has_admin = any(each.kind == "admin" for each in (await KeyTable(store).all()).values())
        stderr.warn(f"created the {key.kind} key {key.id}; keep it now, it is not shown again")
        if not has_admin:
            stderr.warn(
                "from now on, servers with this database accept nothing without a key; to read and to "
                "administer, create one with: concurrent-log key create admin"
            )
        print(secret)
        return 0

    return _run(options, create, "key create")


def _list(options: argparse.Namespace) -> int:
    async def print_keys(store: Store) -> int:
        now = time.time_ns() // 1000
        table: list[tuple[str, ...]] = [("ID", "KIND", "NAME", "FOR", "CREATED", "LAST USED", "STATE")]
        table += [_describe(key, now) for key in (await KeyTable(store).all()).values()]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for row in table:
            print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
        return 0

    return _run(options, print_keys, "key list")


def _revoke(options: argparse.Namespace) -> int:
    async def revoke(store: Store) -> int:
        keys = [key for key in (await KeyTable(store).all()).values() if key.id == options.id]
        if not keys or keys[0].revoked_at is not None:
            return print_error(f"there is no valid key {options.id!r}: see concurrent-log key list", "key revoke")
        await _record(store, "revoked a key", keys[0])
        await KeyTable(store).revoke(options.id)
        print(f"revoked the {keys[0].kind} key {options.id} ({keys[0].name})")
        return 0

    return _run(options, revoke, "key revoke")


def _run(options: argparse.Namespace, action: _Action, command: str) -> int:
    if missing := describe_missing_packages():
        return print_error(missing, command)
    settings = load_settings({"database": options.database, "data_directory": options.data_directory})
    try:
        return asyncio.run(_with_store(settings, action))
    except (StoreUnavailable, StoreUnusable) as error:
        return print_error(full_reason(error), command)


async def _with_store(settings: ServerSettings, action: _Action) -> int:
    # Imported here, so that the command line works without the extra.
    from concurrent_log.collector.store.factory import create_store

    store = create_store(settings.database)
    await store.open()
    try:
        return await action(store)
    finally:
        await store.close()


async def _record(store: Store, action: str, key: Key) -> None:
    from concurrent_log.collector.server.access.audit import record_use

    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user id without a name, as in some containers
        user = "unknown"
    await record_use(store, f"user {user} on the command line", action, key=key.id, kind=key.kind, name=key.name)


def _describe(key: Key, now: int) -> tuple[str, ...]:
    scope = [*key.services, *([key.environment] if key.environment else []), *key.origins]
    state = "revoked" if key.revoked_at is not None else "valid" if key.is_valid(now) else "expired"
    if state == "valid" and key.expires_at is not None:
        state = f"until {_time_text(key.expires_at)}"
    created, used = _time_text(key.created_at), _time_text(key.last_used_at) if key.last_used_at else "never"
    return key.id, key.kind, key.name, " ".join(scope) or "all", created, used, state


def _time_text(microseconds: int) -> str:
    return f"{datetime.fromtimestamp(microseconds / 1e6, timezone.utc):%Y-%m-%d %H:%M}Z"


def _parse_end(text: str | None, now: int) -> int | None:
    """Return a time, given as a duration from ``now`` or as a date in UTC, in microseconds since 1970."""
    if text is None:
        return None
    if found := re.fullmatch(r"([0-9]{1,5})([hdw])", text):
        return now + int(found[1]) * _UNITS[found[2]] * 1_000_000
    try:
        moment = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=timezone.utc)
    except ValueError:
        raise ValueError(f"expires must be like 12h, 90d, 52w or 2027-01-31, not {text!r}") from None
    return int(moment.timestamp()) * 1_000_000

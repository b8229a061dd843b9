"""Keys: what a key may be, and how both stores keep it."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")

import asyncpg

from concurrent_log.collector.store.factory import create_store
from concurrent_log.collector.store.interface import Store
from concurrent_log.collector.store.keys import Key, KeyTable, digest, is_generated, new_key, new_secret
from concurrent_log.collector.store.migrations import migrations
from support.collector_server import execute, select


def run(database: str, test: Callable[[KeyTable], Awaitable[None]]) -> None:
    """Run ``test`` with the keys of an open store."""

    async def with_store() -> None:
        store: Store = create_store(database)
        await store.open()
        try:
            await test(KeyTable(store))
        finally:
            await store.close()

    asyncio.run(with_store())


def test_key_is_stored_with_all_its_limits(database: str) -> None:
    """P10: a key is read back as it was; its secret is in no column, and only its digest finds it."""
    limits = {"services": ("shop",), "environment": "live", "origins": ("https://shop.example",)}
    key = new_key("send", "Shop's page 店", **limits, expires_at=time.time_ns() // 1000 + 1_000_000)

    async def test(table: KeyTable) -> None:
        secret = await table.add(key)
        second = await table.add(new_key("read", "people"))
        found = await table.all()

        assert found[digest(secret)] == key
        assert list(found)[1] == digest(second)
        assert is_generated(secret)
        assert secret not in repr(select(database, "SELECT * FROM keys"))

    run(database, test)


def test_revoked_and_expired_keys_are_invalid(database: str) -> None:
    """A revoked key stays in the table with the time; it cannot be revoked twice. An end is exclusive."""
    key = new_key("read", "one", expires_at=time.time_ns() // 1000 + 10_000_000)

    async def test(table: KeyTable) -> None:
        secret = await table.add(key)

        assert key.is_valid(key.created_at)
        assert not key.is_valid(key.expires_at or 0)
        assert [await table.revoke(key.id), await table.revoke(key.id), await table.revoke("none")] == [
            True,
            False,
            False,
        ]
        assert not (await table.all())[digest(secret)].is_valid(key.created_at)

    run(database, test)


def test_last_use_never_goes_back(database: str) -> None:
    """Of two servers that note a use, the later time stays."""
    key = new_key("read", "one")

    async def test(table: KeyTable) -> None:
        await table.add(key)
        for seconds in (1000, 500, 1030, 2000):
            await table.note_uses({key.id: seconds * 1_000_000, "unknown": 1})
        (found,) = (await table.all()).values()

        assert found.last_used_at == 2_000_000_000

    run(database, test)


def test_first_key_is_created_once(database: str) -> None:
    """Several servers that start at once create one admin key; once a key was revoked, none is created again."""

    async def test(table: KeyTable) -> None:
        made = [each for each in await asyncio.gather(*(table.add_first() for _ in range(5))) if each is not None]
        (key,) = (await table.all()).values()
        await table.revoke(key.id)

        assert (len(made), key.kind) == (1, "admin")
        assert await table.add_first() is None

    run(database, test)


@pytest.mark.parametrize(
    ("kind", "limits", "message"),
    [
        ("root", {}, "kind must be one of send, read, admin, not 'root'"),
        ("admin", {"services": ("shop",)}, "an admin key cannot be limited"),
        ("send", {"services": ("shop", "web")}, "sends for one service"),
        ("send", {"services": ("",)}, "1 to 200 printable characters"),
        ("send", {"services": ("a\0",)}, "1 to 200 printable characters"),
        ("send", {"origins": ("https://a.example",)}, "a key with origins needs a service"),
        ("send", {"services": ("shop",), "origins": ("*",)}, "an origin must be like"),
        ("send", {"services": ("shop",), "origins": ("https://a.example/path",)}, "an origin must be like"),
        ("send", {"records_per_minute": 0}, "at least 1"),
        ("read", {"environment": "live"}, "only a send key can have"),
        ("read", {"origins": ("https://a.example",)}, "needs a service|only a send key"),
        ("read", {"records_per_minute": 5}, "only a send key can have"),
        ("read", {"expires_at": 1}, "must be in the future"),
    ],
)
def test_impossible_key_is_refused(kind: str, limits: dict[str, Any], message: str) -> None:
    """A limit that nothing would enforce, or that means nothing, is an error with one line."""
    with pytest.raises(ValueError, match=message):
        new_key(kind, "name", **limits)


def test_key_of_a_page_is_always_limited() -> None:
    """P10: a key with origins has a rate, because every visitor can copy it; another key has none."""
    page = new_key("send", "page", services=("shop",), origins=("https://a.example",))
    program = new_key("send", "program", services=("shop",))

    assert page.records_per_minute
    assert page.bytes_per_minute
    assert (program.records_per_minute, program.bytes_per_minute) == (None, None)


def test_only_generated_secrets_look_generated() -> None:
    """Guesses of a token that a person chose are told apart from keys that cannot be guessed."""
    assert is_generated(new_secret("send"))
    for text in ("", "cl_send_x", "a-secret-of-the-tests", new_secret("send") + "x", new_secret("root")):
        assert not is_generated(text)


def test_database_of_the_previous_schema_is_upgraded(database: str, tmp_path: Path) -> None:
    """A database with schema 2 gets the new tables when it is opened, and keeps its records."""
    steps = dict(migrations("sqlite" if database.endswith(".sqlite3") else "postgres"))
    old = [sql for number, sql in steps.items() if number <= 2]
    version = "CREATE TABLE schema_version (version INTEGER NOT NULL); INSERT INTO schema_version VALUES (1), (2);"
    record = "INSERT INTO logs ({}created_at, level, level_number, message) VALUES ({}{}, 'INFO', 20, 'old');"
    if database.endswith(".sqlite3"):
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.executescript(";\n".join([*old, version, record.format("received_at, ", "1, ", "1")]))
    else:
        asyncio.run(_execute(database, "CREATE SCHEMA concurrent_log"))
        execute(database, ";\n".join([*old, version, record.format("", "", "now()")]))

    async def test(table: KeyTable) -> None:
        await table.add(Key("one", "read", "one", 1))

    run(database, test)
    assert select(database, "SELECT message FROM logs") == [("old",)]
    assert select(database, "SELECT id FROM keys") == [("one",)]
    assert select(database, "SELECT max(version) FROM schema_version") == [(max(steps),)]


async def _execute(address: str, sql: str) -> None:
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()

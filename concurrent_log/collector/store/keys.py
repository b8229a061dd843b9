"""Keys for sending, reading and administering. The store has only their digests: a copy of it has no usable key."""

import hashlib
import json
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from concurrent_log.collector.store.interface import Store

KINDS = ("send", "read", "admin")
LAST_USE_PRECISION = 60_000_000  # microseconds
FIRST_ID = "first"  # the id of the admin key that the first start of a server creates

# The limits of a key with origins, unless others are given: any visitor of the page can copy such a key.
BROWSER_RECORDS_PER_MINUTE = 6_000
BROWSER_BYTES_PER_MINUTE = 6 << 20

_MAX_NAME_LENGTH = 100
_MAX_ITEMS = 50  # services or origins
_MAX_LIMIT = 2**53  # of a rate
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]{0,20}://[^/\s*]{1,250}", re.ASCII)
_COLUMNS = (
    "id",
    "kind",
    "name",
    "created_at",
    "services",
    "environment",
    "origins",
    "records_per_minute",
    "bytes_per_minute",
    "expires_at",
    "revoked_at",
    "last_used_at",
)


@dataclass(frozen=True)
class Key:
    """A key, without its secret; times are in microseconds since 1970.

    Attributes:
        id: Its public name in lists and messages.
        kind: One of `KINDS`. An admin key may also send and read.
        services: A send key sends for this one service only; a read key sees only these. Empty means all.
        environment: A send key sends for this environment only; None means all.
        origins: If there are any, pages of these origins, and nothing else, may send with the key.
        records_per_minute: The limit for all senders with this key together, on one server; None means no limit.
        bytes_per_minute: The same for the bytes of bodies, after decompression.
        last_used_at: With a precision of a minute.
    """

    id: str
    kind: str
    name: str
    created_at: int
    services: tuple[str, ...] = ()
    environment: str | None = None
    origins: tuple[str, ...] = ()
    records_per_minute: int | None = None
    bytes_per_minute: int | None = None
    expires_at: int | None = None
    revoked_at: int | None = None
    last_used_at: int | None = None

    def is_valid(self, now: int) -> bool:
        """Return whether the key is neither revoked nor expired at ``now``."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def new_key(kind: str, name: str, **limits: Any) -> Key:
    """Return a key with a new id; ``limits`` are attributes of `Key`.

    Raises:
        ValueError: An argument is invalid, or does not fit the kind.
    """
    key = Key(secrets.token_hex(4), kind, name.strip(), time.time_ns() // 1000, **limits)
    if key.origins:
        key = replace(
            key,
            records_per_minute=key.records_per_minute or BROWSER_RECORDS_PER_MINUTE,
            bytes_per_minute=key.bytes_per_minute or BROWSER_BYTES_PER_MINUTE,
        )
    _check(key)
    return key


def new_secret(kind: str) -> str:
    """Return a new secret with 256 random bits; its prefix lets people and scanners recognize it."""
    return f"cl_{kind}_{secrets.token_urlsafe(32)}"


def is_generated(secret: str) -> bool:
    """Return whether ``secret`` has the form of `new_secret`, which cannot be guessed."""
    return re.fullmatch(r"cl_(send|read|admin)_[\w-]{43}", secret, re.ASCII) is not None


def digest(secret: str) -> str:
    """Return the digest under which a secret is stored; a fast one is enough, because secrets are random."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _check(key: Key) -> None:
    if key.kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {key.kind!r}")
    if not (1 <= len(key.name) <= _MAX_NAME_LENGTH and key.name.isprintable()):
        raise ValueError(f"name must have 1 to {_MAX_NAME_LENGTH} printable characters, not {key.name[:200]!r}")
    _check_scope(key)
    for origin in key.origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"an origin must be like https://shop.example, without a path, not {origin[:300]!r}")
    if key.origins and not key.services:
        raise ValueError("a key with origins needs a service: every visitor of the page can copy the key")
    for name, limit in (("records", key.records_per_minute), ("bytes", key.bytes_per_minute)):
        if limit is not None and not 1 <= limit <= _MAX_LIMIT:
            raise ValueError(f"the number of {name} per minute must be at least 1, not {limit}")
    if key.expires_at is not None and key.expires_at <= key.created_at:
        raise ValueError("the end of a key must be in the future")


def _check_scope(key: Key) -> None:
    """Raise `ValueError` for a limit that the key's kind cannot have: it would promise what nothing enforces."""
    texts = (*key.services, *(() if key.environment is None else (key.environment,)))
    if any(not (1 <= len(text) <= 200 and text.isprintable()) for text in texts):
        raise ValueError("a service and an environment must have 1 to 200 printable characters")
    if len(key.services) > _MAX_ITEMS or len(key.origins) > _MAX_ITEMS:
        raise ValueError(f"a key can have at most {_MAX_ITEMS} services and {_MAX_ITEMS} origins")
    if key.kind == "admin" and key.services:
        raise ValueError("an admin key cannot be limited to a service: create a send key or a read key")
    if key.kind == "send" and len(key.services) > 1:
        raise ValueError("a send key sends for one service: create one for each service")
    for_sending = (key.environment, key.origins or None, key.records_per_minute, key.bytes_per_minute)
    if key.kind != "send" and any(each is not None for each in for_sending):
        raise ValueError(f"only a send key can have an environment, origins and rates, not a key of kind {key.kind}")


class KeyTable:
    """The keys in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, key: Key) -> str:
        """Store ``key``, and return its secret, which cannot be read again; raise `StoreUnavailable`."""
        secret = new_secret(key.kind)
        await self._store.execute(_insert("VALUES ({})"), *_values(key, secret))
        return secret

    async def add_first(self, secret: str | None = None) -> str | None:
        """Store an admin key unless any key was ever created; return its secret, or None.

        If several servers start at once, one of them creates it.
        """
        key, secret = replace(new_key("admin", "first admin key"), id=FIRST_ID), secret or new_secret("admin")
        only_once = "SELECT {} WHERE NOT EXISTS (SELECT 1 FROM keys) ON CONFLICT DO NOTHING"
        await self._store.execute(_insert(only_once), *_values(key, secret))
        found = await self._store.select("SELECT digest FROM keys WHERE id = $1", FIRST_ID)
        return secret if found and found[0][0] == digest(secret) else None

    async def all(self) -> dict[str, Key]:
        """Return all keys by their digests, in the order of their creation; also those that are no longer valid."""
        rows = await self._store.select(f"SELECT digest, {', '.join(_COLUMNS)} FROM keys ORDER BY created_at, id")
        return {row[0]: _key(dict(zip(_COLUMNS, row[1:], strict=True))) for row in rows}

    async def revoke(self, key_id: str) -> bool:
        """Revoke a key from now on; return False if there is no such valid key."""
        now = time.time_ns() // 1000
        return bool(
            await self._store.execute(
                "UPDATE keys SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL", now, key_id
            )
        )

    async def note_uses(self, uses: Mapping[str, int]) -> None:
        """Store when keys were last used, by their ids; an earlier time than the stored one changes nothing."""
        for key_id, used_at in uses.items():
            await self._store.execute(
                "UPDATE keys SET last_used_at = $1 WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $3)",
                used_at,
                key_id,
                used_at - LAST_USE_PRECISION,
            )


_TIMES = ("created_at", "expires_at", "revoked_at", "last_used_at")


def _insert(source: str) -> str:
    """Return the INSERT statement; the types are for PostgreSQL, which cannot infer them in a SELECT."""
    names = ("digest", *_COLUMNS)
    types = {**dict.fromkeys(_TIMES, "TIMESTAMPTZ"), "records_per_minute": "BIGINT", "bytes_per_minute": "BIGINT"}
    values = [f"${number}::{types.get(name, 'TEXT')}" for number, name in enumerate(names, 1)]
    return f"INSERT INTO keys ({', '.join(names)}) {source.format(', '.join(values))}"


def _values(key: Key, secret: str) -> Sequence[Any]:
    given = {**vars(key), "services": json.dumps(key.services), "origins": json.dumps(key.origins)}
    return [digest(secret), *(given[name] for name in _COLUMNS)]


def _key(row: dict[str, Any]) -> Key:
    return Key(**{**row, "services": tuple(json.loads(row["services"])), "origins": tuple(json.loads(row["origins"]))})

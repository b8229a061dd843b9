"""Sessions: the logins to the page, which end at logout, on revocation, or after a week."""

import secrets
import time
from dataclasses import dataclass
from typing import Any

from concurrent_log.collector.store.interface import Store

LIFETIME = 7 * 86_400_000_000  # microseconds
_MEMORY = 30 * 86_400_000_000  # microseconds for which sessions that ended are listed
_COLUMNS = ("id", "key_id", "kind", "name", "address", "created_at", "expires_at", "ended_at")


@dataclass(frozen=True)
class Session:
    """A login, without its secret; times are in microseconds since 1970.

    Attributes:
        id: Its public name in lists and messages.
        key_id: The key by which it began; None if it began by the server's token or by a reverse proxy.
        kind: ``read`` or ``admin``.
        name: Who logged in: the name of the key, or of the user.
        address: The address from which the login came.
    """

    id: str
    key_id: str | None
    kind: str
    name: str
    address: str
    created_at: int
    expires_at: int
    ended_at: int | None = None

    def is_valid(self, now: int) -> bool:
        """Return whether the session has not ended at ``now``."""
        return self.ended_at is None and now < self.expires_at


def new_session(key_id: str | None, kind: str, name: str, address: str) -> Session:
    """Return a session that begins now."""
    now = time.time_ns() // 1000
    return Session(secrets.token_hex(4), key_id, kind, name, address, now, now + LIFETIME)


class SessionTable:
    """The sessions in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, session: Session, digest: str) -> None:
        """Store a session under the digest of its secret; forget those that ended long ago."""
        names = ("digest", *_COLUMNS)
        numbers = ", ".join(f"${number}" for number in range(1, len(names) + 1))
        values: list[Any] = [digest, *(getattr(session, name) for name in _COLUMNS)]
        await self._store.execute(f"INSERT INTO sessions ({', '.join(names)}) VALUES ({numbers})", *values)
        await self._store.execute("DELETE FROM sessions WHERE expires_at < $1", session.created_at - _MEMORY)

    async def valid(self) -> dict[str, Session]:
        """Return all sessions that have not ended, by the digests of their secrets, oldest first."""
        columns, now = ", ".join(_COLUMNS), time.time_ns() // 1000
        condition = "ended_at IS NULL AND expires_at > $1"
        sql = f"SELECT digest, {columns} FROM sessions WHERE {condition} ORDER BY created_at, id"
        rows = await self._store.select(sql, now)
        return {row[0]: Session(*row[1:]) for row in rows}

    async def end(self, session_id: str) -> bool:
        """End a session now; return False if there is no such session."""
        now = time.time_ns() // 1000
        sql = "UPDATE sessions SET ended_at = $1 WHERE id = $2 AND ended_at IS NULL"
        return bool(await self._store.execute(sql, now, session_id))

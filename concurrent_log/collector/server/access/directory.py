"""The keys and sessions of the store, read again every few seconds, so that a revoked one ends on every server."""

import asyncio
import contextlib
import time
from collections.abc import Sequence

from concurrent_log.collector.server.managed_store import ManagedStore
from concurrent_log.collector.store.interface import StoreUnavailable, StoreUnusable
from concurrent_log.collector.store.keys import LAST_USE_PRECISION, Key, KeyTable, digest
from concurrent_log.collector.store.sessions import Session, SessionTable
from concurrent_log.internal import stderr

_MAX_AGE = 2.0  # seconds after which they are read again
_MIN_AGE = 0.5  # seconds between two readings because of unknown secrets
_PATIENCE = 1.0  # seconds that a request waits for the reading if there is an earlier one
_MAX_STALENESS = 60.0  # seconds for which an earlier reading is used while the database does not respond


class KeyDirectory:
    """The keys and the sessions of a store."""

    def __init__(self, managed_store: ManagedStore) -> None:
        self._managed_store = managed_store
        self.keys = KeyTable(managed_store.store)
        self.sessions = SessionTable(managed_store.store)
        self._by_digest: dict[str, Key] = {}
        self._by_id: dict[str, Key] = {}
        self._sessions: dict[str, Session] = {}
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._uses: dict[str, int] = {}

    @property
    def is_empty(self) -> bool:
        """Whether no key was ever created; a revoked key counts."""
        return not self._by_id

    def origins(self) -> frozenset[str]:
        """Return the origins of all valid keys."""
        now = time.time_ns() // 1000
        return frozenset(origin for key in self._by_id.values() if key.is_valid(now) for origin in key.origins)

    async def find_key(self, secret: str) -> Key | None:
        """Return the valid key with a secret; raise `StoreUnavailable` if the keys are not known."""
        found, now = digest(secret), time.time_ns() // 1000
        await self.refresh()
        if found not in self._by_digest:
            await self._read_anew()
        key = self._by_digest.get(found)
        if key is None or not key.is_valid(now):
            return None
        self._uses[key.id] = now
        return key

    async def find_session(self, digests: Sequence[str]) -> tuple[Session, Key | None] | None:
        """Return the valid session with one of these digests, and its key; None if one of them is no longer valid."""
        now = time.time_ns() // 1000
        await self.refresh()
        if self._sessions.keys().isdisjoint(digests):
            await self._read_anew()
        session = next((self._sessions[each] for each in digests if each in self._sessions), None)
        if session is None or not session.is_valid(now):
            return None
        if session.key_id is None:
            return session, None
        key = self._by_id.get(session.key_id)
        if key is None or not key.is_valid(now):
            return None
        self._uses[key.id] = now
        return session, key

    def was_valid(self, found: str) -> bool:
        """Return whether a digest is that of a key, also of a revoked one: a client that sends it does not guess."""
        return found in self._by_digest

    def is_session_valid(self, session: Session) -> bool:
        """Return whether a session, as far as known, has not ended."""
        now = time.time_ns() // 1000
        return session.is_valid(now) and any(each.id == session.id for each in self._sessions.values())

    def is_key_valid(self, key: Key) -> bool:
        """Return whether a key, as far as known, is neither revoked nor expired."""
        known = self._by_id.get(key.id)
        return known is not None and known.is_valid(time.time_ns() // 1000)

    async def _read_anew(self) -> None:
        """Read everything once after this call, because another process may have created a key just now.

        It waits a moment, so that many unknown secrets cause few readings.
        """
        asked = time.monotonic()
        await asyncio.sleep(max(0.0, self._read_at + _MIN_AGE - asked))
        if self._read_at < asked:
            await self.refresh(0)

    async def refresh(self, max_age: float = _MAX_AGE) -> None:
        """Read the keys and sessions unless they are younger; raise `StoreUnavailable` if they are too old."""
        age = time.monotonic() - self._read_at
        if age <= max_age:
            return
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        try:
            is_known = age < _MAX_STALENESS
            await asyncio.wait_for(asyncio.shield(self._reading), _PATIENCE if is_known else None)
        except (asyncio.TimeoutError, StoreUnavailable, StoreUnusable):
            if time.monotonic() - self._read_at > _MAX_STALENESS:
                raise StoreUnavailable("the database is unavailable") from None

    async def _read(self) -> None:
        self._managed_store.require_open()
        begun = time.monotonic()
        by_digest, sessions = await self.keys.all(), await self.sessions.valid()
        self._by_digest, self._sessions = by_digest, sessions
        self._by_id = {key.id: key for key in by_digest.values()}
        self._read_at = begun
        await self._note_uses()

    async def _note_uses(self) -> None:
        """Store when keys were last used, unless the stored time is less than a minute older."""
        due = {}
        for key_id, used_at in self._uses.items():
            key = self._by_id.get(key_id)
            if key is not None and used_at - (key.last_used_at or 0) > LAST_USE_PRECISION:
                due[key_id] = used_at
        self._uses = {}
        with contextlib.suppress(StoreUnavailable, StoreUnusable):  # It is only information.
            await self.keys.note_uses(due)

    async def create_first_key(self) -> str | None:
        """Create an admin key unless any key was ever created; return its secret or None."""
        secret = await self.keys.add_first()
        self.forget()
        return secret

    def forget(self) -> None:
        """Read everything again at the next request, because it was changed here."""
        self._read_at = min(self._read_at, time.monotonic() - _MAX_AGE - 1)

    async def close(self) -> None:
        """Store the last uses."""
        if self._reading is not None:
            await asyncio.wait([self._reading])
        if self._managed_store.is_open:
            try:
                await asyncio.wait_for(self._note_uses(), 2)
            except asyncio.TimeoutError:
                stderr.warn("the last uses of keys could not be stored")

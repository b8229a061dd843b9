"""Finds out who sent a request: by a key, the server's token, a session, or a reverse proxy's header."""

import base64
import hashlib
import hmac
import math
import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from fastapi import Request, Response

from concurrent_log.collector.server.access import identity as identities
from concurrent_log.collector.server.access.directory import KeyDirectory
from concurrent_log.collector.server.access.guesses import GuessLimiter
from concurrent_log.collector.server.access.identity import EVERYONE, Identity
from concurrent_log.collector.server.access.origins import OriginRules
from concurrent_log.collector.server.access.trusted_proxy import TrustedProxy
from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.managed_store import ManagedStore
from concurrent_log.collector.server.settings import ServerSettings, is_loopback
from concurrent_log.collector.store.interface import StoreUnavailable
from concurrent_log.collector.store.keys import digest, is_generated
from concurrent_log.collector.store.sessions import LIFETIME, new_session
from concurrent_log.internal import stderr

COOKIE = "concurrent_log_session"
_MAX_SECRET_LENGTH = 1000
_MAX_WARNINGS = 100  # about origins


class AccessControl:
    """Decides who sent a request.

    Attributes:
        directory: The keys and sessions of the store.
    """

    def __init__(self, settings: ServerSettings, managed_store: ManagedStore) -> None:
        self.directory = KeyDirectory(managed_store)
        self._origins = OriginRules(settings.cors_origins, self.directory)
        self._proxy = TrustedProxy(settings)
        self._guesses = GuessLimiter()
        self._is_local = settings.is_local
        self._token = digest(settings.token) if settings.token is not None else None
        self._warned: set[str] = set()

    async def is_open(self) -> bool:
        """Return whether everyone on this machine may send and read: there is no token, and never was a key."""
        if self._token is not None or not self._is_local or self._proxy.is_used:
            return False
        await self.directory.refresh()
        return self.directory.is_empty

    async def identify(self, request: Request, *, with_session: bool) -> Identity | None:
        """Return who sent a request, or None if it has no key and no session; raise `Problem` if its key is wrong."""
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await self.find(request, secret.strip())
        if scheme.lower() == "basic" and not with_session:
            return await self.find(request, _password(secret.strip()))
        if with_session:
            return await self.identify_person(request)
        return EVERYONE if await self.is_open() else None

    async def identify_person(self, request: Request) -> Identity | None:
        """Return the person who sent a request of the page, or None without a login."""
        if (found := await self._find_session(request)) is not None:
            return found
        if (user := self._proxy.user(request)) is not None:
            return identities.of_user(*user)
        return EVERYONE if await self.is_open() else None

    async def find(self, request: Request, secret: str) -> Identity:
        """Return the owner of a secret; raise `Problem` if it is wrong, or if its sender guesses."""
        address, found = client_address(request), digest(secret[:_MAX_SECRET_LENGTH])
        wait = self._guesses.wait(address, found)
        if self._token is not None and not wait and hmac.compare_digest(found, self._token):
            self._guesses.note_success(address, found)
            return identities.of_token()
        if is_generated(secret) and (key := await self.directory.find_key(secret)) is not None:
            return identities.of_key(key)
        if await self.is_open():
            return EVERYONE
        if not self.directory.was_valid(found):
            self._guesses.note_failure(address, found)
        if wait:
            message = "too many different wrong keys came from this address: try again later"
            raise Problem(429, message, retry_after=math.ceil(wait))
        raise unauthorized()

    async def _find_session(self, request: Request) -> Identity | None:
        secret = request.cookies.get(COOKIE, "")
        if not secret or len(secret) > _MAX_SECRET_LENGTH:
            return None
        digests = [digest(secret), *([] if self._token is None else [self._token_digest(secret)])]
        found = await self.directory.find_session(digests)
        if found is None:
            return None
        session, key = found
        return identities.of_token(session) if key is None else identities.of_key(key, session)

    def _token_digest(self, secret: str) -> str:
        """Return the digest of a session of the server's token; a new token ends all sessions."""
        return hmac.new((self._token or "").encode(), secret.encode(), hashlib.sha256).hexdigest()

    async def begin_session(self, request: Request, response: Response, identity: Identity) -> None:
        """Begin a session for a key or the token, and set its cookie."""
        if identity is EVERYONE:
            return
        kind = "admin" if "admin" in identity.rights else "read"
        name = identity.key.name if identity.key is not None else identity.name
        key_id = identity.key.id if identity.key is not None else None
        secret, session = secrets.token_urlsafe(32), new_session(key_id, kind, name, client_address(request))
        found = self._token_digest(secret) if identity.key is None else digest(secret)
        await self.directory.sessions.add(session, found)
        self.directory.forget()
        lifetime, secure = LIFETIME // 1_000_000, request.url.scheme == "https"
        response.set_cookie(COOKIE, secret, lifetime, secure=secure, httponly=True, samesite="strict")

    async def end_session(self, request: Request, response: Response) -> None:
        """End the session of a request on the server, and delete its cookie."""
        identity = await self._find_session(request)
        if identity is not None and identity.session is not None:
            await self.directory.sessions.end(identity.session.id)
            self.directory.forget()
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")

    async def check_host(self, request: Request) -> None:
        """Raise `Problem` if an open server is asked by another name: a page of another site may be behind it."""
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or "localhost"
        if not is_loopback(host) and await self.is_open():
            message = "without a key or a token, the server accepts requests to localhost only: create a key"
            raise Problem(403, f"{message} with concurrent-log key create, or set CONCURRENT_LOG_TOKEN")

    def check_origin(self, request: Request, identity: Identity | None) -> None:
        """Raise `Problem` if a page of another site may not send this request."""
        self._origins.check(request, identity)

    def warn_about_page(self, request: Request, identity: Identity) -> None:
        """Warn once for each origin whose pages send with a key that everybody who opens them can read logs with."""
        origin = request.headers.get("origin")
        if origin is None or "read" not in identity.rights or identity is EVERYONE or origin in self._warned:
            return
        if len(self._warned) < _MAX_WARNINGS:
            self._warned.add(origin)
            stderr.warn(
                f"pages of {origin[:200]!r} send with {identity.name}, so everybody who opens them can read all logs: "
                "create a key for them with concurrent-log key create send --service NAME --origin ORIGIN"
            )

    async def is_still_valid(self, identity: Identity) -> bool:
        """Return whether an identity still has its rights: its session goes on, and its key is not revoked."""
        if identity is EVERYONE:
            return await self._knows(self.is_open)
        if identity.session is None and identity.key is None:
            return True
        await self._knows(self._refresh)
        return (identity.session is None or self.directory.is_session_valid(identity.session)) and (
            identity.key is None or self.directory.is_key_valid(identity.key)
        )

    async def _refresh(self) -> bool:
        await self.directory.refresh()
        return True

    async def _knows(self, question: Callable[[], Awaitable[bool]]) -> bool:
        """Return the answer; while the database is unavailable, nothing that is known has changed."""
        try:
            return await question()
        except StoreUnavailable:
            return True


def _password(credentials: str) -> str:
    """Return the password in credentials of RFC 7617: many senders cannot send a key in another way."""
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def client_address(request: Request) -> str:
    """Return the address of the client, behind a trusted proxy the address that the proxy names."""
    return request.client.host if request.client is not None else "unknown"


def unauthorized() -> Problem:
    """Return the response to a request without a valid key."""
    return Problem(401, "the key or token is missing or wrong: send Authorization: Bearer KEY")

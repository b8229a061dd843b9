"""Access control: the token, the session of the page, and the allowed origins."""

import hashlib
import hmac
import time
from urllib.parse import urlsplit

from fastapi import Request, Response

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.settings import ServerSettings, is_loopback

COOKIE = "concurrent_log_session"
_SESSION_LIFETIME = 7 * 86_400  # seconds


class AccessControl:
    """Decides whether a request is allowed."""

    def __init__(self, settings: ServerSettings) -> None:
        self._origins = settings.cors_origins
        self._is_local = settings.is_local
        self._digest = _digest(settings.token) if settings.token is not None else None

    @property
    def needs_token(self) -> bool:
        """Whether the server has a token."""
        return self._digest is not None

    def is_token(self, given: str | None) -> bool:
        """Return whether ``given`` is the token; the comparison takes constant time."""
        return self._digest is None or hmac.compare_digest(_digest(given or ""), self._digest)

    def has_bearer(self, request: Request) -> bool:
        """Return whether the request has the token in its Authorization header."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return self._digest is None or (scheme.lower() == "bearer" and self.is_token(token.strip()))

    def has_session(self, request: Request) -> bool:
        """Return whether the request has the cookie of a valid session."""
        expires, _, signature = request.cookies.get(COOKIE, "").partition(".")
        if self._digest is None or not (expires.isascii() and expires.isdigit() and len(expires) <= 12):
            return self._digest is None
        is_valid = hmac.compare_digest(_sign(self._digest, expires), signature.encode("utf-8", "replace"))
        return is_valid and int(expires) > time.time()

    def begin_session(self, request: Request, response: Response) -> None:
        """Set the cookie of a new session."""
        if self._digest is not None:
            expires = str(int(time.time()) + _SESSION_LIFETIME)
            value = f"{expires}.{_sign(self._digest, expires).decode()}"
            secure = request.url.scheme == "https"
            response.set_cookie(COOKIE, value, _SESSION_LIFETIME, secure=secure, httponly=True, samesite="strict")

    def end_session(self, response: Response) -> None:
        """Delete the cookie of the session."""
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")

    def refuse_other_sites(self, request: Request) -> None:
        """Raise `Problem` if the request is from a page of another site; browsers send some of these without CORS."""
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if self._digest is None and self._is_local and not is_loopback(urlsplit(f"//{host}").hostname or "localhost"):
            message = "without a token, the server accepts requests to localhost only: set CONCURRENT_LOG_TOKEN"
            raise Problem(403, message)
        if origin is None or origin in self._origins or "*" in self._origins:
            return
        if urlsplit(origin).netloc != host:
            raise Problem(403, "this origin is not allowed: add it with --cors-origin")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _sign(key: bytes, expires: str) -> bytes:
    return hmac.new(key, f"session {expires}".encode(), hashlib.sha256).hexdigest().encode()

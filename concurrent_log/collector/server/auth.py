"""Who may ask: by a token, by the page's own session, and from which pages."""

import hashlib
import hmac
import time
from urllib.parse import urlsplit

from fastapi import Request, Response

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.settings import Settings, is_loopback

COOKIE = "concurrent_log_session"
_SESSION = 7 * 86_400  # seconds for which the page needs no token again


class Access:
    """Decides who may ask."""

    def __init__(self, settings: Settings) -> None:
        self._origins = settings.cors_origins
        self._is_local = settings.is_local
        self._digest = _digest(settings.token) if settings.token is not None else None

    @property
    def needs_token(self) -> bool:
        """Whether there is a token."""
        return self._digest is not None

    def is_token(self, given: str | None) -> bool:
        """Return whether ``given`` is the token, in a time that does not tell how much of it is right."""
        return self._digest is None or hmac.compare_digest(_digest(given or ""), self._digest)

    def has_bearer(self, request: Request) -> bool:
        """Return whether the request brings the token in its header."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return self._digest is None or (scheme.lower() == "bearer" and self.is_token(token.strip()))

    def has_session(self, request: Request) -> bool:
        """Return whether the request comes from a page where the token was given."""
        expires, _, signature = request.cookies.get(COOKIE, "").partition(".")
        if self._digest is None or not (expires.isascii() and expires.isdigit() and len(expires) <= 12):
            return self._digest is None
        is_ours = hmac.compare_digest(_sign(self._digest, expires), signature.encode("utf-8", "replace"))
        return is_ours and int(expires) > time.time()

    def begin_session(self, request: Request, response: Response) -> None:
        """Let the page ask without the token from now on."""
        if self._digest is not None:
            expires = str(int(time.time()) + _SESSION)
            value = f"{expires}.{_sign(self._digest, expires).decode()}"
            secure = request.url.scheme == "https"
            response.set_cookie(COOKIE, value, _SESSION, secure=secure, httponly=True, samesite="strict")

    def end_session(self, response: Response) -> None:
        """Let the page forget."""
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")

    def refuse_other_sites(self, request: Request) -> None:
        """Raise `Problem` where a page of another site asks, which a browser does also without being allowed to."""
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if self._digest is None and self._is_local and not is_loopback(urlsplit(f"//{host}").hostname or "localhost"):
            raise Problem(403, "without a token, the server is asked as localhost only: set CONCURRENT_LOG_TOKEN")
        if origin is None or origin in self._origins or "*" in self._origins:
            return
        if urlsplit(origin).netloc != host:
            raise Problem(403, "pages of this origin may not ask: allow it with --cors-origin")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _sign(key: bytes, expires: str) -> bytes:
    return hmac.new(key, f"session {expires}".encode(), hashlib.sha256).hexdigest().encode()

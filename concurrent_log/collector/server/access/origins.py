"""Pages of other sites: browsers send some of their requests without asking, so the server checks the origin."""

import contextlib
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from concurrent_log.collector.server.access.directory import KeyDirectory
from concurrent_log.collector.server.access.identity import Identity
from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.store.interface import StoreUnavailable


class OriginRules:
    """Decides which pages may send requests.

    Args:
        configured: The origins of the option ``--cors-origin``; ``*`` allows all.
        directory: The keys, which have origins of their own.
    """

    def __init__(self, configured: tuple[str, ...], directory: KeyDirectory) -> None:
        self._configured = configured
        self._directory = directory

    def check(self, request: Request, identity: Identity | None) -> None:
        """Raise `Problem` unless the request is from no page, or from one that may send it.

        Without an identity, the origin must be allowed for at least one of the keys.
        """
        origin, key = request.headers.get("origin"), identity.key if identity is not None else None
        limits = key.origins if key is not None else ()
        if origin is None:
            if limits:
                raise Problem(403, f"this key is for pages of {', '.join(limits)} only: use a send key without origins")
            return
        if limits:
            is_allowed = origin in limits
        else:
            is_session = identity is not None and identity.session is not None
            is_same = urlsplit(origin).netloc == request.headers.get("host", "")
            is_allowed = is_same or (not is_session and self._is_configured(origin))
            if identity is None:
                is_allowed = is_allowed or origin in self._directory.origins()
        if not is_allowed:
            raise Problem(403, "this origin is not allowed: add it with --cors-origin, or create a send key with it")

    def _is_configured(self, origin: str) -> bool:
        return origin in self._configured or "*" in self._configured


class KeyOriginsMiddleware(CORSMiddleware):
    """Answers browsers that ask whether a page may send: the origins of valid keys are allowed, too."""

    def __init__(self, app: ASGIApp, /, directory: KeyDirectory, **options: Any) -> None:
        super().__init__(app, **options)
        self._directory = directory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the keys first, because the request that asks has none."""
        if scope["type"] == "http" and any(name == b"origin" for name, _ in scope["headers"]):
            # Without the database, the configured origins are allowed, and the route responds with 503.
            with contextlib.suppress(StoreUnavailable):
                await self._directory.refresh()
        await super().__call__(scope, receive, send)

    def is_allowed_origin(self, origin: str) -> bool:
        """Return whether a page of ``origin`` may read the responses."""
        return super().is_allowed_origin(origin) or origin in self._directory.origins()

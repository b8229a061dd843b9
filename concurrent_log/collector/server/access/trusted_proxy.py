"""A reverse proxy that has authenticated a person, and names the person in a header."""

import ipaddress

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from concurrent_log.collector.server.settings import ServerSettings

_PEER = "concurrent_log_peer"  # the key in the scope of a request
_MAX_USER_LENGTH = 200


class TrustedProxy:
    """Reads the header with the user, from connections of the configured proxies only."""

    def __init__(self, settings: ServerSettings) -> None:
        self._header = settings.user_header
        self._admins = frozenset(settings.admin_users)
        self._networks = [ipaddress.ip_network(each) for each in settings.trusted_proxies]

    @property
    def is_used(self) -> bool:
        """Whether the server trusts a header at all."""
        return self._header is not None

    def user(self, request: Request) -> tuple[str, str] | None:
        """Return the name of the user, and the kind of key that the user has; None without a trusted header."""
        if self._header is None or not self._is_trusted(request.scope.get(_PEER)):
            return None
        values = request.headers.getlist(self._header)
        if len(values) != 1 or not 1 <= len(values[0]) <= _MAX_USER_LENGTH:
            return None  # Two headers: one of them may be from the client itself.
        return values[0], "admin" if values[0] in self._admins else "read"

    def _is_trusted(self, peer: str | None) -> bool:
        try:
            address = ipaddress.ip_address(peer or "")
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)


class PeerMiddleware:
    """Remembers the address of the connection, before a proxy's header replaces it by that of the client."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] == "http" and scope.get("client"):
            scope[_PEER] = scope["client"][0]
        await self._app(scope, receive, send)

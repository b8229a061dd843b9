"""The rule of each route, and the dependency that asks for it. A route without a rule is refused."""

from fastapi import Request

from concurrent_log.collector.server.access.control import AccessControl, unauthorized
from concurrent_log.collector.server.access.identity import Identity
from concurrent_log.collector.server.errors import Problem

# What a request needs, by its method and the path of its route: a right, or nothing.
RULES = {
    ("GET", "/"): "nothing",
    ("HEAD", "/"): "nothing",
    ("GET", "/client.js"): "nothing",
    ("GET", "/docs"): "nothing",
    ("GET", "/health"): "nothing",
    ("GET", "/session"): "nothing",
    ("POST", "/login"): "nothing",
    ("POST", "/logout"): "nothing",
    ("POST", "/logs"): "send",
    ("POST", "/v1/logs"): "send",
    ("POST", "/loki/api/v1/push"): "send",
    ("POST", "/_bulk"): "send",
    ("PUT", "/_bulk"): "send",
    ("POST", "/{index}/_bulk"): "send",
    ("PUT", "/{index}/_bulk"): "send",
    ("GET", "/logs"): "read",
    ("GET", "/logs/{id}"): "read",
    ("GET", "/logs/{id}/context"): "read",
    ("GET", "/histogram"): "read",
    ("GET", "/values"): "read",
    ("GET", "/groups"): "read",
    ("GET", "/services"): "read",
    ("GET", "/stats"): "read",
    ("GET", "/download"): "read",
    ("GET", "/live"): "read",
    ("GET", "/keys"): "admin",
    ("POST", "/keys"): "admin",
    ("DELETE", "/keys/{id}"): "admin",
    ("GET", "/sessions"): "admin",
    ("DELETE", "/sessions/{id}"): "admin",
    ("GET", "/deletion"): "admin",
    ("DELETE", "/logs"): "admin",
}

SENDING = frozenset(route for route, right in RULES.items() if right == "send")


async def authorize(request: Request) -> None:
    """Raise `Problem` or `StoreUnavailable` unless the request may use its route; set ``request.state.identity``.

    `POST /logs` alone is called without an identity if the request has no key in its head: a page that is being closed
    sends it in the body. That route asks again.
    """
    access: AccessControl = request.app.state.access
    need = RULES.get((request.method, request.scope["route"].path))
    if need is None:
        raise Problem(403, "this route has no rule about access")
    if need == "nothing":
        if request.method not in ("GET", "HEAD"):
            access.check_origin(request, None)
        return
    await access.check_host(request)
    access.check_origin(request, None)
    identity = await access.identify(request, with_session=need != "send")
    request.state.identity = identity
    if identity is not None:
        access.check_origin(request, identity)
        identity.require(need)
    elif need != "send":
        raise unauthorized()
    if need != "send":
        request.app.state.managed_store.require_open()


def identity_of(request: Request) -> Identity:
    """Return who sent a request, after `authorize`."""
    identity: Identity | None = request.state.identity
    if identity is None:
        raise unauthorized()
    return identity

"""Who sent a request, and what that one may do."""

from dataclasses import dataclass

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.store.keys import Key
from concurrent_log.collector.store.sessions import Session

RIGHTS = {
    "send": frozenset({"send"}),
    "read": frozenset({"read"}),
    "admin": frozenset({"send", "read", "admin"}),
}


@dataclass(frozen=True)
class Identity:
    """Who sent a request.

    Attributes:
        name: For records and messages.
        rights: Some of ``send``, ``read`` and ``admin``.
        key: The key of the request or of its session; None if there is none.
        session: The session of the page; None if the request has a key or a token itself.
    """

    name: str
    rights: frozenset[str]
    key: Key | None = None
    session: Session | None = None

    @property
    def visible_services(self) -> tuple[str, ...]:
        """The services whose records it may read; empty if it may read all."""
        return () if self.key is None or self.key.kind != "read" else self.key.services

    def require(self, right: str) -> None:
        """Raise `Problem` unless it has a right."""
        if right not in self.rights:
            may = " and ".join(sorted(self.rights))
            raise Problem(403, f"this key may only {may}: use a key of kind {right}")


# Everybody on this machine, as long as the server has neither a token nor any key. There is no administrator then.
EVERYONE = Identity("everyone on this machine", frozenset({"send", "read"}))


def of_token(session: Session | None = None) -> Identity:
    """Return the identity of the server's own token, which is an admin key."""
    return Identity("the server's token", RIGHTS["admin"], session=session)


def of_key(key: Key, session: Session | None = None) -> Identity:
    """Return the identity of a valid key."""
    return Identity(f"key {key.id} ({key.name})", RIGHTS[key.kind], key, session)


def of_user(name: str, kind: str) -> Identity:
    """Return the identity of a person, by the name that a reverse proxy sends; ``kind`` is ``read`` or ``admin``."""
    return Identity(f"user {name}", RIGHTS[kind] - {"send"})

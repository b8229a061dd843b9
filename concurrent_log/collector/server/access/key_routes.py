"""The routes for administrators: keys and sessions."""

import time
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from concurrent_log.collector.server.access.audit import record_use
from concurrent_log.collector.server.access.control import AccessControl
from concurrent_log.collector.server.access.rules import identity_of
from concurrent_log.collector.server.errors import Problem, documented
from concurrent_log.collector.server.small_body import documented_body, read_small_body
from concurrent_log.collector.store.keys import Key, new_key
from concurrent_log.collector.store.reader import iso_time
from concurrent_log.collector.store.sessions import Session

_DAY = 86_400_000_000  # microseconds

router = APIRouter(tags=["administration"], responses=documented(401, 403, 503))


class NewKeyRequest(BaseModel):
    """The limits of a new key."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["send", "read", "admin"]
    name: str = Field(max_length=100, description="What the key is for.")
    services: list[str] = Field([], max_length=50, description="Send for this one, or read only these; all if empty.")
    environment: str | None = Field(None, max_length=200, description="Send for this one only.")
    origins: list[str] = Field([], max_length=50, description="Only pages of these origins may send with the key.")
    records_per_minute: int | None = Field(None, ge=1, le=2**53)
    bytes_per_minute: int | None = Field(None, ge=1, le=2**53)
    days: int | None = Field(None, ge=1, le=36_500, description="The key ends after this number of days.")


class KeyResponse(BaseModel):
    """A key, without its secret."""

    id: str
    kind: str
    name: str
    services: list[str]
    environment: str | None
    origins: list[str]
    records_per_minute: int | None
    bytes_per_minute: int | None
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None = Field(description="With a precision of a minute; null if it was never used.")
    is_valid: bool = Field(description="Whether it is neither revoked nor expired.")


class KeysResponse(BaseModel):
    """All keys, in the order of their creation."""

    keys: list[KeyResponse]


class NewKeyResponse(BaseModel):
    """A new key, and its secret, which cannot be read again."""

    key: KeyResponse
    secret: str


class LoginSessionResponse(BaseModel):
    """A session that has not ended."""

    id: str
    kind: str
    name: str = Field(description="Who logged in: the name of the key.")
    address: str
    created_at: str
    expires_at: str
    is_own: bool = Field(description="Whether it is the session of this request.")


class SessionsResponse(BaseModel):
    """All sessions that have not ended, oldest first."""

    sessions: list[LoginSessionResponse]


@router.get("/keys", summary="List keys")
async def list_keys(request: Request) -> KeysResponse:
    """Return all keys, also those that are no longer valid."""
    access: AccessControl = request.app.state.access
    return KeysResponse(keys=[_describe(key) for key in (await access.directory.keys.all()).values()])


@router.post(
    "/keys",
    summary="Create a key",
    status_code=201,
    responses=documented(413, 422),
    openapi_extra=documented_body(NewKeyRequest),
)
async def create_key(request: Request) -> NewKeyResponse:
    """Create a key. The response contains its secret, which is not stored."""
    access: AccessControl = request.app.state.access
    given = await read_small_body(request, NewKeyRequest)
    limits = given.model_dump(exclude={"kind", "name", "services", "origins", "days"})
    end = None if given.days is None else time.time_ns() // 1000 + given.days * _DAY
    services, origins = tuple(dict.fromkeys(given.services)), tuple(dict.fromkeys(given.origins))
    try:
        key = new_key(given.kind, given.name, services=services, origins=origins, expires_at=end, **limits)
    except ValueError as error:
        raise Problem(422, str(error)) from None
    await _record(request, "created a key", key=key.id, kind=key.kind, name=key.name)
    secret = await access.directory.keys.add(key)
    access.directory.forget()
    return NewKeyResponse(key=_describe(key), secret=secret)


@router.delete("/keys/{id}", summary="Revoke a key", status_code=204, responses=documented(404))
async def revoke_key(request: Request, id: str) -> Response:  # noqa: A002 - the name in the path
    """Revoke a key on all servers, within seconds; its sessions end."""
    access: AccessControl = request.app.state.access
    found = [key for key in (await access.directory.keys.all()).values() if key.id == id and key.revoked_at is None]
    if not found:
        raise Problem(404, "there is no valid key with this id")
    await _record(request, "revoked a key", key=id, kind=found[0].kind, name=found[0].name)
    await access.directory.keys.revoke(id)
    access.directory.forget()
    return Response(status_code=204)


@router.get("/sessions", summary="List sessions")
async def list_sessions(request: Request) -> SessionsResponse:
    """Return all sessions of the page that have not ended."""
    access: AccessControl = request.app.state.access
    own = identity_of(request).session
    found = (await access.directory.sessions.valid()).values()
    return SessionsResponse(sessions=[_describe_session(each, own) for each in found])


@router.delete("/sessions/{id}", summary="End a session", status_code=204, responses=documented(404))
async def end_session(request: Request, id: str) -> Response:  # noqa: A002 - the name in the path
    """End a session on all servers, within seconds."""
    access: AccessControl = request.app.state.access
    found = [each for each in (await access.directory.sessions.valid()).values() if each.id == id]
    if not found:
        raise Problem(404, "there is no session with this id")
    await _record(request, "ended a session", session=id, name=found[0].name, address=found[0].address)
    await access.directory.sessions.end(id)
    access.directory.forget()
    return Response(status_code=204)


async def _record(request: Request, action: str, **attributes: str) -> None:
    await record_use(request.app.state.managed_store, identity_of(request).name, action, **attributes)


def _describe(key: Key) -> KeyResponse:
    return KeyResponse(
        id=key.id,
        kind=key.kind,
        name=key.name,
        services=list(key.services),
        environment=key.environment,
        origins=list(key.origins),
        records_per_minute=key.records_per_minute,
        bytes_per_minute=key.bytes_per_minute,
        created_at=iso_time(key.created_at),
        expires_at=_time(key.expires_at),
        revoked_at=_time(key.revoked_at),
        last_used_at=_time(key.last_used_at),
        is_valid=key.is_valid(time.time_ns() // 1000),
    )


def _describe_session(session: Session, own: Session | None) -> LoginSessionResponse:
    return LoginSessionResponse(
        id=session.id,
        kind=session.kind,
        name=session.name,
        address=session.address,
        created_at=iso_time(session.created_at),
        expires_at=iso_time(session.expires_at),
        is_own=own is not None and own.id == session.id,
    )


def _time(microseconds: int | None) -> str | None:
    return None if microseconds is None else iso_time(microseconds)

"""The routes of the page's session: its state, login and logout."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from concurrent_log.collector.server.access.control import AccessControl
from concurrent_log.collector.server.errors import documented
from concurrent_log.collector.server.small_body import documented_body, read_small_body

router = APIRouter(tags=["page"])


class LoginRequest(BaseModel):
    """The key that a user entered in the page."""

    token: str = Field(max_length=1000, description="A read key, an admin key, or the server's token.")


class SessionResponse(BaseModel):
    """The session of the page."""

    token_needed: bool = Field(description="Whether the server needs a key.")
    logged_in: bool = Field(description="Whether the page may send requests now.")
    is_admin: bool = Field(description="Whether the page may administer keys.")
    name: str = Field(description="The name of the user; empty without a login.")
    services: list[str] = Field(description="The services whose records are shown; empty for all.")


@router.get("/session", summary="Return the state of the session", responses=documented(503))
async def session(request: Request) -> SessionResponse:
    """Return the state of the session."""
    access: AccessControl = request.app.state.access
    is_open = await access.is_open()
    identity = await access.identify_person(request)
    return SessionResponse(
        token_needed=not is_open,
        logged_in=identity is not None,
        is_admin=identity is not None and "admin" in identity.rights,
        name="" if identity is None or is_open else identity.name,
        services=[] if identity is None else list(identity.visible_services),
    )


@router.post(
    "/login",
    summary="Begin a session",
    status_code=204,
    responses=documented(401, 403, 413, 422, 429, 503),
    openapi_extra=documented_body(LoginRequest),
)
async def login(request: Request) -> Response:
    """Begin a session by a read key, an admin key, or the server's token; it lasts for a week, until a logout."""
    access: AccessControl = request.app.state.access
    identity = await access.find(request, (await read_small_body(request, LoginRequest)).token)
    identity.require("read")
    response = Response(status_code=204)
    await access.begin_session(request, response, identity)
    return response


@router.post("/logout", summary="End a session", status_code=204, responses=documented(403, 503))
async def logout(request: Request) -> Response:
    """End the session on all servers."""
    access: AccessControl = request.app.state.access
    response = Response(status_code=204)
    await access.end_session(request, response)
    return response

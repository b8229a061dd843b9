"""What is wrong with a request: a status, and one line."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from concurrent_log.collector.server.query.parameters import what_is_wrong
from concurrent_log.collector.store import StoreAway
from concurrent_log.collector.store.reader import TooMany, TooSlow

_AWAY = 2  # seconds after which a client may try again when the database is away


class Problem(Exception):  # noqa: N818 - some are no errors of anybody
    """A request that is answered with ``status`` and the one line ``detail``; ``wait`` is for ``Retry-After``."""

    def __init__(self, status: int, detail: str, wait: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.wait = wait

    def response(self) -> JSONResponse:
        """Return the answer."""
        headers = {} if self.wait is None else {"Retry-After": str(self.wait)}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse({"detail": self.detail}, self.status, headers)


class Detail(BaseModel):
    """What is wrong, in one line."""

    detail: str = Field(examples=["logs is a list of records"])


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what FastAPI is to say of the problems of a route."""
    return {status: {"model": Detail, "description": _MEANINGS[status]} for status in statuses}


_MEANINGS = {
    400: "the request makes no sense",
    401: "the token is missing or wrong",
    403: "a page of another site asks",
    404: "there is no such thing",
    408: "the body came too slowly",
    413: "the body is too large, before or after decompression: send less at once",
    415: "an encoding that the server does not know",
    422: "a parameter is not what it has to be",
    429: "the server cannot keep up: send the same again after `Retry-After` seconds",
    503: "the database is away: send the same again after `Retry-After` seconds",
    504: "it takes too long: narrow the time range",
}


def answer_problems(app: FastAPI) -> None:
    """Let whatever goes wrong in a route be answered with a status and one line."""

    @app.exception_handler(Problem)
    async def of_request(_: Request, problem: Problem) -> JSONResponse:
        return problem.response()

    @app.exception_handler(ClientDisconnect)
    async def of_nobody(_: Request, __: ClientDisconnect) -> JSONResponse:
        return Problem(400, "the client has gone away").response()

    @app.exception_handler(StoreAway)
    async def of_store(_: Request, away: StoreAway) -> JSONResponse:
        return Problem(503, f"{away}: try again", wait=_AWAY).response()

    @app.exception_handler(RequestValidationError)
    async def of_parameter(_: Request, error: RequestValidationError) -> JSONResponse:
        return Problem(422, what_is_wrong(error.errors())).response()

    @app.exception_handler(TooMany)
    async def of_crowd(_: Request, many: TooMany) -> JSONResponse:
        return Problem(503, str(many), wait=_AWAY).response()

    @app.exception_handler(TooSlow)
    async def of_time(_: Request, slow: TooSlow) -> JSONResponse:
        return Problem(504, str(slow)).response()

    @app.exception_handler(HTTPException)
    async def of_routing(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers or {})
        if error.status_code == 405 and (methods := app.openapi()["paths"].get(request.url.path)):
            headers["Allow"] = ", ".join(sorted(methods)).upper()  # Starlette knows those of the first route only.
        return JSONResponse({"detail": str(error.detail)}, error.status_code, headers)

    @app.exception_handler(Exception)
    async def of_server(_: Request, __: Exception) -> JSONResponse:
        return Problem(500, "the server made a mistake, and has said which where it runs").response()

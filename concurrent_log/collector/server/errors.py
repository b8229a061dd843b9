"""Error responses: a status, and one line of text."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from concurrent_log.collector.server.query.parameters import describe_validation_error
from concurrent_log.collector.store.interface import QueryTimeout, StoreUnavailable, StoreUnusable, TooManyQueries

_RETRY_AFTER = 2  # seconds, while the database is unavailable or busy


class Problem(Exception):  # noqa: N818 - a response, not a defect
    """A response with ``status`` and the line ``detail``; ``retry_after`` is in seconds."""

    def __init__(self, status: int, detail: str, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after = retry_after

    def response(self) -> JSONResponse:
        """Return the response."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse({"detail": self.detail}, self.status, headers)


class ErrorResponse(BaseModel):
    """The error, in one line."""

    detail: str = Field(examples=["logs must be a list of records"])


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the error responses of a route, for the OpenAPI document."""
    return {status: {"model": ErrorResponse, "description": _DESCRIPTIONS[status]} for status in statuses}


_DESCRIPTIONS = {
    400: "The request is invalid.",
    401: "The key or token is missing, wrong, revoked or expired.",
    403: "The key may not do this, or the request is from a page that may not send it.",
    404: "It does not exist.",
    408: "The body did not arrive in time.",
    409: "Not what the server knows: other records are stored under this `batch_id`, or the number of records is not "
    "that of the preview.",
    413: "The body is too large, before or after decompression: send less at once.",
    415: "The Content-Encoding is not supported.",
    422: "A parameter is invalid.",
    429: "The server is overloaded: send the same again after `Retry-After` seconds.",
    503: "The database is unavailable: send the same again after `Retry-After` seconds.",
    504: "The query takes too long: narrow the time range.",
}


def add_error_handlers(
    app: FastAPI, by_path: Mapping[str, Callable[[Request, Problem], Response]] = MappingProxyType({})
) -> None:
    """Respond to every exception in a route with a status and one line.

    Args:
        app: The application.
        by_path: For the routes of standards with a format of their own, by their path, a function that returns the
            response.
    """

    def respond(request: Request, problem: Problem) -> Response:
        own = by_path.get(getattr(request.scope.get("route"), "path", ""))
        return problem.response() if own is None else own(request, problem)

    @app.exception_handler(Problem)
    async def handle_problem(request: Request, problem: Problem) -> Response:
        return respond(request, problem)

    @app.exception_handler(ClientDisconnect)
    async def handle_disconnect(request: Request, __: ClientDisconnect) -> Response:
        return respond(request, Problem(400, "the client closed the connection"))

    @app.exception_handler(StoreUnavailable)
    async def handle_unavailable_store(request: Request, error: StoreUnavailable) -> Response:
        if error.reason:
            request.app.state.managed_store.problems.report(error)
        return respond(request, Problem(503, f"{error}: try again", retry_after=_RETRY_AFTER))

    @app.exception_handler(StoreUnusable)
    async def handle_unusable_store(_: Request, error: StoreUnusable) -> JSONResponse:
        return Problem(503, str(error), retry_after=_RETRY_AFTER).response()

    @app.exception_handler(RequestValidationError)
    async def handle_invalid_parameter(request: Request, error: RequestValidationError) -> Response:
        return respond(request, Problem(422, describe_validation_error(error.errors())))

    @app.exception_handler(TooManyQueries)
    async def handle_too_many_queries(request: Request, error: TooManyQueries) -> Response:
        return respond(request, Problem(503, str(error), retry_after=_RETRY_AFTER))

    @app.exception_handler(QueryTimeout)
    async def handle_query_timeout(request: Request, error: QueryTimeout) -> Response:
        return respond(request, Problem(504, str(error)))

    @app.exception_handler(HTTPException)
    async def handle_http_exception(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == 405 and (methods := app.openapi()["paths"].get(request.url.path)):
            headers["Allow"] = ", ".join(sorted(methods)).upper()  # Starlette lists only those of the first route.
        return JSONResponse({"detail": str(error.detail)}, error.status_code, headers)

    @app.exception_handler(Exception)
    async def handle_defect(request: Request, __: Exception) -> Response:
        return respond(request, Problem(500, "internal error: the server printed the traceback"))

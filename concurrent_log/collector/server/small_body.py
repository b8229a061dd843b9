"""Reads a small JSON body, after the access is checked: FastAPI itself would read a body of any size before that."""

from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.query.parameters import describe_validation_error

_MAX_SIZE = 8192  # bytes

_Model = TypeVar("_Model", bound=BaseModel)


async def read_small_body(request: Request, kind: type[_Model]) -> _Model:
    """Return the body as an object of ``kind``; stop reading a body that is too large. Raises `Problem`."""
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > _MAX_SIZE:
            raise Problem(413, f"the body has more than {_MAX_SIZE:,} bytes")
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        # The location of an error in a body has no first part that says so, as that of a parameter has.
        errors = [{**each, "loc": ("body", *each["loc"]), "input": "…"} for each in error.errors(include_url=False)]
        raise Problem(422, f"the body is invalid: {describe_validation_error(errors)}") from None


def documented_body(kind: type[BaseModel]) -> dict[str, object]:
    """Return the request body for the OpenAPI document."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": kind.model_json_schema()}}}}

"""``POST /logs``: receives a batch, and responds after the commit."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from concurrent_log.collector.server.errors import documented
from concurrent_log.collector.server.ingest.json_body import decode_body, read_token
from concurrent_log.collector.server.ingest.receiver import BodyFormat, Received

PROTOCOL = 2  # 2: the response contains the batch's id


class RejectedRecord(BaseModel):
    """A record that cannot be stored."""

    index: int = Field(description="Its index in `logs`, from 0.")
    reason: str


class BatchResponse(BaseModel):
    """The result of storing a batch; it is committed."""

    status: str = Field(examples=["ok"])
    count: int = Field(description="The number of records in the request.")
    stored: int = Field(description="The number of records that this request stored.")
    duplicate: bool = Field(description="Whether this batch, or one that it is a part of, was stored before.")
    rejected: list[RejectedRecord]
    batch_id: str | None = Field(description="The `batch_id` of the request, or null.")
    protocol: int = Field(description="The version of the protocol.", examples=[2])


def _response(received: Received) -> dict[str, Any]:
    return {
        "status": "ok",
        "count": received.body.count,
        "stored": received.added.stored,
        "duplicate": received.added.duplicate,
        "rejected": [{"index": index, "reason": reason} for index, reason in received.rejected()],
        "batch_id": received.body.batch.batch_id,
        "protocol": PROTOCOL,
    }


_FORMAT = BodyFormat(decode_body, read_token)

_EXAMPLE = {
    "batch_id": "8f14e45f-17",
    "common": {"service": "shop", "host": "web-1"},
    "logs": [{"created_at": 1768200001.25, "level": "INFO", "message": "order accepted", "customer": "Ada"}],
}
_SCHEMA = {
    "type": "object",
    "required": ["logs"],
    "properties": {
        "logs": {"type": "array", "items": {"type": "object"}, "description": "The records."},
        "batch_id": {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "description": "A batch with the same id is stored once.",
        },
        "part_of": {
            "type": "array",
            "maxItems": 100,
            "uniqueItems": True,
            "items": {"type": "string", "minLength": 1, "maxLength": 200},
            "description": "The ids of the batches that this one was split from, the whole batch first. The records of "
            "these batches are stored once.",
        },
        "client": {
            "type": "object",
            "required": ["id"],
            "properties": {
                "id": {"type": "string", "minLength": 1, "maxLength": 200},
                "name": {"type": "string"},
            },
        },
        "common": {"type": "object", "description": "Default values for all records."},
        "dropped": {
            "type": "array",
            "maxItems": 100,
            "items": {
                "type": "object",
                "required": ["reason", "records", "since"],
                "properties": {
                    "reason": {"type": "string", "minLength": 1, "maxLength": 200},
                    "records": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
                    "since": {"type": "number", "minimum": 0, "maximum": 9e9},
                },
            },
            "description": "The numbers of records that the client lost.",
        },
        "token": {
            "type": "string",
            "description": "The key, from a page that is being closed and cannot send headers.",
        },
    },
}

router = APIRouter(tags=["sending"])


@router.post(
    "/logs",
    summary="Store a batch",
    responses={200: {"model": BatchResponse}, **documented(400, 401, 403, 408, 413, 415, 429, 503)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _SCHEMA, "example": _EXAMPLE}},
        }
    },
)
async def post_logs(request: Request) -> Any:
    """Store the records, and respond after the commit."""
    return JSONResponse(_response(await request.app.state.receiver.receive(request, _FORMAT)))

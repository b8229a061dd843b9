"""``POST /logs``: receives a batch, and responds after the commit."""

import functools
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from concurrent_log.collector.server.errors import documented
from concurrent_log.collector.server.ingest.bare_records import LINE_TYPES, decode_lines
from concurrent_log.collector.server.ingest.json_body import decode_body, read_token
from concurrent_log.collector.server.ingest.receiver import BatchReceiver, BodyFormat, Received, agent_of, media_type_of

PROTOCOL = 2  # 2: the response contains the batch's id


class RejectedRecord(BaseModel):
    """A record that cannot be stored."""

    index: int = Field(description="Its index in `logs`, or among the lines that are not empty, from 0.")
    reason: str


class BatchResponse(BaseModel):
    """The result of storing a batch; it is committed."""

    status: str = Field(examples=["ok"])
    count: int = Field(description="The number of records in the request.")
    stored: int = Field(description="The number of records that this request stored.")
    duplicate: bool = Field(description="Whether this batch, or one that it is a part of, was stored before.")
    rejected: list[RejectedRecord]
    batch_id: str | None = Field(
        description="The `batch_id` of the request, or null; a digest of records without an envelope."
    )
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


_EXAMPLE = {
    "batch_id": "8f14e45f-17",
    "common": {"service": "shop", "host": "web-1"},
    "logs": [{"created_at": 1768200001.25, "level": "INFO", "message": "order accepted", "customer": "Ada"}],
}
_LINES_EXAMPLE = '{"@timestamp": "2026-01-12T06:40:01.250Z", "level": "INFO", "message": "order accepted"}\n'
_SCHEMA = {
    "type": "object",
    "required": ["logs"],
    "properties": {
        "logs": {"type": "array", "items": {"type": "object"}, "description": "The records."},
        "batch_id": {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "description": "A batch with the same id is stored once; other records under it get 409.",
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
    responses={200: {"model": BatchResponse}, **documented(400, 401, 403, 408, 409, 413, 415, 429, 503)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "An envelope with records; or only records: lines, an array, or one object.",
            "content": {
                "application/json": {"schema": _SCHEMA, "example": _EXAMPLE},
                "application/x-ndjson": {"schema": {"type": "string"}, "example": _LINES_EXAMPLE},
            },
        }
    },
)
async def post_logs(request: Request) -> Any:
    """Store the records, and respond after the commit."""
    agent = agent_of(request)
    if media_type_of(request) in LINE_TYPES:
        form = BodyFormat(functools.partial(decode_lines, agent=agent))
    else:
        form = BodyFormat(functools.partial(decode_body, agent=agent), read_token)
    receiver: BatchReceiver = request.app.state.receiver
    return JSONResponse(_response(await receiver.receive(request, form)))

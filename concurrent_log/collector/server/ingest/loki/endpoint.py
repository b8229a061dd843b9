"""``POST /loki/api/v1/push``: receives what the senders of Loki send."""

import functools
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest.decoded_body import (
    DecodedBody,
    SendingProgram,
    body_of_records,
    until_too_many_invalid,
)
from concurrent_log.collector.server.ingest.loki import json, protobuf
from concurrent_log.collector.server.ingest.memory_budget import MemoryLease
from concurrent_log.collector.server.ingest.receiver import BatchReceiver, BodyFormat, agent_of, media_type_of

NAME = "loki"  # in the settings
PATH = "/loki/api/v1/push"

_JSON, _PROTOBUF = "application/json", "application/x-protobuf"
_STATUS_TO_SEND = {408: 503}  # Clients repeat a request only after 429 and 5xx.
_MAX_REASONS = 5


def decode_push(
    content: bytes, max_weight: int, lease: MemoryLease, *, read_entries: Callable[..., Any], agent: str
) -> DecodedBody:
    """Return the batch of a request, or raise `Problem`. An invalid entry affects no other.

    To Loki, entries with the same time, labels and line are one. So a body is stored once if each entry has a time.
    """
    records = until_too_many_invalid(read_entries(content, max_weight, lease))
    have_times = all(type(record) is not dict or record["created_at"] for record in records)
    return body_of_records(content, records, SendingProgram("Loki", agent), have_ids=bool(records) and have_times)


router = APIRouter(tags=["sending"])


@router.post(
    PATH,
    summary="Store entries of Loki",
    status_code=204,
    response_class=Response,
    responses={"default": {"description": "An error, as text.", "content": {"text/plain": {}}}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "A push request: JSON, or protobuf compressed with snappy.",
            "content": {
                _JSON: {
                    "schema": {"type": "object"},
                    "example": {
                        "streams": [{"stream": {"service": "shop"}, "values": [["1768200001250000000", "accepted"]]}]
                    },
                },
                _PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
)
async def push(request: Request) -> Response:
    """Store the entries, and respond after the commit."""
    is_protobuf = media_type_of(request) == _PROTOBUF
    read_entries = protobuf.read_entries if is_protobuf else json.read_entries
    decode = functools.partial(decode_push, read_entries=read_entries, agent=agent_of(request))
    receiver: BatchReceiver = request.app.state.receiver
    received = await receiver.receive(request, BodyFormat(decode, encoding="snappy" if is_protobuf else ""))
    rejected = received.rejected()
    if not rejected:
        return Response(status_code=204)
    reasons = "; ".join(f"entry {index}: {reason}" for index, reason in rejected[:_MAX_REASONS])
    # This is how Loki says it: the other entries are stored, and senders do not repeat the request.
    return PlainTextResponse(f"{len(rejected):,} of {received.body.count:,} entries are rejected: {reasons}", 400)


def respond(_: Request, problem: Problem) -> Response:
    """Return the response to a request that failed."""
    headers = {name: value for name, value in problem.response().headers.items() if not name.startswith("content-")}
    return PlainTextResponse(problem.detail, _STATUS_TO_SEND.get(problem.status, problem.status), headers)

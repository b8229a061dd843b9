"""``POST /v1/logs``: receives the records of OpenTelemetry's SDKs and collectors (OTLP/HTTP)."""

import functools

from fastapi import APIRouter, Request, Response

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest.otlp.body import decode_otlp
from concurrent_log.collector.server.ingest.otlp.response import JSON, PROTOBUF, failed, stored
from concurrent_log.collector.server.ingest.receiver import BatchReceiver, BodyFormat, agent_of, media_type_of

PATH = "/v1/logs"

router = APIRouter(tags=["sending"])


@router.post(
    PATH,
    summary="Store records of OpenTelemetry",
    response_class=Response,
    responses={
        200: {
            "description": "An `ExportLogsServiceResponse`; its `partial_success` counts the rejected records.",
            "content": {JSON: {}, PROTOBUF: {}},
        },
        "default": {"description": "A `google.rpc.Status`.", "content": {JSON: {}, PROTOBUF: {}}},
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "An `ExportLogsServiceRequest`.",
            "content": {
                JSON: {"schema": {"type": "object"}, "example": {"resourceLogs": []}},
                PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
)
async def export_logs(request: Request) -> Response:
    """Store the records of OTLP over HTTP, and respond after the commit, in the format of the request."""
    media_type = media_type_of(request)
    if media_type not in (JSON, PROTOBUF):
        raise Problem(415, f"the body has the type {media_type[:100]!r}: send {PROTOBUF} or {JSON}")
    decode = functools.partial(decode_otlp, is_json=media_type == JSON, agent=agent_of(request))
    receiver: BatchReceiver = request.app.state.receiver
    received = await receiver.receive(request, BodyFormat(decode))
    return stored(received.rejected(), media_type)


def respond(request: Request, problem: Problem) -> Response:
    """Return the response to a request that failed."""
    return failed(problem, PROTOBUF if media_type_of(request) == PROTOBUF else JSON)

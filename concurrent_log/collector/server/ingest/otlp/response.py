"""The responses to OTLP requests, in the format of the request."""

from collections.abc import Sequence

import msgspec
from fastapi import Response
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from concurrent_log.collector.server.errors import Problem

JSON, PROTOBUF = "application/json", "application/x-protobuf"

# gRPC's code for an HTTP status; every other one is UNKNOWN.
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 413: 11, 415: 3, 422: 3, 429: 8, 503: 14, 504: 4}
_UNKNOWN = 2
# Senders repeat a request only after 429, 502, 503 and 504. A body that came too slowly must be sent again.
_STATUS_TO_SEND = {408: 503, 500: 503}
_MAX_REASONS = 5


def stored(rejected: Sequence[tuple[int, str]], media_type: str) -> Response:
    """Return the response to a request whose records are stored, but for the ``rejected`` ones: index and reason."""
    message = "; ".join(f"record {index}: {reason}" for index, reason in rejected[:_MAX_REASONS])
    if len(rejected) > _MAX_REASONS:
        message += f"; and {len(rejected) - _MAX_REASONS:,} more"
    if media_type == JSON:
        partial = {"rejectedLogRecords": str(len(rejected)), "errorMessage": message}
        return Response(msgspec.json.encode({"partialSuccess": partial} if rejected else {}), 200, media_type=JSON)
    response = ExportLogsServiceResponse()
    if rejected:
        response.partial_success.rejected_log_records = len(rejected)
        response.partial_success.error_message = message
    return Response(response.SerializeToString(), 200, media_type=PROTOBUF)


def failed(problem: Problem, media_type: str) -> Response:
    """Return the response to a request that was not stored: a ``google.rpc.Status``."""
    code = _CODES.get(problem.status, _UNKNOWN)
    if media_type == JSON:
        content = msgspec.json.encode({"code": code, "message": problem.detail})
    else:
        content = Status(code=code, message=problem.detail).SerializeToString()
    headers = {name: value for name, value in problem.response().headers.items() if name not in _OF_THE_BODY}
    status = _STATUS_TO_SEND.get(problem.status, problem.status)
    return Response(content, status, headers, media_type=media_type)


_OF_THE_BODY = ("content-length", "content-type")

"""``/_bulk`` of Elasticsearch: receives what its clients, Filebeat, Fluent Bit, Vector and rsyslog send.

A body has two lines for each record: an action with the name of an index, and a document.
"""

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest.bare_records import lines_of
from concurrent_log.collector.server.ingest.decoded_body import (
    DecodedBody,
    SendingProgram,
    body_of_records,
    until_too_many_invalid,
)
from concurrent_log.collector.server.ingest.ecs import record_of
from concurrent_log.collector.server.ingest.json_decoding import decode_record, decoder_for, reserve_weight
from concurrent_log.collector.server.ingest.memory_budget import MemoryLease
from concurrent_log.collector.server.ingest.normalize import UndecodableRecord
from concurrent_log.collector.server.ingest.receiver import BatchReceiver, BodyFormat, Received, agent_of

NAME = "elasticsearch"  # in the settings
PATHS = ("/_bulk", "/{index}/_bulk")

_VERSION = "8.19.0"  # the version whose requests and responses these are
_PRODUCT = {"X-Elastic-Product": "Elasticsearch"}  # Clients refuse a response without this header.
_VALUES_OF_A_LINE = 2
# The type of an error, by the status; clients show it.
_ERROR_TYPES = {
    400: "illegal_argument_exception",
    401: "security_exception",
    403: "security_exception",
    413: "content_too_long_exception",
    429: "es_rejected_execution_exception",
    503: "unavailable_shards_exception",
}
_STATUS_TO_SEND = {408: 503, 500: 503}  # Clients repeat a request only after 429, 502, 503 and 504.


class _Target(msgspec.Struct):
    index: str | None = msgspec.field(default=None, name="_index")
    id: str | int | None = msgspec.field(default=None, name="_id")


class _Line(msgspec.Struct):
    """An action; exactly one of its members is given."""

    index: _Target | None = None
    create: _Target | None = None
    update: _Target | None = None
    delete: _Target | None = None


@dataclass(frozen=True, slots=True)
class _Action:
    """What to do with a document, and where; its index may be that of the request."""

    kind: str
    index: str | None
    id: str | int | None


_decode_line = msgspec.json.Decoder(_Line).decode


class _Bulk:
    """A request, which keeps its actions for the response."""

    def __init__(self, index: str | None, agent: str) -> None:
        self._index = index
        self._agent = agent
        self._actions: list[_Action] = []

    def decode(self, content: bytes, max_weight: int, lease: MemoryLease) -> DecodedBody:
        """Return the batch, or raise `Problem`. An invalid document affects no other, but an invalid action does."""
        reserve_weight(content, max_weight, lease, values=_VALUES_OF_A_LINE * content.count(b"\n"))
        records = until_too_many_invalid(self._records(content))
        have_ids = all(action.id is not None for action in self._actions)
        return body_of_records(
            content, records, SendingProgram("Elasticsearch", self._agent), have_ids=have_ids and bool(records)
        )

    def _records(self, content: bytes) -> Iterator[Any]:
        decode, lines = decoder_for(content), lines_of(content)
        for number, line in enumerate(lines):
            action = self._read_action(line, number)
            self._actions.append(action)
            document = b"" if action.kind == "delete" else next(lines, None)
            if document is None:
                raise Problem(400, "the last action has no document: a body must end with a newline")
            if action.kind in ("update", "delete"):
                yield UndecodableRecord(f"records cannot be changed by {action.kind!r}: send index or create")
            else:
                yield _record(action, decode_record(document, decode))

    def _read_action(self, line: bytes, number: int) -> _Action:
        try:
            found = _decode_line(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Problem(400, f"action {number} is not an object with index or create: {error}"[:300]) from None
        for kind in found.__struct_fields__:
            target: _Target | None = getattr(found, kind)
            if target is not None:
                return _Action(kind, target.index or self._index, target.id)
        raise Problem(400, f"action {number} has neither index nor create")

    def response(self, received: Received, took: float) -> Response:
        """Return the response: one item for each action."""
        reasons = dict(received.rejected())
        new_id = uuid.uuid4().hex
        items = [
            _item(action, f"{new_id}-{number}" if action.id is None else str(action.id), reasons.get(number))
            for number, action in enumerate(self._actions)
        ]
        found = {"took": round(took * 1000), "errors": bool(reasons), "items": items}
        return Response(msgspec.json.encode(found), 200, _PRODUCT, media_type="application/json")


def _record(action: _Action, document: Any) -> Any:
    if type(document) is not dict:
        return document
    record = record_of(document)
    if action.index is not None:
        record["_index"] = action.index
    if action.id is not None:
        record["_id"] = action.id
    return record


def _item(action: _Action, document_id: str, reason: str | None) -> dict[str, Any]:
    item: dict[str, Any] = {"_index": action.index or "logs", "_id": document_id, "status": 201}
    if reason is None:
        item |= {"_version": 1, "result": "created"}
    else:
        item |= {"status": 400, "error": {"type": "document_parsing_exception", "reason": reason}}
    return {action.kind: item}


_DOCUMENTATION: dict[str, Any] = {
    "summary": "Store documents of Elasticsearch",
    "response_class": Response,
    "responses": {
        200: {"description": "An item for each action, with its status.", "content": {"application/json": {}}},
        "default": {"description": "An error of Elasticsearch.", "content": {"application/json": {}}},
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "description": "Two lines for each record: an action, `index` or `create`, and a document.",
            "content": {
                "application/x-ndjson": {
                    "schema": {"type": "string"},
                    "example": '{"create": {}}\n{"@timestamp": "2026-01-12T06:40:01.250Z", "message": "accepted"}\n',
                }
            },
        }
    },
}


async def _receive(request: Request, index: str | None) -> Response:
    begin = time.monotonic()
    read = _Bulk(index, agent_of(request))
    receiver: BatchReceiver = request.app.state.receiver
    received = await receiver.receive(request, BodyFormat(read.decode))
    return read.response(received, time.monotonic() - begin)


async def bulk_of_index(request: Request, index: str) -> Response:
    """Store the documents; those without an index get that of the path. Respond after the commit."""
    return await _receive(request, index)


async def bulk(request: Request) -> Response:
    """Store the documents, and respond after the commit."""
    return await _receive(request, None)


router = APIRouter(tags=["sending"])
for _method in ("POST", "PUT"):
    router.add_api_route(PATHS[0], bulk, methods=[_method], **_DOCUMENTATION)
    router.add_api_route(PATHS[1], bulk_of_index, methods=[_method], **_DOCUMENTATION)


def respond(_: Request, problem: Problem) -> Response:
    """Return the response to a request that failed."""
    found = {"type": _ERROR_TYPES.get(problem.status, "exception"), "reason": problem.detail}
    status = _STATUS_TO_SEND.get(problem.status, problem.status)
    response = problem.response()
    headers = {name: response.headers[name] for name in ("retry-after", "www-authenticate") if name in response.headers}
    content = msgspec.json.encode({"error": {"root_cause": [found], **found}, "status": status})
    return Response(content, status, {**headers, **_PRODUCT}, media_type="application/json")


def asks_for_product(request: Request) -> bool:
    """Return whether a request for ``/`` is that of a client of Elasticsearch, not of a browser."""
    accepted = request.headers.get("accept", "")
    return "json" in accepted or ("html" not in accepted and "json" in request.headers.get("content-type", ""))


def product() -> Response:
    """Return what clients ask for before they send: the name and the version of the product."""
    found = {
        "name": "concurrent_log",
        "cluster_name": "concurrent_log",
        "cluster_uuid": "_na_",
        "version": {
            "number": _VERSION,
            "build_flavor": "default",
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0",
        },
        "tagline": "You Know, for Search",
    }
    return Response(msgspec.json.encode(found), 200, _PRODUCT, media_type="application/json")

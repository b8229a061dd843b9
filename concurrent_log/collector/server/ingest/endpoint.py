"""``POST /logs``: takes a batch, and answers when it is committed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from concurrent_log.collector.server.auth import Access
from concurrent_log.collector.server.errors import Problem, documented
from concurrent_log.collector.server.ingest import json_body as decoding
from concurrent_log.collector.server.ingest.memory_budget import Budget, Lease
from concurrent_log.collector.server.settings import Settings
from concurrent_log.collector.store import Added, Batch

_MOST_REQUESTS = 500  # of which all has come, and that are not answered yet
_BEACON = 64 << 10  # bytes of a body that may bring the token itself
_BODY_TIMEOUT = 60.0  # seconds in which a body has to come
_AGAIN = 2  # seconds after which another server may be there
_DRAIN_TIMEOUT = 10.0  # seconds for which the rest of a refused body is thrown away, so that the answer is read


class Rejection(BaseModel):
    """A record that is beyond repair."""

    index: int = Field(description="its index in `logs`, from 0")
    reason: str


class Stored(BaseModel):
    """What became of a batch, after the commit."""

    status: str = Field(examples=["ok"])
    count: int = Field(description="records that came")
    stored: int = Field(description="records that are stored now")
    duplicate: bool = Field(description="whether this batch, or what it is part of, was stored before; so nothing now")
    rejected: list[Rejection]


class Adding(Protocol):
    """What stores batches."""

    async def add(self, batch: Batch) -> Added:
        """Store ``batch``, and return after the commit."""


class Intake:
    """Takes batches, within limits."""

    def __init__(self, settings: Settings, access: Access, store: Adding) -> None:
        self._store = store
        self._access = access
        self._largest = settings.max_body
        self._heaviest = 8 * settings.max_body
        self._budget = Budget(16 * settings.max_body, _MOST_REQUESTS)
        self._threads = ThreadPoolExecutor(2, "concurrent_log decode")

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False)

    async def take(self, request: Request) -> dict[str, Any]:
        """Store what the request brings, and return the answer; raise `Problem` or `StoreAway`."""
        chunks = request.stream()
        try:
            with self._budget.lease() as lease:
                body = await self._read(request, chunks, lease)
                added = await self._store.add(body.batch)
            if added.in_parts:
                raise Problem(413, "parts of the batch are stored: send it in these parts")
            return _answer(body, added)
        except Problem:
            await _drain(chunks)
            raise
        except asyncio.CancelledError:
            # A server that is told to end waits some seconds for what is in hand, and then cancels it.
            raise Problem(503, "the server ends, and may have stored the batch: send it again", wait=_AGAIN) from None

    async def _read(self, request: Request, stream: AsyncIterator[bytes], lease: Lease) -> decoding.Body:
        self._access.refuse_other_sites(request)
        encoding = request.headers.get("content-encoding", "").strip().lower().replace("identity", "")
        if encoding and encoding not in decoding.WBITS:
            raise Problem(415, f"the body is compressed with {encoding[:40]!r}: send gzip, deflate, or none")
        knows = self._access.has_bearer(request)
        largest = self._largest if knows else min(_BEACON, self._largest)
        length = request.headers.get("content-length", "0")
        if not knows and ("authorization" in request.headers or int(length) > largest):
            raise _unknown()
        if int(length) > largest:
            raise _too_large(largest)
        try:
            chunks = await asyncio.wait_for(_collect(stream, largest, lease), _BODY_TIMEOUT)
        except asyncio.TimeoutError:
            raise Problem(408, f"the body did not come within {_BODY_TIMEOUT:.0f} seconds: send it again") from None
        lease.begin()  # Only now: bodies that do not come to their end are to keep nobody out.
        loop = asyncio.get_running_loop()
        arguments = (chunks, encoding, largest, self._heaviest, lease)
        body = await loop.run_in_executor(self._threads, decoding.read, *arguments)
        if not knows and not self._access.is_token(body.token):
            raise _unknown()
        return body


async def _collect(stream: AsyncIterator[bytes], largest: int, lease: Lease) -> list[bytes]:
    chunks, size = [], 0
    async for chunk in stream:
        size += len(chunk)
        if size > largest:
            raise _too_large(largest)
        if chunk:
            lease.hold(len(chunk))
            chunks.append(chunk)
    return chunks


async def _drain(stream: AsyncIterator[bytes]) -> None:
    """Throw away what still comes, for a while: who is sending does not read before all is sent."""

    async def to_the_end() -> None:
        async for _ in stream:
            pass

    with contextlib.suppress(asyncio.TimeoutError, ClientDisconnect, RuntimeError):
        await asyncio.wait_for(to_the_end(), _DRAIN_TIMEOUT)


def _answer(body: decoding.Body, added: Added) -> dict[str, Any]:
    refused = [(body.rows.indices[index], reason) for index, reason in added.rejected]
    rejected = [{"index": index, "reason": reason} for index, reason in sorted([*body.rows.rejected, *refused])]
    return {
        "status": "ok",
        "count": body.count,
        "stored": added.stored,
        "duplicate": added.duplicate,
        "rejected": rejected,
    }


def _unknown() -> Problem:
    return Problem(401, "the token is missing or wrong: send Authorization: Bearer TOKEN")


def _too_large(largest: int) -> Problem:
    return Problem(413, f"the body has more than {largest:,} bytes: send less at once")


_EXAMPLE = {
    "batch_id": "8f14e45f-17",
    "common": {"service": "shop", "host": "web-1"},
    "logs": [{"created_at": 1768200001.25, "level": "INFO", "message": "order accepted", "customer": "Ada"}],
}
_SCHEMA = {
    "type": "object",
    "required": ["logs"],
    "properties": {
        "logs": {"type": "array", "items": {"type": "object"}, "description": "the records"},
        "batch_id": {"type": "string", "minLength": 1, "maxLength": 200, "description": "stored once"},
        "part_of": {
            "type": "array",
            "maxItems": 100,
            "uniqueItems": True,
            "items": {"type": "string", "minLength": 1, "maxLength": 200},
            "description": "the ids of what it was divided from, the whole first; with each of these it is stored once",
        },
        "client": {
            "type": "object",
            "required": ["id"],
            "properties": {
                "id": {"type": "string", "minLength": 1, "maxLength": 200},
                "name": {"type": "string"},
            },
        },
        "common": {"type": "object", "description": "what holds for each record that does not say otherwise"},
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
        },
        "token": {"type": "string", "description": "from a page that is being closed, which has no headers"},
    },
}

router = APIRouter(tags=["sending"])


@router.post(
    "/logs",
    summary="Store a batch",
    responses={200: {"model": Stored}, **documented(400, 401, 403, 408, 413, 415, 429, 503)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _SCHEMA, "example": _EXAMPLE}},
        }
    },
)
async def post_logs(request: Request) -> Any:
    """Store the records, and answer when they are committed."""
    return JSONResponse(await request.app.state.intake.take(request))

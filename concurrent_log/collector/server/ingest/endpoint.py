"""``POST /logs``: receives a batch, and responds after the commit."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from concurrent_log.collector.server.access.control import AccessControl, unauthorized
from concurrent_log.collector.server.access.identity import Identity
from concurrent_log.collector.server.access.rates import RateLimiter
from concurrent_log.collector.server.errors import Problem, documented
from concurrent_log.collector.server.ingest.decompression import DECOMPRESSORS
from concurrent_log.collector.server.ingest.json_body import DecodedBody, decode_body, read_token
from concurrent_log.collector.server.ingest.key_scope import limit_records, with_own_ids
from concurrent_log.collector.server.ingest.memory_budget import MemoryBudget, MemoryLease
from concurrent_log.collector.server.settings import ServerSettings
from concurrent_log.collector.store.interface import AddResult, IncomingBatch

PROTOCOL = 2  # 2: the response contains the batch's id
_MAX_REQUESTS = 500  # requests whose body is complete, and that have no response yet
_MAX_BEACON_SIZE = 64 << 10  # bytes of a body that contains the token itself
_CHUNK_OVERHEAD = 64  # bytes of memory
_BODY_TIMEOUT = 60.0  # seconds
_RETRY_AFTER = 2  # seconds; by then, another server may run
_DRAIN_TIMEOUT = 10.0  # seconds


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


class BatchStore(Protocol):
    """Stores batches."""

    async def add(self, batch: IncomingBatch) -> AddResult:
        """Store ``batch``, and return after the commit."""


class BatchReceiver:
    """Receives batches, within limits on memory, time and the number of requests."""

    def __init__(self, settings: ServerSettings, access: AccessControl, store: BatchStore) -> None:
        self._store = store
        self._access = access
        self._max_size = settings.max_body
        self._max_weight = 8 * settings.max_body
        self._rates = RateLimiter()
        self._budget = MemoryBudget(16 * settings.max_body, _MAX_REQUESTS)
        self._threads = ThreadPoolExecutor(2, "concurrent_log decode")

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=False)

    async def receive(self, request: Request) -> dict[str, Any]:
        """Store the batch of a request, and return the response; raise `Problem` or `StoreUnavailable`."""
        chunks = request.stream()
        try:
            with self._budget.lease() as lease:
                who, body = await self._read(request, chunks, lease)
                added = await self._store.add(with_own_ids(body.batch, who.key))
            if added.in_parts:
                raise Problem(413, "parts of the batch are stored: send it in these parts")
            return _response(body, added)
        except Problem:
            await _drain(chunks)
            raise
        except asyncio.CancelledError:
            # At shutdown, uvicorn waits some seconds for requests in progress, and then cancels them.
            message = "the server is shutting down, and may have stored the batch: send it again"
            raise Problem(503, message, retry_after=_RETRY_AFTER) from None

    async def _read(
        self, request: Request, stream: AsyncIterator[bytes], lease: MemoryLease
    ) -> tuple[Identity, DecodedBody]:
        """Return who sends, and the body without the records that this one may not send."""
        who: Identity | None = request.state.identity
        encoding = request.headers.get("content-encoding", "").strip().lower().replace("identity", "")
        if encoding and encoding not in DECOMPRESSORS:
            raise Problem(415, f"the body has the encoding {encoding[:40]!r}: send gzip, deflate, zstd, or none")
        max_size = self._max_body(who)
        length = request.headers.get("content-length", "0")
        if who is None and ("authorization" in request.headers or encoding or int(length) > max_size):
            raise unauthorized()
        if int(length) > max_size:
            raise _too_large(max_size)
        try:
            chunks = await asyncio.wait_for(_collect(stream, max_size, lease), _BODY_TIMEOUT)
        except asyncio.TimeoutError:
            raise Problem(408, f"the body did not arrive within {_BODY_TIMEOUT:.0f} seconds: send it again") from None
        lease.add_request()  # Only now, so that unfinished bodies cannot use up the limit.
        # Nothing is decompressed or decoded for a client without a key, except the key itself.
        who = who or await self._find_sender(request, chunks)
        self._access.warn_about_page(request, who)
        loop = asyncio.get_running_loop()
        arguments = (chunks, encoding, max_size, self._max_weight, lease)
        body = await loop.run_in_executor(self._threads, decode_body, *arguments)
        if who.key is not None:
            self._rates.require(who.key, body.count, body.size)
        return who, limit_records(body, who)

    def _max_body(self, who: Identity | None) -> int:
        if who is None:
            return min(_MAX_BEACON_SIZE, self._max_size)
        limit = who.key.bytes_per_minute if who.key is not None else None
        return self._max_size if limit is None else min(limit, self._max_size)

    async def _find_sender(self, request: Request, chunks: list[bytes]) -> Identity:
        """Return who has the key in the body of a page that is being closed."""
        secret = read_token(b"".join(chunks))
        if secret is None:
            raise unauthorized()
        who = await self._access.find(request, secret)
        self._access.check_origin(request, who)
        who.require("send")
        return who


async def _collect(stream: AsyncIterator[bytes], max_size: int, lease: MemoryLease) -> list[bytes]:
    chunks, size = [], 0
    async for chunk in stream:
        size += len(chunk)
        if size > max_size:
            raise _too_large(max_size)
        if chunk:
            lease.reserve(len(chunk) + _CHUNK_OVERHEAD)
            chunks.append(chunk)
    return chunks


async def _drain(stream: AsyncIterator[bytes]) -> None:
    """Discard the rest of a refused body for a while: many clients read the response only after sending all of it."""

    async def discard() -> None:
        async for _ in stream:
            pass

    with contextlib.suppress(asyncio.TimeoutError, ClientDisconnect, RuntimeError):
        await asyncio.wait_for(discard(), _DRAIN_TIMEOUT)


def _response(body: DecodedBody, added: AddResult) -> dict[str, Any]:
    by_database = [(body.rows.indices[index], reason) for index, reason in added.rejected]
    rejected = [{"index": index, "reason": reason} for index, reason in sorted([*body.rows.rejected, *by_database])]
    return {
        "status": "ok",
        "count": body.count,
        "stored": added.stored,
        "duplicate": added.duplicate,
        "rejected": rejected,
        "batch_id": body.batch.batch_id,
        "protocol": PROTOCOL,
    }


def _too_large(max_size: int) -> Problem:
    return Problem(413, f"the body has more than {max_size:,} bytes: send less at once")


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
    return JSONResponse(await request.app.state.receiver.receive(request))

"""`BatchReceiver`: reads the body of a request in any format, within limits, and stores the batch."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from fastapi import Request
from starlette.requests import ClientDisconnect

from concurrent_log.collector.server.access.control import AccessControl, unauthorized
from concurrent_log.collector.server.access.identity import Identity
from concurrent_log.collector.server.access.rates import RateLimiter
from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest.decoded_body import DecodedBody
from concurrent_log.collector.server.ingest.decompression import ENCODINGS, decompress
from concurrent_log.collector.server.ingest.key_scope import limit_records, with_own_ids
from concurrent_log.collector.server.ingest.memory_budget import MemoryBudget, MemoryLease
from concurrent_log.collector.server.settings import ServerSettings
from concurrent_log.collector.store.interface import AddResult, IncomingBatch

_MAX_REQUESTS = 500  # requests whose body is complete, and that have no response yet
_MAX_BEACON_SIZE = 64 << 10  # bytes of a body that contains the token itself
_CHUNK_OVERHEAD = 64  # bytes of memory
_BODY_TIMEOUT = 60.0  # seconds
_RETRY_AFTER = 2  # seconds; by then, another server may run
_DRAIN_TIMEOUT = 10.0  # seconds


@dataclass(frozen=True)
class BodyFormat:
    """A format in which senders send.

    Attributes:
        decode: Returns the batch in a decompressed body, or raises `Problem`. Its other arguments are the maximum
            memory in bytes that the decoded body may need, and the lease that reserves it.
        read_token: Returns the key in a body that may be from anyone, if the format has a place for it.
        encoding: The encoding of a body whose head names none.
    """

    decode: Callable[[bytes, int, MemoryLease], DecodedBody]
    read_token: Callable[[bytes], str | None] | None = None
    encoding: str = ""


@dataclass(frozen=True)
class Received:
    """A batch that is stored.

    Attributes:
        body: The decoded body.
        added: What the store answered.
    """

    body: DecodedBody
    added: AddResult

    def rejected(self) -> list[tuple[int, str]]:
        """Return the index of each record that was not stored, in the order of the request, and the reason."""
        by_database = [(self.body.rows.indices[index], reason) for index, reason in self.added.rejected]
        return sorted([*self.body.rows.rejected, *by_database])


def agent_of(request: Request) -> str:
    """Return the name of the program that sends a request."""
    return request.headers.get("user-agent") or "unknown"


def media_type_of(request: Request) -> str:
    """Return the type of a request's body in lower case, without parameters; an empty string if there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


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

    async def receive(self, request: Request, form: BodyFormat) -> Received:
        """Store the batch of a request, and return after the commit; raise `Problem` or `StoreUnavailable`."""
        chunks = request.stream()
        try:
            with self._budget.lease() as lease:
                identity, body = await self._read(request, form, chunks, lease)
                added = await self._store.add(with_own_ids(body.batch, identity.key))
            if added.in_parts:
                raise Problem(413, "parts of the batch are stored: send it in these parts")
            if added.conflict:
                raise Problem(409, "other records are stored under this batch_id: send these under another one")
            return Received(body, added)
        except Problem:
            await _drain(chunks)
            raise
        except asyncio.CancelledError:
            # At shutdown, uvicorn waits some seconds for requests in progress, and then cancels them.
            message = "the server is shutting down, and may have stored the batch: send it again"
            raise Problem(503, message, retry_after=_RETRY_AFTER) from None

    async def _read(
        self, request: Request, form: BodyFormat, stream: AsyncIterator[bytes], lease: MemoryLease
    ) -> tuple[Identity, DecodedBody]:
        """Return the identity of the sender, and the body without the records that it may not send."""
        identity: Identity | None = request.state.identity
        encoding = request.headers.get("content-encoding", "").strip().lower().replace("identity", "")
        encoding = encoding or form.encoding
        if encoding and encoding not in ENCODINGS:
            raise Problem(415, f"the body has the encoding {encoding[:40]!r}: send gzip, deflate, zstd, or snappy")
        max_size = self._max_body(identity)
        length = request.headers.get("content-length", "0")
        if identity is None and ("authorization" in request.headers or encoding or int(length) > max_size):
            raise unauthorized()
        if int(length) > max_size:
            raise _too_large(max_size)
        try:
            chunks = await asyncio.wait_for(_collect(stream, max_size, lease), _BODY_TIMEOUT)
        except asyncio.TimeoutError:
            raise Problem(408, f"the body did not arrive within {_BODY_TIMEOUT:.0f} seconds: send it again") from None
        lease.add_request()  # Only now, so that unfinished bodies cannot use up the limit.
        # Nothing is decompressed or decoded for a client without a key, except the key itself.
        identity = identity or await self._find_sender(request, form, chunks)
        self._access.warn_about_page(request, identity)
        loop = asyncio.get_running_loop()
        arguments = (form, chunks, encoding, max_size, self._max_weight, lease)
        body = await loop.run_in_executor(self._threads, _decode, *arguments)
        if identity.key is not None:
            self._rates.require(identity.key, body.count, body.size)
        return identity, limit_records(body, identity)

    def _max_body(self, identity: Identity | None) -> int:
        if identity is None:
            return min(_MAX_BEACON_SIZE, self._max_size)
        limit = identity.key.bytes_per_minute if identity.key is not None else None
        return self._max_size if limit is None else min(limit, self._max_size)

    async def _find_sender(self, request: Request, form: BodyFormat, chunks: list[bytes]) -> Identity:
        """Return the identity for the key in the body of a page that is being closed."""
        secret = form.read_token(b"".join(chunks)) if form.read_token is not None else None
        if secret is None:
            raise unauthorized()
        identity = await self._access.find(request, secret)
        self._access.check_origin(request, identity)
        identity.require("send")
        return identity


def _decode(
    form: BodyFormat, chunks: list[bytes], encoding: str, max_size: int, max_weight: int, lease: MemoryLease
) -> DecodedBody:
    if encoding:
        content = decompress(chunks, encoding, max_size, lease)
    else:
        content = b"".join(chunks)
        chunks.clear()
    return form.decode(content, max_weight, lease)


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


def _too_large(max_size: int) -> Problem:
    return Problem(413, f"the body has more than {max_size:,} bytes: send less at once")

"""What people ask the server: records, how many there are, and what comes in."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any

import anyio
import msgspec
from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from sse_starlette import EventSourceResponse

from concurrent_log.collector.server.errors import Problem, documented
from concurrent_log.collector.server.query import downloads, responses
from concurrent_log.collector.server.query import live_tail as live
from concurrent_log.collector.server.query.parameters import (
    Asked,
    AskedContext,
    AskedDownload,
    AskedGroups,
    AskedHistogram,
    AskedPage,
    AskedServices,
    AskedValues,
    RecordId,
)
from concurrent_log.collector.server.query.watched_services import Services
from concurrent_log.collector.store import Store
from concurrent_log.collector.store.message_groups import Grouping
from concurrent_log.collector.store.reader import Reader, iso, reader_of
from concurrent_log.collector.store.statistics import Statistics

_DAY = 86_400_000_000  # microseconds
_HEARTBEAT = 15  # seconds
_GRACE = 3.0  # seconds in which a listener is told the last when the server ends
_SLOWEST = 30.0  # seconds that a listener may take for an event

router = APIRouter(tags=["reading"], responses=documented(401, 403, 422, 503, 504))


def provide(app: FastAPI, store: Store) -> live.Arrivals:
    """Give the routes what they need, and return what is to be told when something was stored."""
    arrivals = live.Arrivals()
    app.state.reader = reader_of(store)
    app.state.statistics = Statistics(app.state.reader)
    app.state.grouping = Grouping(app.state.reader)
    app.state.services = Services(app.state.reader)
    app.state.arrivals, app.state.listeners = arrivals, 0
    return arrivals


async def _ready(request: Request) -> Reader:
    reader: Reader = request.app.state.reader
    await reader.ready()
    return reader


Ready = Annotated[Reader, Depends(_ready)]


@router.get("/logs", summary="Find records", response_model=responses.RecordPage)
async def find(reader: Ready, asked: Annotated[AskedPage, Query()]) -> Response:
    """Find records by time, newest first."""
    page = await reader.find(asked.filters(), limit=asked.limit, newest_first=asked.order == "desc", after=asked.cursor)
    return _json({"logs": page.records, "next": None if page.next is None else str(page.next)})


@router.get("/logs/{id}", summary="Return one record", response_model=responses.Record, responses=documented(404))
async def one(reader: Ready, where: Annotated[RecordId, Path(alias="id")]) -> Response:
    """Return one record."""
    record = await reader.one(where)
    if record is None:
        raise Problem(404, f"there is no record {where}")
    return _json(record)


@router.get(
    "/logs/{id}/context",
    summary="Return the records around one",
    response_model=responses.Records,
    responses=documented(404),
)
async def context(
    reader: Ready, where: Annotated[RecordId, Path(alias="id")], asked: Annotated[AskedContext, Query()]
) -> Response:
    """Return the records of the same service, host and process around one, oldest first."""
    records = await reader.context(where, before=asked.before, after=asked.after)
    if records is None:
        raise Problem(404, f"there is no record {where}")
    return _json({"logs": records})


@router.get("/histogram", summary="Count records over time", response_model=responses.Histogram)
async def histogram(reader: Ready, asked: Annotated[AskedHistogram, Query()]) -> Response:
    """Count records over time, by level."""
    found = await reader.histogram(asked.filters(), asked.buckets, _now())
    buckets = [{"start": iso(start), "counts": counts} for start, counts in found.counts]
    step = found.step / 1_000_000
    return _json({"since": iso(found.since), "until": iso(found.until), "step": step, "buckets": buckets})


@router.get("/values", summary="Count the values of a column", response_model=responses.Values)
async def values(reader: Ready, asked: Annotated[AskedValues, Query()]) -> Response:
    """Count the values of a column: of the last day, if nothing else is said."""
    filters = asked.filters()
    if filters.since is None:
        filters = replace(filters, since=_now() - _DAY)
    found = await reader.values(filters, asked.field, asked.limit)
    counted = [{"value": value, "count": count} for value, count in found.values]
    return _json({"values": counted, "is_sample": found.is_sample})


@router.get("/groups", summary="Group records that say the same", response_model=responses.Groups)
async def groups(request: Request, _: Ready, asked: Annotated[AskedGroups, Query()]) -> Response:
    """Group the newest records by level, error type and message, in which numbers and quoted text may vary.

    No more than 50,000 records are looked at, and no longer than 10 seconds; the answer says how many there were.
    """
    grouping: Grouping = request.app.state.grouping
    return _json(await grouping.answer(asked.filters(), asked.limit))


@router.get("/services", summary="Say how watched services are", response_model=responses.Services)
async def services(request: Request, _: Ready, asked: Annotated[AskedServices, Query()]) -> Response:
    """Say how the services are, and were, that programs watch with `concurrent_log.health`.

    No more than 20,000 records of their monitors are looked at, and no longer than 10 seconds; the answer says if there
    may be more.
    """
    found: Services = request.app.state.services
    since, until = asked.range(_now())
    return _json(await found.answer(asked.filters(since, until), since, until))


@router.get("/stats", summary="Say how much there is", response_model=responses.Stats)
async def stats(request: Request) -> Response:
    """Return figures about everything that is kept, which may be some seconds old."""
    statistics: Statistics = request.app.state.statistics
    return _json(await statistics.answer())


@router.get(
    "/download",
    summary="Send a file",
    response_class=Response,
    responses={200: {"content": {"application/x-ndjson": {}, "text/csv": {}}, "description": "The file."}},
)
async def download(reader: Ready, asked: Annotated[AskedDownload, Query()]) -> StreamingResponse:
    """Send all that the filters find, as a file."""
    filters, newest_first = asked.filters(), asked.order == "desc"
    if filters.until is None:
        # Otherwise it would never end where records come in as fast as they are sent.
        filters = replace(filters, until=await reader.end(_now()))
    pages = downloads.pages(reader, filters, newest_first)
    first = await anext(pages)  # before the answer begins, so that it can still be an error
    is_csv = asked.format == "csv"
    return StreamingResponse(
        downloads.as_file(first, pages, is_csv),
        media_type="text/csv; charset=utf-8" if is_csv else "application/x-ndjson",
        headers={"Content-Disposition": f'attachment; filename="logs.{asked.format}"'},
    )


@router.get(
    "/live",
    summary="Listen",
    response_class=EventSourceResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Server-sent events."}},
)
async def listen(request: Request, reader: Ready, asked: Annotated[Asked, Query()]) -> EventSourceResponse:
    """Send records as they come in: events `logs` with a list of them, and `skipped` with how many were left out."""
    state = request.app.state
    if state.listeners >= live.LISTENERS:
        raise Problem(503, f"{live.LISTENERS} listen already: try again later", wait=30)
    position = await reader.position()
    ending = anyio.Event()
    events = live.tail(reader, asked.filters(), state.arrivals, position, ending)
    return EventSourceResponse(
        _counted(state, events),
        ping=_HEARTBEAT,
        send_timeout=_SLOWEST,
        sep="\n",
        shutdown_event=ending,
        shutdown_grace_period=_GRACE,
    )


async def _counted(state: Any, events: AsyncIterator[dict[str, str]]) -> AsyncIterator[dict[str, str]]:
    state.listeners += 1
    try:
        async for event in events:
            yield event
    finally:
        state.listeners -= 1


def _now() -> int:
    return time.time_ns() // 1000


def _json(content: Any) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")

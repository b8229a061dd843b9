"""The routes that read: records, counts, groups, downloads and the live tail."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, Any

import anyio
import msgspec
from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from sse_starlette import EventSourceResponse

from concurrent_log.collector.server.access.control import AccessControl
from concurrent_log.collector.server.access.rules import identity_of
from concurrent_log.collector.server.errors import Problem, documented
from concurrent_log.collector.server.query import downloads, live_tail, responses
from concurrent_log.collector.server.query.parameters import (
    ContextParameters,
    DownloadParameters,
    FilterParameters,
    GroupsParameters,
    HistogramParameters,
    PageParameters,
    RecordId,
    ServicesParameters,
    ValuesParameters,
)
from concurrent_log.collector.server.query.places import PlacedResponse, Places, QueryGate
from concurrent_log.collector.server.query.watched_services import WatchedServices
from concurrent_log.collector.store.factory import create_reader
from concurrent_log.collector.store.interface import Store
from concurrent_log.collector.store.message_groups import MessageGrouping
from concurrent_log.collector.store.reader import RecordReader, iso_time
from concurrent_log.collector.store.statistics import StoreStatistics

_DAY = 86_400_000_000  # microseconds
_MAX_LARGE_READS = 4  # at the same time; each holds up to 8 MB of records, and their JSON
_MAX_DOWNLOADS = 10  # at the same time; each holds a page of records in memory
_HEARTBEAT_INTERVAL = 15  # seconds
_SHUTDOWN_TIMEOUT = 3.0  # seconds in which a listener receives the last records when the server stops
_SEND_TIMEOUT = 30.0  # seconds in which a listener must receive an event

router = APIRouter(tags=["reading"], responses=documented(401, 403, 422, 503, 504))


def add_state(app: FastAPI, store: Store) -> live_tail.CommitNotifier:
    """Add to ``app.state`` what the routes need; return the notifier to call after each commit."""
    notifier = live_tail.CommitNotifier()
    app.state.reader = create_reader(store)
    app.state.statistics = StoreStatistics(app.state.reader)
    app.state.grouping = MessageGrouping(app.state.reader)
    app.state.services = WatchedServices(app.state.reader)
    app.state.notifier = notifier
    app.state.large_reads = QueryGate(_MAX_LARGE_READS)
    app.state.listeners = Places(live_tail.MAX_LISTENERS, "listeners")
    app.state.downloads = Places(_MAX_DOWNLOADS, "downloads")
    return notifier


async def _prepared_reader(request: Request) -> RecordReader:
    reader: RecordReader = request.app.state.reader
    await reader.prepare()
    return reader


def _visible_services(request: Request) -> tuple[str, ...]:
    return identity_of(request).visible_services


PreparedReader = Annotated[RecordReader, Depends(_prepared_reader)]
Visible = Annotated[tuple[str, ...], Depends(_visible_services)]  # the services that the key may read; empty for all


@router.get("/logs", summary="Find records", response_model=responses.RecordPageResponse)
async def find(
    request: Request, reader: PreparedReader, visible: Visible, query: Annotated[PageParameters, Query()]
) -> Response:
    """Find records by time, newest first."""
    filters, newest_first = query.filters(visible), query.order == "desc"
    async with request.app.state.large_reads:
        page = await reader.find(filters, limit=query.limit, newest_first=newest_first, after=query.cursor)
        return _json({"logs": page.records, "next": None if page.next is None else page.next.cursor})


@router.get(
    "/logs/{id}", summary="Return one record", response_model=responses.RecordResponse, responses=documented(404)
)
async def get_record(reader: PreparedReader, visible: Visible, key: Annotated[RecordId, Path(alias="id")]) -> Response:
    """Return one record."""
    record = await reader.get(key, visible)
    if record is None:
        raise Problem(404, f"there is no record {key}")
    return _json(record)


@router.get(
    "/logs/{id}/context",
    summary="Return the records around one",
    response_model=responses.RecordListResponse,
    responses=documented(404),
)
async def get_context(
    request: Request,
    reader: PreparedReader,
    visible: Visible,
    key: Annotated[RecordId, Path(alias="id")],
    query: Annotated[ContextParameters, Query()],
) -> Response:
    """Return the records of the same service, host and process before and after one, oldest first."""
    async with request.app.state.large_reads:
        records = await reader.context(key, before=query.before, after=query.after, services=visible)
        if records is None:
            raise Problem(404, f"there is no record {key}")
        return _json({"logs": records})


@router.get("/histogram", summary="Count records over time", response_model=responses.HistogramResponse)
async def histogram(
    reader: PreparedReader, visible: Visible, query: Annotated[HistogramParameters, Query()]
) -> Response:
    """Count records over time, by level."""
    found = await reader.histogram(query.filters(visible), query.buckets, _now(), visible)
    buckets = [{"start": iso_time(start), "counts": counts} for start, counts in found.counts]
    step = found.step / 1_000_000
    return _json({"since": iso_time(found.since), "until": iso_time(found.until), "step": step, "buckets": buckets})


@router.get("/values", summary="Count the values of a column", response_model=responses.ValuesResponse)
async def values(reader: PreparedReader, visible: Visible, query: Annotated[ValuesParameters, Query()]) -> Response:
    """Count the values of a column, by default of the last day."""
    filters = query.filters(visible)
    if filters.since is None:
        filters = replace(filters, since=_now() - _DAY)
    found = await reader.values(filters, query.field, query.limit)
    counted = [{"value": value, "count": count} for value, count in found.values]
    return _json({"values": counted, "is_sample": found.is_sample})


@router.get("/groups", summary="Group records by message", response_model=responses.GroupsResponse)
async def groups(
    request: Request, _: PreparedReader, visible: Visible, query: Annotated[GroupsParameters, Query()]
) -> Response:
    """Group the newest records by level, error type and message, in which numbers and quoted text may vary.

    The server reads at most 50,000 records, for at most 10 seconds; the response says how many it read.
    """
    grouping: MessageGrouping = request.app.state.grouping
    return _json(await grouping.read(query.filters(visible), query.limit))


@router.get("/services", summary="Return the health of services", response_model=responses.ServicesResponse)
async def services(
    request: Request, _: PreparedReader, visible: Visible, query: Annotated[ServicesParameters, Query()]
) -> Response:
    """Return the current and past status of the services that programs monitor with `concurrent_log.health`.

    The server reads at most 20,000 records of monitors, for at most 10 seconds; the response says if there may be more.
    """
    watched: WatchedServices = request.app.state.services
    since, until = query.range(_now())
    return _json(await watched.read(query.filters(since, until, visible), since, until))


@router.get("/stats", summary="Return statistics of the store", response_model=responses.StatsResponse)
async def stats(request: Request, visible: Visible) -> Response:
    """Return figures about all stored records, which may be some seconds old."""
    statistics: StoreStatistics = request.app.state.statistics
    return _json(await statistics.read(visible))


@router.get(
    "/download",
    summary="Download records",
    response_class=Response,
    responses={200: {"content": {"application/x-ndjson": {}, "text/csv": {}}, "description": "The file."}},
)
async def download(
    request: Request, reader: PreparedReader, visible: Visible, query: Annotated[DownloadParameters, Query()]
) -> Response:
    """Send all records that the filters find, as a file."""
    filters, newest_first = query.filters(visible), query.order == "desc"
    places: Places = request.app.state.downloads
    places.take()
    try:
        if filters.until is None:
            # Without an end, a download would continue as long as new records arrive.
            filters = replace(filters, until=await reader.end_time(_now(), visible))
        pages = downloads.pages(reader, filters, newest_first, _still_allowed(request))
        async with request.app.state.large_reads:
            first = await anext(pages)  # Read it before the response begins, so that an error can still set the status.
    except BaseException:
        places.release()
        raise
    is_csv = query.format == "csv"
    response = StreamingResponse(
        downloads.encode_file(first, pages, is_csv),
        media_type="text/csv; charset=utf-8" if is_csv else "application/x-ndjson",
        headers={"Content-Disposition": f'attachment; filename="logs.{query.format}"'},
    )
    return PlacedResponse(response, places)


@router.get(
    "/live",
    summary="Listen for new records",
    response_class=EventSourceResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Server-sent events."}},
)
async def listen(
    request: Request, reader: PreparedReader, visible: Visible, query: Annotated[FilterParameters, Query()]
) -> Response:
    """Send new records: events `logs` with a list of records, and `skipped` with the number of omitted ones."""
    state = request.app.state
    places: Places = state.listeners
    places.take()  # before the first await, so that no other request passes the limit meanwhile
    try:
        position = await reader.position()
    except BaseException:
        places.release()
        raise
    ending = anyio.Event()
    events = live_tail.tail(reader, query.filters(visible), state.notifier, position, ending, _still_allowed(request))
    response = EventSourceResponse(
        events,
        ping=_HEARTBEAT_INTERVAL,
        send_timeout=_SEND_TIMEOUT,
        sep="\n",
        shutdown_event=ending,
        shutdown_grace_period=_SHUTDOWN_TIMEOUT,
    )
    return PlacedResponse(response, places)


def _still_allowed(request: Request) -> Callable[[], Awaitable[bool]]:
    """Return a function that says whether the key or session of a long response is still valid."""
    access: AccessControl = request.app.state.access
    identity = identity_of(request)

    async def is_valid() -> bool:
        return await access.is_still_valid(identity)

    return is_valid


def _now() -> int:
    return time.time_ns() // 1000


def _json(content: Any) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")

"""The routes that delete records by a query: a preview with their number, and the deletion of exactly that number."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from concurrent_log.collector.server.access.audit import record_use
from concurrent_log.collector.server.access.rules import identity_of
from concurrent_log.collector.server.errors import Problem, documented
from concurrent_log.collector.server.query.parameters import FilterParameters
from concurrent_log.collector.store.interface import Store
from concurrent_log.collector.store.reader import RecordReader, iso_time
from concurrent_log.collector.store.sql.filters import Filters
from concurrent_log.collector.store.sql.statements import count_deletable, deletable_condition

router = APIRouter(tags=["administration"], responses=documented(401, 403, 422, 503, 504))

_MAX_QUERY_LENGTH = 2000  # characters in the record about a deletion


class DeletionParameters(FilterParameters):
    """Parameters of a deletion: the filters of the preview, and what the preview returned."""

    count: int = Field(ge=0, le=2**53, description="The number of records, from the preview.")


class DeletionPreviewResponse(BaseModel):
    """What a deletion would delete."""

    count: int = Field(description="The number of records.")
    until: str = Field(description="The end of the time range; give it to the deletion as `until`.")


class DeletionResponse(BaseModel):
    """What was deleted."""

    deleted: int = Field(description="The number of records.")


@router.get("/deletion", summary="Count the records that a deletion would delete")
async def preview(request: Request, query: Annotated[FilterParameters, Query()]) -> DeletionPreviewResponse:
    """Count the records that the filters find; at least one filter is needed. Without `until`, the end is now."""
    filters = _require_filter(query)
    until = time.time_ns() // 1000 if filters.until is None else filters.until
    found = await _count(request, query.filters(()), until)
    return DeletionPreviewResponse(count=found, until=iso_time(until))


@router.delete("/logs", summary="Delete records", responses=documented(409))
async def delete_records(request: Request, query: Annotated[DeletionParameters, Query()]) -> DeletionResponse:
    """Delete the records that the filters find, if their number is still that of the preview.

    The deletion is final, and a record of the logger `concurrent_log.audit` says who did it. Such records cannot be
    deleted.
    """
    filters = _require_filter(query)
    if filters.until is None:
        raise Problem(422, "until is missing: use that of the preview, GET /deletion")
    found = await _count(request, filters, filters.until)
    if found != query.count:
        raise Problem(409, f"there are {found:,} such records now, not {query.count:,}: look at the preview again")
    reader: RecordReader = request.app.state.reader
    store: Store = request.app.state.managed_store.store
    name, written = identity_of(request).name, str(request.url.query)[:_MAX_QUERY_LENGTH]
    action = f"deletes {found:,} records"
    await record_use(request.app.state.managed_store, name, action, query=written, records=found)
    condition = deletable_condition(reader.dialect, filters)
    return DeletionResponse(deleted=await store.delete(condition.sql, condition.arguments))


def _require_filter(query: FilterParameters) -> Filters:
    """Return the filters; raise `Problem` if there is none, because that would delete everything."""
    filters = query.filters(())
    if filters == Filters(until=filters.until):
        raise Problem(422, "a deletion needs a filter besides until: it would delete everything")
    return filters


async def _count(request: Request, filters: Filters, until: int) -> int:
    reader: RecordReader = request.app.state.reader
    await reader.prepare()
    rows: Any = await reader.rows(count_deletable(reader.dialect, filters, until))
    return int(rows[0][0])

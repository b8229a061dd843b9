"""The models of the responses, for the OpenAPI document; the responses themselves are built by the store's reader."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

_EMPTY = "Absent if empty, like all columns below."


class RecordResponse(BaseModel):
    """A record."""

    id: str
    created_at: datetime
    received_at: datetime
    level: str
    level_number: int
    attributes: dict[str, Any]
    message: str = Field("", description=_EMPTY)
    service: str = ""
    environment: str = ""
    service_version: str = ""
    log_type: str = ""
    host: str = ""
    process_id: int = 0
    process_name: str = ""
    thread_name: str = ""
    logger: str = ""
    function_name: str = ""
    file_path: str = ""
    line_number: int = 0
    trace_id: str = ""
    span_id: str = ""
    user_id: str = ""
    session_id: str = ""
    error_type: str = ""
    stack_trace: str = ""
    path: str = ""
    method: str = ""
    action_type: str = ""
    duration_ms: float = 0.0
    sequence: int = 0


class RecordListResponse(BaseModel):
    """Records in order."""

    logs: list[RecordResponse]


class RecordPageResponse(RecordListResponse):
    """A page of records."""

    next: str | None = Field(description="The `cursor` of the next page, or null.")


class HistogramBucket(BaseModel):
    """One step of a histogram."""

    start: datetime
    counts: dict[str, int] = Field(description="The number of records by level.")


class HistogramResponse(BaseModel):
    """The number of records over time."""

    since: datetime
    until: datetime
    step: float = Field(description="In seconds.")
    buckets: list[HistogramBucket]


class ValueCount(BaseModel):
    """A value, and the number of records that have it."""

    value: str
    count: int


class ValuesResponse(BaseModel):
    """The most frequent values of a column."""

    values: list[ValueCount]
    is_sample: bool = Field(description="Whether only the newest records were counted, because there are too many.")


class GroupResponse(BaseModel):
    """Records with the same level, error type and message, except for the parts that vary."""

    level: str
    error_type: str = Field(description="Empty if the records have none.")
    message: str = Field(description="The message with `<*>` for each part that varies; at most 300 characters.")
    count: int
    first_seen: datetime
    last_seen: datetime
    services: list[str] = Field(description="The most frequent services, at most ten.")
    newest: str = Field(description="The `id` of the newest record.")


class GroupsResponse(BaseModel):
    """Groups of records, largest first."""

    groups: list[GroupResponse]
    looked_at: int = Field(description="The number of records that were read, newest first.")
    looked_since: datetime | None = Field(description="The time of the oldest of them; null if there are none.")
    is_sample: bool = Field(description="Whether there are older records that were not read.")
    others: int = Field(description="The number of records that were read and are in none of these groups.")


class StatusSegment(BaseModel):
    """A period in which a service had one status."""

    since: datetime
    until: datetime
    status: str = Field(
        description="`healthy`, `degraded`, `unhealthy` or `unknown`; `silent` or `stopped` if its monitor was."
    )
    error: str | None = Field(description="The error at the beginning, or null.")


class WatchedServiceResponse(BaseModel):
    """The last known status of a service, and its history."""

    name: str = Field(description="At most 200 characters, like all texts here.")
    status: str = Field(description="`healthy`, `degraded`, `unhealthy`, or `unknown` before the first check.")
    since: datetime = Field(description="The time at which the service got this status.")
    last_seen: datetime = Field(description="The time of the monitor's last record about the service.")
    response_time_ms: float | None
    error: str | None
    consecutive_failures: int
    breaker: str = Field(description="The state of its circuit breaker: `closed`, `open` or `half-open`.")
    critical: bool
    is_flapping: bool = Field(description="Whether its status changes often.")
    history: list[StatusSegment] = Field(description="Oldest first; for a time without a segment, nothing is known.")
    is_cut: bool = Field(description="Whether the history is longer than this.")
    response_times: list[float | None] = Field(
        description="The longest response time in each of 60 steps of the range, in milliseconds, or null."
    )


class ProgramResponse(BaseModel):
    """A program that monitors services."""

    service: str | None
    environment: str | None
    host: str | None
    process_id: int | None
    monitor: str = Field(
        description="`running`; `stopped`, as it reported; `silent`, if there was no record for more than twice the"
        " interval of its reports; `replaced`, if it is silent and the program was started again on the same host."
    )
    last_seen: datetime
    services: list[WatchedServiceResponse] = Field(description="The worst first.")


class ServicesResponse(BaseModel):
    """The services that programs monitor, from the records of their monitors."""

    since: datetime
    until: datetime
    programs: list[ProgramResponse] = Field(description="The worst first.")
    is_cut: bool = Field(description="Whether there are more programs or services.")
    looked_at: int = Field(description="The number of records of monitors that were read, newest first.")
    looked_since: datetime | None = Field(description="The time of the oldest of them; null if there are none.")
    is_sample: bool = Field(description="Whether there may be older records in the range that were not read.")
    unreadable: int = Field(description="The number of records that were read and contain no status.")


class LevelCount(BaseModel):
    """The number of records of a level."""

    level: str
    count: int


class ServiceCount(BaseModel):
    """The number of records of a service."""

    service: str
    count: int


class ServiceActivity(BaseModel):
    """The time of the last record of a service, and their number."""

    service: str
    last_seen: datetime
    records: int


class PartitionResponse(BaseModel):
    """A part of the table."""

    name: str
    bytes: int
    records: int = Field(description="An estimate.")


class LossResponse(BaseModel):
    """The records that a client lost or changed for one reason in the last week, as it reported."""

    client: str | None
    name: str | None
    service: str | None
    host: str | None
    reason: str
    records: int
    since: datetime
    last_seen: datetime


class SenderResponse(BaseModel):
    """A program that has sent in the last week."""

    service: str | None
    name: str | None = Field(description="The name of the program, with its format if that is not our own.")
    count: int = Field(description="The number of its clients.")
    last_seen: datetime


class StatsResponse(BaseModel):
    """Figures about all stored records; they may be some seconds old."""

    total_logs: int
    is_estimate: bool = Field(description="Whether `total_logs` is an estimate, because counting takes too long.")
    counted_at: datetime
    counted_since: datetime | None = Field(
        description="The time from which levels and services are counted; null if all records are."
    )
    level_distribution: list[LevelCount]
    service_distribution: list[ServiceCount]
    recent_errors_1h: int
    records_per_second: float = Field(description="Received in the last minute.")
    size_bytes: int
    partitions: list[PartitionResponse]
    services: list[ServiceActivity]
    senders: list[SenderResponse]
    drops: list[LossResponse] = Field(description="Lost records.")
    changes: list[LossResponse] = Field(
        description="Records that were stored from divided batches or with shorter texts."
    )

"""What the answers to questions look like, for the OpenAPI document; what is sent is made by the store's reader."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

_EMPTY = "Columns that are empty are left out."


class Record(BaseModel):
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


class Records(BaseModel):
    """Records in order."""

    logs: list[Record]


class RecordPage(Records):
    """Records in order, and what to ask for more."""

    next: str | None = Field(description="The `cursor` of the next page; null where there is none.")


class Bucket(BaseModel):
    """One step of a histogram."""

    start: datetime
    counts: dict[str, int] = Field(description="How many records, by level.")


class Histogram(BaseModel):
    """How many records there are over time."""

    since: datetime
    until: datetime
    step: float = Field(description="In seconds.")
    buckets: list[Bucket]


class Value(BaseModel):
    """A value, and how many records have it."""

    value: str
    count: int


class Values(BaseModel):
    """The most frequent values."""

    values: list[Value]
    is_sample: bool = Field(description="Whether only the newest records were counted, since there are so many.")


class Group(BaseModel):
    """Records of the same level and error type, whose messages say the same."""

    level: str
    error_type: str = Field(description="Empty where they have none.")
    message: str = Field(description="The message, with `<*>` for whatever varies in it; 300 characters at most.")
    count: int
    first_seen: datetime
    last_seen: datetime
    services: list[str] = Field(description="The most frequent of the services, ten at most.")
    newest: str = Field(description="The `id` of the newest of them.")


class Groups(BaseModel):
    """Groups of records, the largest first."""

    groups: list[Group]
    looked_at: int = Field(description="How many records were looked at: the newest.")
    looked_since: datetime | None = Field(description="The time of the oldest of them; null where there are none.")
    is_sample: bool = Field(description="Whether there are older records that were not looked at.")
    others: int = Field(description="How many of those that were looked at are in none of these groups.")


class Segment(BaseModel):
    """A status that a service had for a time."""

    since: datetime
    until: datetime
    status: str = Field(
        description="`healthy`, `degraded`, `unhealthy`, or `unknown`; `silent` or `stopped` as its monitor was."
    )
    error: str | None = Field(description="What was wrong, if anything was.")


class WatchedService(BaseModel):
    """A service as its monitor said last, and as it was."""

    name: str = Field(description="200 characters at most, as of the other texts.")
    status: str = Field(description="`healthy`, `degraded`, `unhealthy`, or `unknown`, as long as it was not checked.")
    since: datetime = Field(description="Since when it has this status.")
    last_seen: datetime = Field(description="When its monitor spoke of it last.")
    response_time_ms: float | None
    error: str | None
    consecutive_failures: int
    breaker: str = Field(description="The state of its circuit breaker: `closed`, `open`, or `half-open`.")
    critical: bool
    is_flapping: bool = Field(description="Whether it comes and goes.")
    history: list[Segment] = Field(description="Oldest first; there may be times of which nothing is known.")
    is_cut: bool = Field(description="Whether its history is longer than that.")
    response_times: list[float | None] = Field(
        description="The longest one in each of 60 steps of the range, in milliseconds; null where there is none."
    )


class Program(BaseModel):
    """A program that watches services."""

    service: str | None
    environment: str | None
    host: str | None
    process_id: int | None
    monitor: str = Field(
        description="`running`; `stopped`, as it said; `silent`, since nothing came for more than twice as long as from"
        " one report to the next; `replaced`, which is silent, too, but the program was started again on its host."
    )
    last_seen: datetime
    services: list[WatchedService] = Field(description="The worst first.")


class Services(BaseModel):
    """Services that programs watch, as their monitors have logged."""

    since: datetime
    until: datetime
    programs: list[Program] = Field(description="The worst first.")
    is_cut: bool = Field(description="Whether there are more programs or services.")
    looked_at: int = Field(description="How many records were looked at: the newest of all monitors.")
    looked_since: datetime | None = Field(description="The time of the oldest of them; null where there are none.")
    is_sample: bool = Field(description="Whether there may be older records in the range that were not looked at.")
    unreadable: int = Field(description="How many of those that were looked at say nothing of services.")


class LevelCount(BaseModel):
    """How many records of a level."""

    level: str
    count: int


class ServiceCount(BaseModel):
    """How many records of a service."""

    service: str
    count: int


class Seen(BaseModel):
    """When a service was last heard of."""

    service: str
    last_seen: datetime
    records: int


class Partition(BaseModel):
    """A part of the table."""

    name: str
    bytes: int
    records: int = Field(description="An estimate.")


class Drop(BaseModel):
    """What a client lost for one reason in the last week, by its own account."""

    client: str | None
    name: str | None
    service: str | None
    host: str | None
    reason: str
    records: int
    since: datetime
    last_seen: datetime


class Stats(BaseModel):
    """Figures about everything that is kept; they may be some seconds old."""

    total_logs: int
    is_estimate: bool = Field(description="Whether `total_logs` was estimated, since counting takes too long.")
    counted_at: datetime
    counted_since: datetime | None = Field(description="From when on levels and services are counted; null: always.")
    level_distribution: list[LevelCount]
    service_distribution: list[ServiceCount]
    recent_errors_1h: int
    records_per_second: float = Field(description="Received in the last minute.")
    size_bytes: int
    partitions: list[Partition]
    services: list[Seen]
    drops: list[Drop]

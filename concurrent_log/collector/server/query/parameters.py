"""The query parameters of all routes, and the error message for an invalid one."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from concurrent_log.collector.server.query.language.parser import parse
from concurrent_log.collector.server.query.levels import LEVEL_NUMBERS, level_number
from concurrent_log.collector.server.query.quoting import quote_value
from concurrent_log.collector.server.query.times import TIME, time_in_microseconds
from concurrent_log.collector.store.columns import TEXTS
from concurrent_log.collector.store.sql.expressions import Expression
from concurrent_log.collector.store.sql.filters import HEALTH_LOGGER, Comparison, Filters, RecordKey

_MAX_VALUES = 50  # of one parameter
_MAX_LENGTH = 1000  # characters of a value
_DEFAULT_HISTORY, _MAX_HISTORY = 86_400_000_000, 7 * 86_400_000_000  # microseconds
_MAX_SEQUENCE = 2**63 - 1
_MAX_CLOCK_SKEW = 60_000_000  # microseconds

_RECORD_KEY = r"^[0-9]{1,18}-[0-9]{1,18}$"
_CURSOR = r"^[0-9]{1,18}-[0-9]{1,18}([.]-?[0-9]{1,19})?$"
_WHERE = r"^[^=!][^=]*="


def _expression(text: str) -> Expression | None:
    _check_length(text)
    return parse(text)


def _check_length(text: str) -> None:
    if len(text) > _MAX_LENGTH:
        raise ValueError(f"{quote_value(text)} has {len(text)} characters: use at most {_MAX_LENGTH}")


def _comparison(text: Any) -> Comparison:
    _check_length(text)
    if not re.match(_WHERE, text):
        raise ValueError(f"{quote_value(text)} is not a condition: use key=value or key!=value")
    key, _, value = text.partition("=")
    return Comparison(key.removesuffix("!"), value, not key.endswith("!"))


def _record_key(text: Any) -> RecordKey:
    if not re.fullmatch(_RECORD_KEY[1:-1], text, re.ASCII):
        raise ValueError(f"{quote_value(text)} is not the id of a record: use `id` unchanged")
    created_at, _, number = text.partition("-")
    return RecordKey(int(created_at), int(number))


def _cursor(text: Any) -> RecordKey:
    if not re.fullmatch(_CURSOR[1:-1], text, re.ASCII):
        raise ValueError(f"{quote_value(text)} is not a cursor of this server: use `next` unchanged, or omit it")
    key, _, sequence = text.partition(".")
    return replace(_record_key(key), sequence=min(max(int(sequence or 0), -_MAX_SEQUENCE), _MAX_SEQUENCE))


def _text(**schema: Any) -> Any:
    return WithJsonSchema({"type": "string", **schema})


# Each of these may be absent. The document does not mention null, because null would be text in a URL.
Time = Annotated[int | None, BeforeValidator(time_in_microseconds), _text(pattern=TIME)]
Level = Annotated[int | None, BeforeValidator(level_number), _text(enum=list(LEVEL_NUMBERS))]
TraceId = Annotated[str | None, Field(max_length=_MAX_LENGTH), _text(maxLength=_MAX_LENGTH)]
Cursor = Annotated[RecordKey | None, BeforeValidator(_cursor), _text(pattern=_CURSOR)]
Text = Annotated[str, Field(max_length=_MAX_LENGTH)]
Search = Annotated[Any, BeforeValidator(_expression), _text(maxLength=_MAX_LENGTH)]
Texts = Annotated[list[Text], Field(max_length=_MAX_VALUES)]
Where = Annotated[Comparison, BeforeValidator(_comparison), _text(pattern=_WHERE, maxLength=_MAX_LENGTH)]
RecordId = Annotated[RecordKey, BeforeValidator(_record_key), _text(pattern=_RECORD_KEY)]


def _reject_unknown(kind: type[BaseModel], given: Any) -> Any:
    """Raise `ValueError` for an unknown parameter: a misspelt filter must not find all records."""
    for name in given:
        if name not in kind.model_fields:
            raise ValueError(f"there is no parameter {quote_value(name)}: use {', '.join(kind.model_fields)}")
    return given


class FilterParameters(BaseModel):
    """The filters, which all queries accept; a record must match all of them."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def _reject_unknown_parameters(cls, given: Any) -> Any:
        return _reject_unknown(cls, given)

    since: Time = Field(
        None, description="The earliest time: ISO 8601, seconds since 1970, or how long ago.", examples=["15m"]
    )
    until: Time = Field(None, description="The time before which the records end, in the same formats.")
    level: Level = Field(None, description="The lowest level.")
    service: Texts = Field([], description="One of these values; may be repeated.")
    environment: Texts = Field([], description="One of these values; may be repeated.")
    host: Texts = Field([], description="One of these values; may be repeated.")
    trace_id: TraceId = Field(None, description="The exact trace id.")
    q: Search = Field(
        None,
        description="A query: words, text in double quotes, and comparisons such as `level>=warn`, `service=(shop,"
        " payments)` or `duration_ms>500`, joined by AND, OR, NOT and parentheses. docs/query-language.md describes"
        " the language.",
        examples=["timeout duration_ms>500 -service=shop"],
    )
    where: Annotated[list[Where], Field(max_length=_MAX_VALUES)] = Field(
        [],
        description="key=value or key!=value, of a column or an attribute; key= finds records without a value, key!="
        " those with one. May be repeated.",
        examples=[["customer=Ada"]],
    )

    def filters(self, visible: tuple[str, ...]) -> Filters:
        """Return the filters for the store, for records of the ``visible`` services only; empty for all."""
        filters = Filters(
            since=self.since,
            until=self.until,
            level=self.level,
            service=tuple(self.service),
            environment=tuple(self.environment),
            host=tuple(self.host),
            trace_id=self.trace_id,
            where=tuple(self.where),
            expression=self.q,
        )
        return filters.within(visible)


class PageParameters(FilterParameters):
    """Parameters of a page of records."""

    limit: int = Field(100, ge=1, le=1000, description="Maximum number of records.")
    order: Literal["desc", "asc"] = Field("desc", description="Newest first, or oldest first.")
    cursor: Cursor = Field(None, description="The `next` of the previous page.")


class HistogramParameters(FilterParameters):
    """Parameters of a histogram."""

    buckets: int = Field(60, ge=1, le=1000, description="Maximum number of steps.")


class ValuesParameters(FilterParameters):
    """Parameters for the values of a column."""

    field: Literal[TEXTS] = Field(description="The column.")  # type: ignore[valid-type]  # built from the columns
    limit: int = Field(50, ge=1, le=1000, description="Maximum number of values.")


class GroupsParameters(FilterParameters):
    """Parameters for groups of records."""

    limit: int = Field(100, ge=1, le=1000, description="Maximum number of groups.")


class ServicesParameters(BaseModel):
    """Parameters for the health of services."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _reject_unknown_parameters(cls, given: Any) -> Any:
        return _reject_unknown(cls, given)

    since: Time = Field(None, description="The beginning: by default a day before the end, at most a week before it.")
    until: Time = Field(None, description="The end, by default now; `silent` refers to this time.")
    service: Texts = Field([], description="Programs with one of these names; may be repeated.")
    environment: Texts = Field([], description="One of these values; may be repeated.")
    host: Texts = Field([], description="One of these values; may be repeated.")

    def range(self, now: int) -> tuple[int, int]:
        """Return the beginning and the end of the range, in microseconds."""
        until = now if self.until is None else self.until
        since = until - _DEFAULT_HISTORY if self.since is None else self.since
        return max(min(since, until), until - _MAX_HISTORY, 0), until

    def filters(self, since: int, until: int, visible: tuple[str, ...]) -> Filters:
        """Return the filters for the store; without `until`, they allow for clocks that are slightly ahead."""
        filters = Filters(
            since=since,
            until=until + _MAX_CLOCK_SKEW if self.until is None else until,
            service=tuple(self.service),
            environment=tuple(self.environment),
            host=tuple(self.host),
            where=(Comparison("logger", HEALTH_LOGGER),),
        )
        return filters.within(visible)


class DownloadParameters(FilterParameters):
    """Parameters of a download."""

    format: Literal["ndjson", "csv"] = Field("ndjson", description="A JSON object on each line, or CSV.")
    order: Literal["desc", "asc"] = Field("asc", description="Newest first, or oldest first.")


class ContextParameters(BaseModel):
    """Parameters for the records around one."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _reject_unknown_parameters(cls, given: Any) -> Any:
        return _reject_unknown(cls, given)

    before: int = Field(20, ge=0, le=500, description="Number of earlier records.")
    after: int = Field(20, ge=0, le=500, description="Number of later records.")


def describe_validation_error(errors: Sequence[Any]) -> str:
    """Return one line for the first of pydantic's errors: the parameter, the value and the remedy."""
    error = errors[0]
    # The first part of the location is query, path or body.
    name = ".".join(str(part) for part in error["loc"][1:] if not isinstance(part, int))
    if error["type"] == "value_error":
        return f"{name}: {error['ctx']['error']}" if name else str(error["ctx"]["error"])
    if error["type"] == "missing":
        return f"{name} is missing"
    return f"{name or 'the request'} is {quote_value(error['input'])}: {error['msg'][:1].lower()}{error['msg'][1:]}"

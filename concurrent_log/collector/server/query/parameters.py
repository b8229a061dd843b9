"""What may be asked: the parameters of a URL, and what to say where one is wrong."""

import re
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from concurrent_log.collector.server.timestamps import microseconds_of
from concurrent_log.collector.store import LEVELS, TEXTS
from concurrent_log.collector.store.sql.statements import HEALTH, Comparison, Filters, Place

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MOST = 50  # values of one parameter
_LONGEST = 1000  # characters of a value
_SHOWN = 100  # characters of a wrong value
_LENGTH, _LONGEST_LENGTH = 86_400_000_000, 7 * 86_400_000_000  # microseconds of the history of services
_AHEAD = 60_000_000  # microseconds that a clock may be ahead of ours

# Patterns that mean the same in Python and in the OpenAPI document.
_AGO = r"[0-9]{1,6}[smhdw]"
_SECONDS = r"[0-9]{1,10}([.][0-9]{1,9})?"
_YEAR = r"(19[7-9][0-9]|2[01][0-9]{2})"
_LEAP_YEAR = r"(19[79][26]|198[048]|2[01][02468][048]|2[01][13579][26])"
_LENGTHS = r"(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8])"
_DAY = f"({_YEAR}-({_LENGTHS})|{_LEAP_YEAR}-02-29)"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?"
_ZONE = r"(Z|[+ -]([01][0-9]|2[0-3]):[0-5][0-9])"
_ISO = f"{_DAY}([T ]{_CLOCK}{_ZONE}?)?"
_TIME = f"^({_AGO}|{_SECONDS}|{_ISO})$"
_PLACE = r"^[0-9]{1,18}-[0-9]{1,18}$"
_WHERE = r"^[^=!][^=]*="
_LEVELS = {name: number for level, number in LEVELS.items() for name in (level, level.lower())} | {
    "WARNING": LEVELS["WARN"],
    "warning": LEVELS["WARN"],
    "CRITICAL": LEVELS["FATAL"],
    "critical": LEVELS["FATAL"],
}


def shown(value: Any) -> str:
    """Return a value for a message of one line."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _time(text: Any) -> int:
    """Return a time in microseconds since 1970."""
    if re.fullmatch(_AGO, text):
        return max(0, time.time_ns() // 1000 - int(text[:-1]) * _UNITS[text[-1]] * 1_000_000)
    if re.fullmatch(_SECONDS, text):
        return int(Decimal(text) * 1_000_000)
    if re.fullmatch(_ISO, text):
        # A + that was not escaped in a URL is a blank.
        written = re.sub(r" (\d\d:\d\d)$", r"+\1", text) if text.count(":") > 1 else text
        found = microseconds_of(f"{written}T00:00" if re.fullmatch(_DAY, text) else written)
        if found is not None or text.startswith("1970-01-01"):
            return found or 0  # what is 1970 here, but not yet in UTC
    remedy = "use ISO 8601, seconds since 1970, or how long ago, such as 15m, 2h or 7d"
    raise ValueError(f"{shown(text)} is no time: {remedy}")


def _level(text: Any) -> int:
    if text not in _LEVELS:
        raise ValueError(f"{shown(text)} is no level: use one of {', '.join(LEVELS)}")
    return _LEVELS[text]


def _comparison(text: Any) -> Comparison:
    if len(text) > _LONGEST:
        raise ValueError(f"{shown(text)} has {len(text)} characters: use at most {_LONGEST}")
    if not re.match(_WHERE, text):
        raise ValueError(f"{shown(text)} is no condition: use key=value or key!=value")
    key, _, value = text.partition("=")
    return Comparison(key.removesuffix("!"), value, not key.endswith("!"))


def _place(text: Any) -> Place:
    if not re.fullmatch(_PLACE[1:-1], text, re.ASCII):
        raise ValueError(f"{shown(text)} was not given by this server: use it as it came, or leave it out")
    created_at, _, number = text.partition("-")
    return Place(int(created_at), int(number))


def _terms(text: str) -> tuple[str, ...]:
    """Return the words, and what is in double quotes as one."""
    found = [quoted or word for quoted, word in re.findall(r'"([^"]+)"|([^\s"]+|")', text)]
    return tuple(dict.fromkeys(found))


def _text(**schema: Any) -> Any:
    return WithJsonSchema({"type": "string", **schema})


# Each may be missing, but null is a text in a URL, so that the document does not know it.
Time = Annotated[int | None, BeforeValidator(_time), _text(pattern=_TIME)]
Level = Annotated[int | None, BeforeValidator(_level), _text(enum=list(_LEVELS))]
TraceId = Annotated[str | None, Field(max_length=_LONGEST), _text(maxLength=_LONGEST)]
Cursor = Annotated[Place | None, BeforeValidator(_place), _text(pattern=_PLACE)]
Text = Annotated[str, Field(max_length=_LONGEST)]
Texts = Annotated[list[Text], Field(max_length=_MOST)]
Where = Annotated[Comparison, BeforeValidator(_comparison), _text(pattern=_WHERE, maxLength=_LONGEST)]
RecordId = Annotated[Place, BeforeValidator(_place), _text(pattern=_PLACE)]


def _known(kind: type[BaseModel], given: Any) -> Any:
    """Return what is given, if all of it is known: a misspelt filter must not find everything."""
    for name in given:
        if name not in kind.model_fields:
            raise ValueError(f"there is no parameter {shown(name)}: use {', '.join(kind.model_fields)}")
    return given


class Asked(BaseModel):
    """The filters, which every query takes; all must hold."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def _has_no_other(cls, given: Any) -> Any:
        return _known(cls, given)

    since: Time = Field(None, description="From when: ISO 8601, seconds since 1970, or how long ago.", examples=["15m"])
    until: Time = Field(None, description="To before when, written in the same way.")
    level: Level = Field(None, description="This level and those above.")
    service: Texts = Field([], description="One of these; may be repeated.")
    environment: Texts = Field([], description="One of these; may be repeated.")
    host: Texts = Field([], description="One of these; may be repeated.")
    trace_id: TraceId = Field(None, description="Exactly this.")
    q: Text = Field(
        "",
        description="These words, or what is in double quotes, somewhere in message, stack trace or error type; upper"
        " and lower case alike.",
    )
    where: Annotated[list[Where], Field(max_length=_MOST)] = Field(
        [],
        description="key=value or key!=value, of a column or an attribute; without a value, those that have none or"
        " have any. May be repeated.",
        examples=[["customer=Ada"]],
    )

    def filters(self) -> Filters:
        """Return what the store understands."""
        return Filters(
            since=self.since,
            until=self.until,
            level=self.level,
            service=tuple(self.service),
            environment=tuple(self.environment),
            host=tuple(self.host),
            trace_id=self.trace_id,
            terms=_terms(self.q),
            where=tuple(self.where),
        )


class AskedPage(Asked):
    """A page of records."""

    limit: int = Field(100, ge=1, le=1000, description="How many records at most.")
    order: Literal["desc", "asc"] = Field("desc", description="Newest first, or oldest first.")
    cursor: Cursor = Field(None, description="The `next` of the page before.")


class AskedHistogram(Asked):
    """A histogram."""

    buckets: int = Field(60, ge=1, le=1000, description="How many steps at most.")


class AskedValues(Asked):
    """The values of a column."""

    field: Literal[TEXTS] = Field(description="The column.")  # type: ignore[valid-type]  # as many as there are columns
    limit: int = Field(50, ge=1, le=1000, description="How many values at most.")


class AskedGroups(Asked):
    """Groups of records that say the same."""

    limit: int = Field(100, ge=1, le=1000, description="How many groups at most.")


class AskedServices(BaseModel):
    """The services that are watched."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _has_no_other(cls, given: Any) -> Any:
        return _known(cls, given)

    since: Time = Field(None, description="From when; a day before the end, if nothing is said, and at most a week.")
    until: Time = Field(None, description="To before when, which is when a monitor is silent or not; now, if missing.")
    service: Texts = Field([], description="Programs of one of these names; may be repeated.")
    environment: Texts = Field([], description="One of these; may be repeated.")
    host: Texts = Field([], description="One of these; may be repeated.")

    def range(self, now: int) -> tuple[int, int]:
        """Return from when and to when is asked, in microseconds."""
        until = now if self.until is None else self.until
        since = until - _LENGTH if self.since is None else self.since
        return max(min(since, until), until - _LONGEST_LENGTH, 0), until

    def filters(self, since: int, until: int) -> Filters:
        """Return what the store understands; now includes what clocks that are a little ahead have written."""
        return Filters(
            since=since,
            until=until + _AHEAD if self.until is None else until,
            service=tuple(self.service),
            environment=tuple(self.environment),
            host=tuple(self.host),
            where=(Comparison("logger", HEALTH),),
        )


class AskedDownload(Asked):
    """A download."""

    format: Literal["ndjson", "csv"] = Field("ndjson", description="A JSON object on each line, or a table.")
    order: Literal["desc", "asc"] = Field("asc", description="Newest first, or oldest first.")


class AskedContext(BaseModel):
    """The records around one."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _has_no_other(cls, given: Any) -> Any:
        return _known(cls, given)

    before: int = Field(20, ge=0, le=500, description="How many earlier ones.")
    after: int = Field(20, ge=0, le=500, description="How many later ones.")


def what_is_wrong(errors: Sequence[Any]) -> str:
    """Return in one line what the first of pydantic's errors is, with the value and the remedy."""
    error = errors[0]
    # The first part of the place is query, path or body.
    name = ".".join(str(part) for part in error["loc"][1:] if not isinstance(part, int))
    if error["type"] == "value_error":
        return f"{name}: {error['ctx']['error']}" if name else str(error["ctx"]["error"])
    if error["type"] == "missing":
        return f"{name} is missing"
    return f"{name or 'the request'} is {shown(error['input'])}: {error['msg'][:1].lower()}{error['msg'][1:]}"

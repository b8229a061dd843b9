"""Finds the log records in an OTLP request in JSON: protobuf's JSON form, with ids in hexadecimal."""

import contextlib
from collections.abc import Iterator
from typing import Any

import msgspec

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest.json_text import estimate_weight
from concurrent_log.collector.server.ingest.memory_budget import MemoryLease
from concurrent_log.collector.server.ingest.normalize import clean_text
from concurrent_log.collector.server.ingest.otlp.reader import Format, OtlpReader
from concurrent_log.collector.server.ingest.otlp.record import Group

_FLOATS = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}


class _Scope(msgspec.Struct):
    name: str | None = None
    version: str | None = None
    attributes: list[msgspec.Raw] | None = None


class _Resource(msgspec.Struct):
    attributes: list[msgspec.Raw] | None = None


class _ScopeLogs(msgspec.Struct, rename="camel"):
    scope: _Scope | None = None
    log_records: list[msgspec.Raw] | None = None


class _ResourceLogs(msgspec.Struct, rename="camel"):
    resource: _Resource | None = None
    scope_logs: list[_ScopeLogs] | None = None


class _Request(msgspec.Struct, rename="camel"):
    resource_logs: list[_ResourceLogs] | None = None


class _SentRecord(msgspec.Struct, rename="camel"):
    """A ``LogRecord`` as it is sent: 64-bit integers may be text, and any member may be null."""

    time_unix_nano: int | str | None = None
    observed_time_unix_nano: int | str | None = None
    severity_number: int | str | None = None
    severity_text: str | None = None
    body: msgspec.Raw = msgspec.Raw()
    attributes: list[msgspec.Raw] | None = None
    trace_id: str | None = None
    span_id: str | None = None
    flags: int | str | None = None
    event_name: str | None = None


class _Pair(msgspec.Struct):
    key: str = ""
    value: dict[str, Any] | None = None


class _Record:
    """A ``LogRecord`` with the types that its fields have in protobuf."""

    def __init__(self, content: bytes) -> None:
        sent = _decode_record(content)
        self.time_unix_nano = _integer(sent.time_unix_nano)
        self.observed_time_unix_nano = _integer(sent.observed_time_unix_nano)
        self.severity_number = _integer(sent.severity_number)
        self.severity_text = sent.severity_text or ""
        self.body = bytes(sent.body)
        self.attributes = [bytes(each) for each in sent.attributes or ()]
        self.trace_id = sent.trace_id or ""
        self.span_id = sent.span_id or ""
        self.flags = _integer(sent.flags)
        self.event_name = sent.event_name or ""


_decode_request = msgspec.json.Decoder(_Request).decode
_decode_record = msgspec.json.Decoder(_SentRecord).decode
_decode_pair = msgspec.json.Decoder(_Pair).decode
_decode_value = msgspec.json.Decoder(dict[str, Any] | None).decode


def read_groups(content: bytes, max_weight: int, lease: MemoryLease) -> Iterator[Group]:
    """Yield the records of each scope of each resource; raise `Problem` if the outer levels are invalid."""
    reader = OtlpReader(_JSON, max_weight, lease)
    reader.add_weight(estimate_weight(content, max_weight))
    try:
        for resource_logs in _decode_request(content).resource_logs or ():
            resource = reader.read_resource(_bytes(resource_logs.resource or _Resource()))
            for scope_logs in resource_logs.scope_logs or ():
                scope = scope_logs.scope or _Scope()
                attributes = reader.read_attributes(_bytes(scope))
                records = reader.read_records([bytes(each) for each in scope_logs.log_records or ()])
                yield Group(resource, scope.name or "", scope.version or "", attributes, records)
    except _ERRORS as error:
        raise Problem(400, f"the body is not an ExportLogsServiceRequest in JSON: {error}") from None


def _bytes(holder: _Resource | _Scope) -> list[bytes]:
    return [bytes(each) for each in holder.attributes or ()]


def _parse_pair(content: bytes) -> tuple[str, Any]:
    pair = _decode_pair(content)
    key, value = pair.key, _value_of(pair.value)
    return clean_text([key, value]) if b"\\u0000" in content else (key, value)


def _parse_value(content: bytes) -> Any:
    value = _value_of(_decode_value(content))
    return clean_text(value) if b"\\u0000" in content else value


def _value_of(value: Any) -> Any:
    """Return an ``AnyValue`` as a JSON value; bytes stay text in base64."""
    for kind, content in value.items() if isinstance(value, dict) else ():
        if kind in ("stringValue", "boolValue", "bytesValue"):
            return content
        if kind == "intValue":
            return _integer(content)
        if kind == "doubleValue":
            return _double(content)
        if kind == "arrayValue":
            return [_value_of(each) for each in _values(content)]
        if kind == "kvlistValue":
            pairs = [each for each in _values(content) if isinstance(each, dict)]
            return {str(pair.get("key", "")): _value_of(pair.get("value")) for pair in pairs}
    return None


def _values(content: Any) -> list[Any]:
    found = content.get("values") if isinstance(content, dict) else None
    return found if isinstance(found, list) else []


def _integer(value: Any) -> int:
    """Return a number, which may be written as text; 0 if it is none."""
    if type(value) is int:
        return value
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return int(value)
    return 0


def _double(value: Any) -> Any:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return float(_FLOATS.get(value, value))
    return value


_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_JSON = Format(_Record, _parse_pair, _parse_value, _ERRORS)

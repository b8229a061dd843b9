"""Builds an OTLP request from queued records: the names of our columns become those of the semantic conventions."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ScopeLogs

_RESOURCE = {
    "service": "service.name",
    "environment": "deployment.environment.name",
    "service_version": "service.version",
    "host": "host.name",
    "process_id": "process.pid",
}
_ATTRIBUTES = {
    **_RESOURCE,
    "thread_name": "thread.name",
    "function_name": "code.function.name",
    "file_path": "code.file.path",
    "line_number": "code.line.number",
    "error_type": "exception.type",
    "stack_trace": "exception.stacktrace",
    "user_id": "user.id",
    "session_id": "session.id",
    "path": "url.path",
    "method": "http.request.method",
    "sequence": "concurrent_log.sequence",
}
_UNKNOWN_SERVICE = "unknown_service:python"  # OpenTelemetry's SDK sends it, too; a resource must have a name.
_SEVERITIES = {"TRACE": 1, "DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17, "FATAL": 21}
_INT64 = range(-(2**63), 2**63)
_LATEST = 2**64 / 1e9  # seconds since 1970
_TRACE_ID, _SPAN_ID = re.compile("[0-9a-f]{32}"), re.compile("[0-9a-f]{16}")
_FLAGS = re.compile("[0-9a-f]{2}")


def build_request(common: bytes, records: Sequence[bytes]) -> ExportLogsServiceRequest:
    """Return the request for ``records``, which share the fields ``common``; all are JSON."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    shared = msgspec.json.decode(common)
    resource = shared.pop("resource", {})
    attributes = {"service": _UNKNOWN_SERVICE, **shared, **resource}
    for name, value in attributes.items():
        _add(group.resource.attributes, _RESOURCE.get(name, name), value)
    scopes: dict[str, ScopeLogs] = {}
    for content in records:
        entry = msgspec.json.decode(content)
        logger = entry.pop("logger", None)
        name = logger if isinstance(logger, str) else ""
        if name not in scopes:
            scopes[name] = group.scope_logs.add()
            scopes[name].scope.name = name
        _fill(scopes[name].log_records.add(), entry)
    return request


def _fill(record: LogRecord, entry: dict[str, Any]) -> None:
    """Move the fields of ``entry`` to ``record``; those that it has no place for are attributes."""
    _take_time(record, entry)
    _take_level(record, entry)
    _set_value(record.body, entry.pop("message", None))
    _take_trace(record, entry)
    for name, value in _fields(entry):
        _add(record.attributes, _ATTRIBUTES.get(name, name), value)


def _take_time(record: LogRecord, entry: dict[str, Any]) -> None:
    created = entry.get("created_at")
    if isinstance(created, (int, float)) and 0 <= created < _LATEST:
        # Not the time of sending, because a batch that is sent again must have the same bytes.
        record.time_unix_nano = record.observed_time_unix_nano = round(created * 1_000_000) * 1000
        del entry["created_at"]


def _take_level(record: LogRecord, entry: dict[str, Any]) -> None:
    level, name = entry.pop("level", None), entry.pop("level_name", None)
    record.severity_number = _SEVERITIES.get(str(level).upper(), 0)  # type: ignore[assignment]  # a number of the enum
    record.severity_text = str(name or level or "")


def _take_trace(record: LogRecord, entry: dict[str, Any]) -> None:
    """Set the ids of the trace and the span; other texts than W3C's stay attributes."""
    for name, form in (("trace_id", _TRACE_ID), ("span_id", _SPAN_ID)):
        value = entry.get(name)
        if isinstance(value, str) and form.fullmatch(value) and value.strip("0"):
            setattr(record, name, bytes.fromhex(entry.pop(name)))
    flags = entry.get("trace_flags")
    if isinstance(flags, str) and _FLAGS.fullmatch(flags):
        record.flags = int(entry.pop("trace_flags"), 16)


def _fields(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the fields of ``entry`` and the members of ``attributes``, renamed if a field has their name."""
    for name, value in entry.items():
        if name == "attributes" and isinstance(value, dict):
            for key, each in value.items():
                if key not in entry:
                    yield key, each
                elif each != entry[key]:
                    yield f"metadata.{key}", each  # as the collector's server names it
        else:
            yield name, value


def _add(attributes: Any, name: str, value: Any) -> None:
    if value is not None:
        pair = attributes.add()
        pair.key = name
        _set_value(pair.value, value)


def _set_value(target: AnyValue, value: Any) -> None:
    """Set ``target`` to a JSON value; a number beyond 64 bits becomes text."""
    if isinstance(value, str):
        target.string_value = value
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int):
        if value in _INT64:
            target.int_value = value
        else:
            target.string_value = str(value)
    elif isinstance(value, float):
        target.double_value = value
    elif isinstance(value, list):
        target.array_value.SetInParent()
        for each in value:
            _set_value(target.array_value.values.add(), each)
    elif isinstance(value, dict):
        target.kvlist_value.SetInParent()
        for key, each in value.items():
            pair = target.kvlist_value.values.add()
            pair.key = key
            _set_value(pair.value, each)

"""Finds the log records in an OTLP request in protobuf, within limits on memory.

Two bytes of a request can stand for an empty message of some 100 bytes in memory. The types here therefore leave nested
messages as bytes, which the reader parses one by one.
"""

import base64
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest.memory_budget import MemoryLease
from concurrent_log.collector.server.ingest.otlp.reader import Format, OtlpReader, clean
from concurrent_log.collector.server.ingest.otlp.record import Group
from concurrent_log.collector.server.ingest.protobuf_messages import (
    BYTES,
    FIXED32,
    FIXED64,
    INT32,
    OPTIONAL,
    REPEATED,
    STRING,
    message_types,
)

_OUTER_WEIGHT = 8  # bytes of memory for one byte of the request, in the outer levels
_LARGE_VALUE = 64 << 10  # bytes, from which the values in it are counted before it is parsed
_MAX_VALUES = 100_000  # in all large values of a request

# Parts of OpenTelemetry's messages: the number, the label and the type of each field. Their nested messages are bytes.
_MESSAGES = {
    "Request": {"resource_logs": (1, REPEATED, BYTES)},
    "ResourceLogs": {"resource": (1, OPTIONAL, BYTES), "scope_logs": (2, REPEATED, BYTES)},
    "ScopeLogs": {"scope": (1, OPTIONAL, BYTES), "log_records": (2, REPEATED, BYTES)},
    "Resource": {"attributes": (1, REPEATED, BYTES)},
    "Scope": {
        "name": (1, OPTIONAL, STRING),
        "version": (2, OPTIONAL, STRING),
        "attributes": (3, REPEATED, BYTES),
    },
    "LogRecord": {
        "time_unix_nano": (1, OPTIONAL, FIXED64),
        "severity_number": (2, OPTIONAL, INT32),
        "severity_text": (3, OPTIONAL, STRING),
        "body": (5, OPTIONAL, BYTES),
        "attributes": (6, REPEATED, BYTES),
        "flags": (8, OPTIONAL, FIXED32),
        "trace_id": (9, OPTIONAL, BYTES),
        "span_id": (10, OPTIONAL, BYTES),
        "observed_time_unix_nano": (11, OPTIONAL, FIXED64),
        "event_name": (12, OPTIONAL, STRING),
    },
}

_ERRORS = (DecodeError, RecursionError)

# The kinds of nested messages, by the kind of the outer message and the number of the field.
_NESTED = {
    "pair": {2: "value"},
    "value": {5: "array", 6: "pairs"},
    "array": {1: "value"},
    "pairs": {1: "pair"},
}


_Request, _ResourceLogs, _ScopeLogs, _Resource, _Scope, _LogRecord = message_types("concurrent_log.otlp", _MESSAGES)


def read_groups(content: bytes, max_weight: int, lease: MemoryLease) -> Iterator[Group]:
    """Yield the records of each scope of each resource; raise `Problem` if the outer levels are invalid."""
    lease.reserve(_OUTER_WEIGHT * len(content))
    values = _ValueParser()
    form = Format(_LogRecord.FromString, values.parse_pair, values.parse_value, _ERRORS)
    reader = OtlpReader(form, max_weight, lease)
    try:
        for part in _Request.FromString(content).resource_logs:
            resource_logs = _ResourceLogs.FromString(part)
            resource = reader.read_resource(_Resource.FromString(resource_logs.resource).attributes)
            for scope_part in resource_logs.scope_logs:
                scope_logs = _ScopeLogs.FromString(scope_part)
                scope = _Scope.FromString(scope_logs.scope)
                attributes = reader.read_attributes(scope.attributes)
                records = reader.read_records(scope_logs.log_records)
                yield Group(resource, clean(scope.name), clean(scope.version), attributes, records)
    except _ERRORS as error:
        raise Problem(400, f"the body is not an ExportLogsServiceRequest in protobuf: {error}"[:300]) from None


class _ValueParser:
    """Parses the values of one request, and limits how many there may be in large ones."""

    def __init__(self) -> None:
        self._values_left = _MAX_VALUES

    def parse_pair(self, content: bytes) -> tuple[str, Any]:
        """Return the key and the value of a ``KeyValue``."""
        self._count_large(content, "pair")
        pair = KeyValue.FromString(content)
        return clean(pair.key), _value_of(pair.value)

    def parse_value(self, content: bytes) -> Any:
        """Return the JSON value of an ``AnyValue``."""
        self._count_large(content, "value")
        return _value_of(AnyValue.FromString(content))

    def _count_large(self, content: bytes, kind: str) -> None:
        if len(content) > _LARGE_VALUE:
            self._values_left -= _count_values(content, kind, self._values_left)
            if self._values_left <= 0:
                raise DecodeError(f"the request has more than {_MAX_VALUES:,} values")


def _value_of(value: AnyValue) -> Any:
    """Return an ``AnyValue`` as a JSON value; bytes become text in base64."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return clean(value.string_value)
    if kind in ("int_value", "bool_value", "double_value"):
        return getattr(value, kind)
    if kind == "array_value":
        return [_value_of(each) for each in value.array_value.values]
    if kind == "kvlist_value":
        return {clean(pair.key): _value_of(pair.value) for pair in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return None


def _count_values(content: bytes, kind: str, limit: int) -> int:
    """Return the number of values in a message, without parsing it; at most a little more than ``limit``."""
    count, stack = 0, [(kind, 0, len(content))]
    while stack and count <= limit:
        kind, position, end = stack.pop()
        while position < end and count <= limit:
            count += 1
            tag, position = _read_varint(content, position, end)
            wire_type = tag & 7
            if wire_type == 2:
                length, position = _read_varint(content, position, end)
                nested = _NESTED[kind].get(tag >> 3)
                if nested is not None:
                    stack.append((nested, position, min(position + length, end)))
                position += length
            elif wire_type == 0:
                _, position = _read_varint(content, position, end)
            elif wire_type in (1, 5):
                position += 8 if wire_type == 1 else 4
            else:
                raise DecodeError(f"wire type {wire_type}")
    return count


def _read_varint(content: bytes, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while position < end and shift < 70:
        byte = content[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
    raise DecodeError("truncated number")

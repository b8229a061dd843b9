"""Maps a log record of OpenTelemetry to the names of our columns and attributes."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from concurrent_log.collector.server.ingest.levels import LEVELS_BY_SPELLING, parse_level, parse_opentelemetry_severity
from concurrent_log.collector.server.ingest.normalize import UndecodableRecord, to_text

# Our column for an attribute; the later names of the semantic conventions, and the earlier ones.
_COLUMNS = {
    "service.name": "service",
    "service.version": "service_version",
    "deployment.environment.name": "environment",
    "deployment.environment": "environment",
    "host.name": "host",
    "process.pid": "process_id",
    "process.executable.name": "process_name",
    "thread.name": "thread_name",
    "code.function.name": "function_name",
    "code.function": "function_name",
    "code.file.path": "file_path",
    "code.filepath": "file_path",
    "code.line.number": "line_number",
    "code.lineno": "line_number",
    "exception.type": "error_type",
    "exception.stacktrace": "stack_trace",
    "user.id": "user_id",
    "enduser.id": "user_id",
    "session.id": "session_id",
    "url.path": "path",
    "http.request.method": "method",
    "http.method": "method",
    "concurrent_log.sequence": "sequence",  # of our own handlers
}
# Names of what a record says itself; an attribute of the same name gets another one.
_OWN = frozenset(("created_at", "level", "level_number", "message", "attributes", "metadata", "sequence"))
_MESSAGES = ("message", "msg", "event", "body")  # members of a body that is a map, in the order of preference
_UNKNOWN_SERVICE = "unknown_service"


@dataclass(frozen=True)
class Group:
    """The records of one scope of one resource.

    Attributes:
        resource: The attributes of the resource.
        scope_name: The name of the scope, which is that of a logger; may be empty.
        scope_version: The version of the scope; may be empty.
        scope: The attributes of the scope.
        records: The records, by the names of columns and attributes.
    """

    resource: dict[str, Any]
    scope_name: str
    scope_version: str
    scope: dict[str, Any]
    records: Sequence[dict[str, Any] | UndecodableRecord]

    def common(self) -> dict[str, Any]:
        """Return the values that all records of the group share, by the names of columns and attributes."""
        common = {**self.scope, **self.resource}
        if self.scope_name:
            common["logger"] = self.scope_name
        if self.scope_version:
            common["scope.version"] = self.scope_version
        if str(common.get("service", "")).partition(":")[0] == _UNKNOWN_SERVICE:
            del common["service"]  # An SDK sends this name where the program set none.
        return common


def column_of(key: str) -> str:
    """Return the name of the column for an attribute, or the name of the attribute in our record."""
    return _COLUMNS.get(key) or (f"attributes.{key}" if key in _OWN else key)


def add_attribute(found: dict[str, Any], key: str, column: str, value: Any) -> None:
    """Add an attribute: under the name of its column, or under its own if the column has a value.

    An SDK may send both the later and the earlier name of an attribute.
    """
    found[key if column in found and column != key else column] = value


def build_record(
    record: dict[str, Any],
    *,
    time: int,
    severity: tuple[int, str],
    body: Any,
    trace_id: str | bytes,
    span_id: str | bytes,
    flags: int,
    event_name: str,
) -> dict[str, Any]:
    """Complete a record that has only attributes.

    Args:
        record: The attributes, as `add_attribute` stores them.
        time: Nanoseconds since 1970, or 0.
        severity: A number from 1 to 24, or 0; and the name of the level at the source, or an empty string.
        body: A JSON value. The members of a map become attributes, and one of them the message.
        trace_id: The trace id, as bytes or in hexadecimal; may be empty.
        span_id: The span id, likewise.
        flags: The flags of the trace; 0 if there are none.
        event_name: The name of an event; may be empty.

    Returns:
        The same dictionary, by the names of columns and attributes.
    """
    record["created_at"] = time or None
    record.update(_severity_fields(*severity))
    record["message"] = body if type(body) is str else _message(record, body, event_name)
    if trace_id:
        _set_id(record, "trace_id", trace_id)
    if span_id:
        _set_id(record, "span_id", span_id)
    if flags:
        record["trace_flags"] = flags
    if event_name:
        record["event_name"] = event_name
    return record


def _set_id(record: dict[str, Any], name: str, value: str | bytes) -> None:
    text = value.hex() if isinstance(value, bytes) else value
    if text.strip("0"):  # An id of zeros only is none.
        record[name] = text


@functools.lru_cache(256)
def _severity_fields(number: int, text: str) -> dict[str, Any]:
    level = parse_opentelemetry_severity(number) or parse_level(text) or LEVELS_BY_SPELLING["INFO"]
    fields: dict[str, Any] = {"level": level[0]}
    if text and parse_level(text) != level:
        fields["severity_text"] = text
    if number > 0 and number % 4 != 1:
        fields["severity_number"] = number  # INFO2, INFO3 and INFO4, and so on
    return fields


def _message(record: dict[str, Any], body: Any, event_name: str) -> str:
    if isinstance(body, dict):
        for key, value in body.items():
            record.setdefault(column_of(key), value)
        return next((body[name] for name in _MESSAGES if isinstance(body.get(name), str)), None) or to_text(body)
    if body is not None:
        return to_text(body)
    return str(record.get("exception.message") or event_name)

"""Maps a document with fields of the Elastic Common Schema (ECS) to the names of our columns."""

from typing import Any

# Our column for a field, by the names of ECS, and by those of rsyslog's own template for Elasticsearch.
_COLUMNS = {
    "@timestamp": "created_at",
    "log.level": "level",
    "log.logger": "logger",
    "log.origin.function": "function_name",
    "log.origin.file.name": "file_path",
    "log.origin.file.line": "line_number",
    "service.name": "service",
    "service.version": "service_version",
    "service.environment": "environment",
    "host.name": "host",
    "host.hostname": "host",
    "process.pid": "process_id",
    "process.name": "process_name",
    "process.thread.name": "thread_name",
    "trace.id": "trace_id",
    "span.id": "span_id",
    "user.id": "user_id",
    "session.id": "session_id",
    "error.type": "error_type",
    "error.stack_trace": "stack_trace",
    "url.path": "path",
    "http.request.method": "method",
    "event.action": "action_type",
    "event.duration": "duration_ms",
    "event.sequence": "sequence",
    "timereported": "created_at",
    "fromhost": "host",
}
# The names of objects that contain such fields, such as `log` and `log.origin`.
_OBJECTS = frozenset(name.rsplit(".", depth)[0] for name in _COLUMNS for depth in range(1, name.count(".") + 1))
_NANOSECONDS = 1e6  # in a millisecond


def record_of(document: dict[str, Any]) -> dict[str, Any]:
    """Return a record by the names of columns and attributes.

    The fields may be nested, have names with dots, or both. If two fields belong to one column, the second becomes an
    attribute, like a field without a column.
    """
    record: dict[str, Any] = {}
    for name, value in document.items():
        if name in _OBJECTS and type(value) is dict:
            for inner, rest in _take_columns(record, name, value).items():
                _set(record, f"{name}.{inner}", rest)
        else:
            _set(record, name, value)
    if "level" not in record and "facility" in record and "priority" in record:
        record["level"] = record.pop("priority")  # rsyslog's own template
    return record


def _take_columns(record: dict[str, Any], path: str, value: dict[str, Any]) -> dict[str, Any]:
    """Move the fields that have a column from an object to the record, and return the others."""
    rest = {}
    for name, inner in value.items():
        inner_path = f"{path}.{name}"
        if _COLUMNS.get(inner_path, inner_path) not in record and inner_path in _COLUMNS:
            _set(record, inner_path, inner)
        elif type(inner) is not dict or inner_path not in _OBJECTS:
            rest[name] = inner
        elif others := _take_columns(record, inner_path, inner):
            rest[name] = others
    return rest


def _set(record: dict[str, Any], name: str, value: Any) -> None:
    column = _COLUMNS.get(name, name)
    if column in record:
        record[name if name != column else f"attributes.{name}"] = value
    elif column == "duration_ms" and column != name and type(value) in (int, float):
        record[column] = value / _NANOSECONDS
    else:
        record[column] = value

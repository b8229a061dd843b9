"""Maps an entry of Loki, a line with labels, to the names of our columns and attributes."""

from collections.abc import Mapping
from typing import Any

import msgspec

from concurrent_log.collector.server.ingest.json_text import estimate_weight
from concurrent_log.collector.server.ingest.levels import parse_level
from concurrent_log.collector.server.ingest.memory_budget import WeightLimit
from concurrent_log.collector.server.ingest.normalize import MESSAGE_NAMES, clean_text

_RECORD_WEIGHT, _LABEL_WEIGHT = 1000, 100  # bytes of memory
_NO_LIMIT = 1 << 62  # The exact count, without the text of strings, would take longer.
_OWN = ("created_at", "message", "attributes", "metadata")  # what a record says itself, or what is no text

# The names of labels and of structured metadata for a column; the first one that an entry has fills it.
_LABELS = {
    "service": ("service_name", "service", "app", "application", "job"),
    "level": ("level", "detected_level", "severity"),
    "host": ("host", "hostname", "host_name", "instance"),
    "environment": ("environment", "env", "deployment_environment", "deployment_environment_name"),
    "service_version": ("service_version", "version"),
    "logger": ("logger", "logger_name"),
    "trace_id": ("trace_id", "traceID", "traceId"),
    "span_id": ("span_id", "spanID", "spanId"),
}
_encode = msgspec.json.Encoder().encode
_decode_line = msgspec.json.Decoder(dict[str, Any]).decode


def common_of(labels: Mapping[str, Any]) -> dict[str, Any]:
    """Return labels, or structured metadata, by the names of columns and attributes."""
    found = {f"label.{name}" if name in _OWN else name: value for name, value in labels.items()}
    for column, names in _LABELS.items():
        name = next((name for name in names if found.get(name)), column)
        if name != column and column not in found:
            found[column] = found.pop(name)
    return found


def weight_of(common: Mapping[str, Any]) -> int:
    """Return the memory in bytes of a record with these labels: each has a copy."""
    return _RECORD_WEIGHT + _LABEL_WEIGHT * len(common) + 2 * len(_encode(common))


def record_of(
    common: Mapping[str, Any], time: int, line: str, metadata: Mapping[str, Any], limit: WeightLimit
) -> dict[str, Any]:
    """Return the record of an entry. The fields of a line that is JSON, with a message, are fields of the record.

    Args:
        common: What `common_of` returned for the labels.
        time: Nanoseconds since 1970, or 0.
        line: The text.
        metadata: The structured metadata; it takes precedence over the labels.
        limit: Limits the memory of the fields of all lines.
    """
    record = {**common, **common_of(metadata)} if metadata else dict(common)
    record["created_at"] = time or None
    fields = _fields_of(line, limit) if line.startswith("{") else None
    if fields is None:
        record.setdefault("level", "INFO")
        record["message"] = line
        return record
    for name, value in fields.items():
        if name not in record:
            record[name] = value
        elif value != record[name] and not _is_level_of(name, value, record):
            record[f"line.{name}"] = value
    return record


def _fields_of(line: str, limit: WeightLimit) -> dict[str, Any] | None:
    content = line.encode()
    limit.add(estimate_weight(content, _NO_LIMIT))
    try:
        fields = _decode_line(content)
    except (msgspec.DecodeError, RecursionError):
        return None
    if not any(type(fields.get(name)) is str for name in MESSAGE_NAMES):
        return None
    return dict(clean_text(fields)) if "\\u0000" in line else fields


def _is_level_of(name: str, value: Any, record: Mapping[str, Any]) -> bool:
    """Return whether a value is the level of the record, which a logger of Node.js may write as a number."""
    return name == "level" and parse_level(value, is_pino=True) == parse_level(record["level"])

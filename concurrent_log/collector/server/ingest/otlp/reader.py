"""Reads the log records of an OTLP request, within limits on memory; protobuf and JSON have the same reader.

An attribute is parsed from the bytes that it has in the request. Most attributes have the same bytes in many records,
so each of them is parsed once. An invalid record affects no other.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from concurrent_log.collector.server.ingest.memory_budget import MemoryLease, WeightLimit
from concurrent_log.collector.server.ingest.normalize import UndecodableRecord, clean_text
from concurrent_log.collector.server.ingest.otlp.record import add_attribute, build_record, column_of

_RECORD_WEIGHT, _ATTRIBUTE_WEIGHT = 1500, 120  # bytes of memory
_MANY_ATTRIBUTES = 16  # of a record; the weight of fewer is in `_RECORD_WEIGHT`
_MAX_KNOWN = 10_000  # attributes that are remembered


class Format(NamedTuple):
    """How protobuf or JSON says the parts of a record.

    Attributes:
        parse_record: Returns an object with the fields of ``LogRecord``, from bytes. Its attributes and its body are
            bytes, too.
        parse_pair: Returns the key and the value of an attribute, from bytes.
        parse_value: Returns the JSON value of an ``AnyValue``, from bytes.
        errors: What these three raise for invalid bytes.
    """

    parse_record: Callable[[bytes], Any]
    parse_pair: Callable[[bytes], tuple[str, Any]]
    parse_value: Callable[[bytes], Any]
    errors: tuple[type[Exception], ...]


class OtlpReader:
    """Reads the records of one request.

    Args:
        form: Protobuf or JSON.
        max_weight: Maximum memory of the request in bytes.
        lease: Reserves the memory.
    """

    def __init__(self, form: Format, max_weight: int, lease: MemoryLease) -> None:
        self._form = form
        self._limit = WeightLimit(max_weight, lease)
        self._known: dict[bytes, tuple[str, str, Any]] = {}

    def add_weight(self, weight: int) -> None:
        """Reserve memory, or raise `Problem`."""
        self._limit.add(weight)

    def read_resource(self, pairs: Sequence[bytes]) -> dict[str, Any]:
        """Return the attributes of a resource by the names of columns and attributes."""
        self.add_weight(_RECORD_WEIGHT + _ATTRIBUTE_WEIGHT * len(pairs))
        return self.read_attributes(pairs)

    def read_attributes(self, pairs: Sequence[bytes]) -> dict[str, Any]:
        """Return attributes by the names of columns and attributes."""
        found: dict[str, Any] = {}
        for pair in pairs:
            key, column, value = self._known.get(pair) or self._parse_pair(pair)
            if column in found:
                add_attribute(found, key, column, value)
            else:
                found[column] = value
        return found

    def read_records(self, records: list[bytes]) -> list[dict[str, Any] | UndecodableRecord]:
        """Return records by the names of columns and attributes."""
        self.add_weight(_RECORD_WEIGHT * (1 + len(records)))
        return [self._read(each) for each in records]

    def _read(self, content: bytes) -> dict[str, Any] | UndecodableRecord:
        try:
            record = self._form.parse_record(content)
            attributes = record.attributes
            if len(attributes) > _MANY_ATTRIBUTES:
                self.add_weight(_ATTRIBUTE_WEIGHT * len(attributes))
            return build_record(
                self.read_attributes(attributes),
                time=record.time_unix_nano or record.observed_time_unix_nano,
                severity=(record.severity_number, clean(record.severity_text)),
                body=self._form.parse_value(record.body) if record.body else None,
                trace_id=record.trace_id,
                span_id=record.span_id,
                flags=record.flags,
                event_name=clean(record.event_name),
            )
        except self._form.errors as error:
            return UndecodableRecord(f"the record is not a LogRecord: {error}"[:200])

    def _parse_pair(self, content: bytes) -> tuple[str, str, Any]:
        """Return the key, its column, and the value of an attribute."""
        key, value = self._form.parse_pair(content)
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        parsed = self._known[content] = (key, column_of(key), value)
        return parsed


def clean(text: str) -> str:
    """Return ``text`` without NUL characters, which databases cannot store."""
    return text if "\0" not in text else str(clean_text(text))

"""Figure: the time of the server for 1,000 records in each format, beside that for our own JSON."""

import json
from collections.abc import Callable, Sequence
from time import time
from typing import Any

import cramjam
from collector_stack import Database, Server
from measuring import Duel, Figure, Work, serve
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from concurrent_log.collector.server.ingest.loki import protobuf as loki

_BATCH = 1000  # records
_BEGIN = int(time()) - 60
_NANOSECONDS = 10**9

_Labels = dict[str, str]
_Make = Callable[[Sequence[dict[str, Any]]], bytes]


def figure(quick: bool) -> Figure:
    """Return the figure: the processor time of the server for the same records in several formats."""
    return Figure(
        name="collector-formats",
        title="Formats of the collector",
        text="The processor time of the server's process for 1,000 records, from POST to COMMIT, on PostgreSQL, whose "
        "own time is not included. 100 batches of 1,000 records are sent by POST one after the other. Each record has "
        "a time, a level, a service, a logger, a message and two attributes. Bodies are not compressed, except Loki's "
        "protobuf, which is always compressed with snappy. *Ours* is our own JSON, *theirs* the other format.",
        duels=[_duel(quick, way, name) for way, name in _NAMES.items()],
    )


_NAMES = {
    "lines": "NDJSON",
    "otlp-protobuf": "OTLP, protobuf",
    "otlp-json": "OTLP, JSON",
    "elasticsearch": "`_bulk` of Elasticsearch",
    "loki-json": "Loki, JSON",
    "loki-protobuf": "Loki, protobuf",
}


def _duel(quick: bool, way: str, name: str) -> Duel:
    records = (4 if quick else 100) * _BATCH
    ours, theirs = (Work("collector_formats.py", {"way": each, "records": records}) for each in ("own", way))
    return Duel("server time for 1,000 records, our own JSON", name, "ms", ours, theirs, 1)  # A body is stored once.


# The child.


def _prepare(folder: str, way: str, records: int) -> Callable[[], dict[str, Any]]:
    database = Database()
    server = Server(database.url, folder)
    path, media_type, make = _WAYS[way]
    batches = [
        [_record(number) for number in range(first, first + _BATCH)] for first in range(0, records + _BATCH, _BATCH)
    ]
    warm_up, *bodies = [make(batch) for batch in batches]
    _post(f"{server.url}{path}", media_type, [warm_up])

    def one_round() -> dict[str, Any]:
        before, stored = server.processor_time(), database.count()
        _post(f"{server.url}{path}", media_type, bodies)
        milliseconds = 1000 * (server.processor_time() - before)
        return {"value": milliseconds / len(bodies), "lost": stored + records - database.count()}

    return one_round


def _post(url: str, media_type: str, bodies: Sequence[bytes]) -> None:
    import urllib3

    with urllib3.PoolManager(retries=False) as pool:
        for body in bodies:
            answer = pool.request("POST", url, body=body, headers={"Content-Type": media_type})
            if answer.status not in (200, 204):
                raise RuntimeError(f"{answer.status}: {answer.data!r}")


def _record(number: int) -> dict[str, Any]:
    return {
        "created_at": _BEGIN + number / 1e4,
        "level": "INFO",
        "service": "shop",
        "logger": "shop.orders",
        "message": f"order {number} accepted",
        "customer": "Ada Lovelace",
        "number": number,
    }


def _nanoseconds(record: dict[str, Any]) -> int:
    return round(record["created_at"] * 1e6) * 1000


def _lines(records: Sequence[Any]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def _own(records: Sequence[dict[str, Any]]) -> bytes:
    return json.dumps({"batch_id": f"batch-{records[0]['number']}", "logs": records}).encode()


def _otlp(records: Sequence[dict[str, Any]]) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.add(key="service.name").value.string_value = "shop"
    scope = group.scope_logs.add()
    scope.scope.name = "shop.orders"
    for record in records:
        entry = scope.log_records.add(
            time_unix_nano=_nanoseconds(record),
            severity_number=9,
            severity_text="INFO",  # type: ignore[arg-type]
        )
        entry.body.string_value = record["message"]
        entry.attributes.add(key="customer").value.string_value = record["customer"]
        entry.attributes.add(key="number").value.int_value = record["number"]
    return request


def _otlp_json(records: Sequence[dict[str, Any]]) -> bytes:
    from google.protobuf.json_format import MessageToDict

    return json.dumps(MessageToDict(_otlp(records), use_integers_for_enums=True)).encode()


def _elasticsearch(records: Sequence[dict[str, Any]]) -> bytes:
    documents = [
        {
            "@timestamp": record["created_at"],
            "log": {"level": "INFO", "logger": "shop.orders"},
            "service": {"name": "shop"},
            "message": record["message"],
            "customer": record["customer"],
            "number": record["number"],
        }
        for record in records
    ]
    return _lines([line for document in documents for line in ({"create": {}}, document)])


_LABELS = {"service_name": "shop", "level": "info", "logger": "shop.orders"}


def _metadata(record: dict[str, Any]) -> _Labels:
    return {"customer": record["customer"], "number": str(record["number"])}


def _loki_json(records: Sequence[dict[str, Any]]) -> bytes:
    values = [[str(_nanoseconds(record)), record["message"], _metadata(record)] for record in records]
    return json.dumps({"streams": [{"stream": _LABELS, "values": values}]}).encode()


def _loki_protobuf(records: Sequence[dict[str, Any]]) -> bytes:
    labels = "{" + ", ".join(f'{name}="{value}"' for name, value in _LABELS.items()) + "}"
    entries = [_loki_entry(record) for record in records]
    stream = loki._Stream(labels=labels, entries=entries).SerializeToString()
    return bytes(cramjam.snappy.compress_raw(loki._PushRequest(streams=[stream]).SerializeToString()))


def _loki_entry(record: dict[str, Any]) -> bytes:
    seconds, nanos = divmod(_nanoseconds(record), _NANOSECONDS)
    metadata = [loki._Pair(name=name, value=value).SerializeToString() for name, value in _metadata(record).items()]
    time_of_entry = loki._Timestamp(seconds=seconds, nanos=nanos).SerializeToString()
    entry = loki._Entry(timestamp=time_of_entry, line=record["message"], structured_metadata=metadata)
    return bytes(entry.SerializeToString())


_WAYS: dict[str, tuple[str, str, _Make]] = {
    "own": ("/logs", "application/json", _own),
    "lines": ("/logs", "application/x-ndjson", _lines),
    "otlp-protobuf": ("/v1/logs", "application/x-protobuf", lambda records: _otlp(records).SerializeToString()),
    "otlp-json": ("/v1/logs", "application/json", _otlp_json),
    "elasticsearch": ("/_bulk", "application/x-ndjson", _elasticsearch),
    "loki-json": ("/loki/api/v1/push", "application/json", _loki_json),
    "loki-protobuf": ("/loki/api/v1/push", "application/x-protobuf", _loki_protobuf),
}


if __name__ == "__main__":
    serve(_prepare)

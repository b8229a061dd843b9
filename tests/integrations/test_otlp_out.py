"""Records sent by OTLP arrive at our own server as they do in its own protocol, each of them once."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.collector_server import Server
from support.deadlines import DEADLINE
from support.unreliable_proxy import UnreliableProxy

pytest.importorskip("msgspec")
pytest.importorskip("google.rpc.status_pb2")
pytest.importorskip("opentelemetry.proto")
pytest.importorskip("fastapi")
pytest.importorskip("hypothesis")

import hypothesis
from hypothesis import strategies

from concurrent_log.collector import AsyncLogClient, OtlpHandler
from concurrent_log.collector.client.json_values import encode_entry, freeze
from concurrent_log.collector.client.wire.otlp_request import build_request
from concurrent_log.collector.server.ingest.memory_budget import MemoryBudget
from concurrent_log.collector.server.ingest.normalize import RowBuilder
from concurrent_log.collector.server.ingest.otlp.protobuf import read_groups
from concurrent_log.collector.store.columns import COLUMNS

_NOON = 1_768_200_000.0  # seconds since 1970, in January 2026


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.long)])
def server(
    request: pytest.FixtureRequest, new_database: Callable[[], Any], tmp_path: Path, require: Callable[[str], None]
) -> Iterator[Server]:
    """Start a server on each database."""
    if request.param == "sqlite":
        with Server(tmp_path, str(tmp_path / "logs.sqlite3")) as started:
            yield started
    else:
        require("asyncpg")
        with new_database() as database, Server(tmp_path, database) as started:
            yield started


@pytest.mark.slow
@pytest.mark.parametrize("sender", ["handler", "client"])
def test_each_record_is_stored_once(server: Server, sender: str, tmp_path: Path) -> None:
    """P9: with requests that are refused and responses that are dropped on the way."""
    options: dict[str, Any] = {"stop_timeout": DEADLINE, "batch_size": 50, "spool_directory": tmp_path / "spool"}
    with UnreliableProxy(server.port) as proxy:
        if sender == "handler":
            handler = OtlpHandler(proxy.url, service="shop", **options)
            for number in range(500):
                values = {"msg": "order %d", "args": (number,), "name": "shop.orders", "customer": "Ada"}
                handler.handle(logging.makeLogRecord(values))
            assert handler.flush()
            handler.close()
        else:
            client = AsyncLogClient(proxy.url, "shop", protocol="otlp", **options)
            for number in range(500):
                client.info(f"order {number}", customer="Ada")
            assert client.flush(DEADLINE)
            client.close()

    assert proxy.counts["busy"] > 0
    assert proxy.counts["drop"] > 0
    messages = [message for (message,) in server.select("SELECT message FROM logs")]
    assert sorted(messages) == sorted(f"order {number}" for number in range(500))
    assert server.select("SELECT DISTINCT service FROM logs") == [("shop",)]


_TEXTS = strategies.text(strategies.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
_NAMES = strategies.text("abcxyz.", min_size=1, max_size=8).map("x_".__add__)  # no columns, and no other names of them
_NUMBERS = strategies.integers(-(2**63), 2**63 - 1) | strategies.floats(allow_nan=False, allow_infinity=False)
_VALUES = strategies.recursive(
    _TEXTS | _NUMBERS | strategies.booleans(),
    lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=6,
)
_ENTRIES = strategies.fixed_dictionaries(
    {
        "created_at": strategies.integers(0, 10**12).map(lambda number: _NOON - number / 1e6),
        "level": strategies.sampled_from(["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]),
        "message": _TEXTS,
        "sequence": strategies.integers(1, 2**40),
    },
    optional={
        "logger": _TEXTS.filter(bool),
        "thread_name": _TEXTS,
        "function_name": _TEXTS,
        "file_path": _TEXTS,
        "line_number": strategies.integers(0, 10**6),
        "trace_id": strategies.binary(min_size=16, max_size=16).map(bytes.hex) | strategies.just("4bf92f35"),
        "span_id": strategies.binary(min_size=8, max_size=8).map(bytes.hex).filter(lambda text: text.strip("0")),
        "user_id": _TEXTS,
        "error_type": _TEXTS,
        "stack_trace": _TEXTS,
        "path": _TEXTS,
        "duration_ms": strategies.integers(0, 1000) | strategies.floats(0, 1e6),
        "attributes": strategies.dictionaries(_NAMES, _VALUES, max_size=3),
    },
)


def _rows(groups: Any) -> list[dict[str, Any]]:
    rows = []
    for common, records in groups:
        builder = RowBuilder(common, round(_NOON * 1e6))
        rows += [dict(zip(COLUMNS, builder.build(record), strict=True)) for record in records]
    for row in rows:
        row["attributes"] = json.loads(row["attributes"] or "{}")
    return sorted(rows, key=lambda row: (row["sequence"], row["message"], str(row)))


_CLASH = {"created_at": _NOON, "level": "INFO", "message": "", "sequence": 1, "attributes": {"x_a": "of attributes"}}


@hypothesis.settings(deadline=None, max_examples=40)
@hypothesis.example([(_CLASH, {"x_a": "of the field"})])
@hypothesis.given(
    strategies.lists(strategies.tuples(_ENTRIES, strategies.dictionaries(_NAMES, _VALUES, max_size=3)), max_size=4)
)
def test_row_is_the_same_as_with_the_own_protocol(parts: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    """P9: any record becomes the same row, whether it is sent by OTLP or by the collector's own protocol."""
    common = {"service": "shop", "host": "web1", "process_id": 17, "process_name": "MainProcess"}
    entries = [{**fields, **entry} for entry, fields in parts]
    for entry in entries:
        freeze(entry)
    lines = [encode_entry(entry) for entry in entries]
    own = _rows([(common, [json.loads(line) for line in lines])])

    content = build_request(encode_entry(common), lines).SerializeToString()
    lease = MemoryBudget(2**30, 1).lease()
    groups = [(group.common(), group.records) for group in read_groups(content, 2**30, lease)]

    assert _rows(groups) == own

"""OpenTelemetry's SDKs send to the collector by a change of their address: each record is stored once."""

import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.collector_server import Server
from support.node import TOOLS
from support.paths import PROGRAMS
from support.senders import run_sender, stored_numbers
from support.unreliable_proxy import UnreliableProxy

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_JSON, _PROTOBUF = "application/json", "application/x-protobuf"


@pytest.fixture(autouse=True)
def _packages(require: Callable[[str], None]) -> None:
    for name in ("asyncpg", "fastapi", "opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"):
        require(name)


def _assert_all_arrived_once(server: Server, proxy: UnreliableProxy, count: int) -> None:
    assert stored_numbers(server) == list(range(count))
    assert proxy.counts["busy"] > 0
    assert proxy.counts["drop"] > 0
    rows = server.select("SELECT DISTINCT service, service_version, logger FROM logs")
    assert rows == [("shop", "1.2", "shop.orders")]
    last = server.select(f"SELECT level, error_type FROM logs WHERE message = 'order {count - 1} failed'")
    assert last == [("ERROR", "KeyError")]


_STORES = pytest.mark.parametrize("server", ["sqlite", pytest.param("postgres", marks=pytest.mark.long)], indirect=True)
_COUNTS = [pytest.param(2000, marks=pytest.mark.slow), pytest.param(10_000, marks=pytest.mark.long)]


@_STORES
@pytest.mark.parametrize("count", _COUNTS)
@pytest.mark.parametrize("form", ["protobuf", "json"])
def test_python_sdk(server: Server, form: str, count: int) -> None:
    """Thousands of records, with responses that are lost and requests that are refused on the way."""
    if form == "json":
        pytest.importorskip("opentelemetry.exporter.otlp.json.http", reason="the JSON exporter is not installed")
    with UnreliableProxy(server.port) as proxy:
        run_sender([sys.executable, str(PROGRAMS / "opentelemetry_sender.py"), proxy.url, form, str(count)])

        _assert_all_arrived_once(server, proxy, count)
    [(stack_trace, attributes)] = server.select("SELECT stack_trace, attributes FROM logs WHERE level = 'ERROR'")
    assert "KeyError: 'item'" in stack_trace
    assert str(count - 1) in str(attributes)


@_STORES
@pytest.mark.parametrize("count", _COUNTS)
@pytest.mark.parametrize("form", ["protobuf", "json"])
def test_node_sdk(server: Server, program: Callable[[str], str], tools: Path, form: str, count: int) -> None:
    """OpenTelemetry's SDK for Node.js, with the same faults."""
    with UnreliableProxy(server.port) as proxy:
        run_sender([program("node"), str(tools / "opentelemetry_sender.mjs"), proxy.url, form, str(count)], TOOLS)

        _assert_all_arrived_once(server, proxy, count)


@pytest.mark.slow
@_STORES
@pytest.mark.parametrize("form", ["protobuf", "json"])
def test_pino(server: Server, program: Callable[[str], str], tools: Path, form: str) -> None:
    """The transport of pino for OpenTelemetry. At its end, it has ten seconds for all repetitions."""
    with UnreliableProxy(server.port) as proxy:
        run_sender([program("node"), str(tools / "pino_opentelemetry_sender.mjs"), proxy.url, form, "2000"], TOOLS)

        _assert_all_arrived_once(server, proxy, 2000)


_RECORD = {
    "timeUnixNano": "1768200001250000000",
    "severityText": "ERROR",
    "body": {"stringValue": "order 17 failed"},
}
_REQUEST = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [_RECORD]}]}]}).encode()


def test_response_has_the_format_of_the_request(server: Server) -> None:
    """The response to JSON is JSON, and that to protobuf protobuf; a repeated request is stored once."""
    for _ in range(2):
        status, answer, headers = server.ask("POST", "/v1/logs", _REQUEST, content_type=_JSON)
        assert (status, answer, headers["content-type"]) == (200, {}, _JSON)
    status, text, headers = server.ask("POST", "/v1/logs", b"", content_type=_PROTOBUF)

    assert (status, text, headers["content-type"]) == (200, "", _PROTOBUF)
    assert server.select("SELECT level, message FROM logs") == [("ERROR", "order 17 failed")]


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_compressed_request(server: Server, encoding: str) -> None:
    """The body may be compressed with gzip or zstd."""
    content = gzip.compress(_REQUEST) if encoding == "gzip" else zstd.compress(_REQUEST)

    status, answer, _ = server.ask("POST", "/v1/logs", content, content_type=_JSON, content_encoding=encoding)

    assert (status, answer, server.count()) == (200, {}, 1)


def test_invalid_records_are_a_partial_success(server: Server) -> None:
    """The response counts the records that cannot be stored, and says why; the others are stored."""
    records = [_RECORD, "no record", {"attributes": 7}]
    request = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).encode()

    status, answer, _ = server.ask("POST", "/v1/logs", request, content_type=_JSON)

    assert status == 200
    assert answer["partialSuccess"]["rejectedLogRecords"] == "2"
    assert answer["partialSuccess"]["errorMessage"].startswith("record 1: the record is not a LogRecord")
    assert server.count() == 1


def test_errors_are_a_status(server: Server) -> None:
    """An error is a ``google.rpc.Status`` in the format of the request."""
    status, answer, headers = server.ask("POST", "/v1/logs", b"{", content_type=_JSON)
    assert (status, answer["code"], headers["content-type"]) == (400, 3, _JSON)
    assert answer["message"].startswith("the body is not an ExportLogsServiceRequest in JSON")

    status, text, headers = server.ask("POST", "/v1/logs", b"\x0a\x05ab", content_type=_PROTOBUF)
    assert (status, headers["content-type"]) == (400, _PROTOBUF)
    assert "the body is not an ExportLogsServiceRequest in protobuf" in text

    status, answer, _ = server.ask("POST", "/v1/logs", b"a=1", content_type="text/plain")
    assert (status, answer["code"]) == (415, 3)
    assert answer["message"] == "the body has the type 'text/plain': send application/x-protobuf or application/json"


def test_senders_are_among_the_clients(server: Server) -> None:
    """The server knows who sends, with what, and in which format."""
    server.ask("POST", "/v1/logs", _REQUEST, content_type=_JSON, user_agent="OTel-OTLP-Exporter-Python/1.45.1")

    assert server.select("SELECT name FROM clients") == [("OTel-OTLP-Exporter-Python/1.45.1 (OTLP)",)]


def test_request_without_the_key_is_refused(tmp_path: Path) -> None:
    """A key is sent as for all other requests, such as by ``OTEL_EXPORTER_OTLP_HEADERS``."""
    with Server(tmp_path, str(tmp_path / "logs.sqlite3"), variables={"CONCURRENT_LOG_TOKEN": "k" * 32}) as server:
        refused, answer, _ = server.ask("POST", "/v1/logs", _REQUEST, content_type=_JSON)
        accepted, _, _ = server.ask(
            "POST", "/v1/logs", _REQUEST, content_type=_JSON, authorization=f"Bearer {'k' * 32}"
        )

    assert (refused, answer["code"], accepted) == (401, 16, 200)

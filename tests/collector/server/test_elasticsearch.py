"""``/_bulk``: documents for Elasticsearch become records, each stored once, with a response that its clients expect."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from hypothesis import given
from hypothesis import strategies as st

from collector.server.conftest import TOKEN, StartServer
from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest.decoded_body import DecodedBody
from concurrent_log.collector.server.ingest.ecs import record_of
from concurrent_log.collector.server.ingest.elasticsearch import _Bulk
from concurrent_log.collector.server.ingest.memory_budget import MemoryBudget
from support.collector_server import Server

_TIME = "2026-01-12T06:40:01.250Z"
_DOCUMENT = {"@timestamp": _TIME, "log.level": "error", "message": "one", "service": {"name": "shop"}}


def _body(*pairs: tuple[Any, ...]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for pair in pairs for line in pair)


def _decode(content: bytes, max_weight: int = 128 << 20) -> DecodedBody:
    with MemoryBudget(4 * max_weight, 1).lease() as lease:
        return _Bulk(None, "tests").decode(content, max_weight, lease)


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("path", ["/_bulk", "/orders/_bulk"])
def test_documents_are_stored_once(server: Server, method: str, path: str) -> None:
    """The records are stored, also if the same body comes again; each action has an item in the response."""
    body = _body(({"index": {}}, _DOCUMENT), ({"create": {"_index": "own", "_id": 7}}, {**_DOCUMENT, "message": "two"}))
    for _ in range(2):
        status, answer, headers = server.ask(method, path, body, content_type="application/x-ndjson")
        items = [next(iter(item.items())) for item in answer["items"]]

        assert (status, answer["errors"], headers["x-elastic-product"]) == (200, False, "Elasticsearch")
        assert [(kind, item["status"]) for kind, item in items] == [("index", 201), ("create", 201)]
        assert items[1][1]["_id"] == "7"
    rows = server.select("SELECT level, message, service, attributes FROM logs ORDER BY message")
    own = {"_index": "orders"} if path != "/_bulk" else None
    assert [row[:3] for row in rows] == [("ERROR", "one", "shop"), ("ERROR", "two", "shop")]
    assert [json.loads(row[3]) if row[3] else None for row in rows] == [own, {"_index": "own", "_id": 7}]


def test_rejected_documents_have_an_error_of_their_own(server: Server) -> None:
    """An invalid document, an update and a removal are refused by themselves; the others are stored."""
    body = _body(({"index": {}}, _DOCUMENT), ({"index": {}}, 7), ({"delete": {"_id": "1"}},), ({"update": {}}, {}))
    status, answer, _ = server.ask("POST", "/_bulk", body)
    items = [next(iter(item.values())) for item in answer["items"]]

    assert (status, answer["errors"], server.count()) == (200, True, 1)
    assert [item["status"] for item in items] == [201, 400, 400, 400]
    assert items[1]["error"] == {
        "type": "document_parsing_exception",
        "reason": "a record must be an object, not a number",
    }
    assert "records cannot be changed" in items[2]["error"]["reason"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"7\n{}\n", "action 0 is not an object with index or create"),
        (b'{"index":{}}\n{}\n{"other":{}}\n{}\n', "action 1 has neither index nor create"),
        (b'{"index":{}}\n', "the last action has no document"),
    ],
)
def test_body_that_is_no_list_of_actions_is_refused(sqlite_server: Server, body: bytes, reason: str) -> None:
    """Behind an invalid action, nobody knows which line is a document. The error has the form that clients show."""
    status, answer, headers = sqlite_server.ask("POST", "/_bulk", body)

    assert (status, answer["status"], headers["x-elastic-product"]) == (400, 400, "Elasticsearch")
    assert answer["error"]["reason"].startswith(reason)


def test_client_finds_the_product(sqlite_server: Server) -> None:
    """A client asks for the version first; a browser still gets the page."""
    status, answer, headers = sqlite_server.ask("GET", "/", accept="application/vnd.elasticsearch+json")

    assert (status, answer["version"]["number"][:2], headers["x-elastic-product"]) == (200, "8.", "Elasticsearch")
    assert "<html" in sqlite_server.ask("GET", "/", accept="text/html,*/*", content_type="application/json")[1]
    assert "<html" in sqlite_server.ask("GET", "/")[1]


def test_format_can_be_disabled(start: StartServer, tmp_path: Path) -> None:
    """Without the format, its routes do not exist, and ``/`` is the page."""
    server = start(str(tmp_path / "logs.sqlite3"), "--disable-format", "elasticsearch")

    assert server.ask("POST", "/_bulk", _body(({"index": {}}, _DOCUMENT)))[0] == 404
    assert "<html" in server.ask("GET", "/", accept="application/json")[1]


def test_key_may_be_the_password(guarded_server: Server) -> None:
    """Many senders can send a name and a password only; the name does not matter. Queries need a key as before."""
    body = _body(({"index": {}}, _DOCUMENT))

    def status(credentials: str, path: str = "/_bulk", method: str = "POST") -> int:
        encoded = base64.b64encode(credentials.encode()).decode()
        return guarded_server.ask(method, path, body, authorization=f"Basic {encoded}")[0]

    assert [status(f"any:{TOKEN}"), status("any:wrong"), status(TOKEN)] == [200, 401, 401]
    assert guarded_server.ask("POST", "/_bulk", body, authorization="Basic ?")[0] == 401
    assert status(f"any:{TOKEN}", "/logs", "GET") == 401
    _, answer, headers = guarded_server.ask("POST", "/_bulk", body)
    assert (answer["error"]["type"], headers["www-authenticate"]) == ("security_exception", "Bearer")


def test_sender_is_among_the_clients(server: Server) -> None:
    """The server knows which program sends, for which service, and in which format."""
    server.ask("POST", "/_bulk", _body(({"index": {}}, _DOCUMENT)), user_agent="Fluent-Bit")

    assert server.select("SELECT name, service FROM clients") == [("Fluent-Bit (Elasticsearch)", "shop")]


@pytest.mark.parametrize(
    ("pairs", "is_known"),
    [
        ([({"index": {}}, _DOCUMENT)], True),
        ([({"index": {"_id": "a"}}, {"message": "one"})], True),
        ([({"index": {"_id": "a"}}, {"message": "one"}), ({"index": {}}, {"message": "two"})], False),
        ([({"index": {}}, {"message": "one"})], False),
        ([], False),
    ],
)
def test_body_is_known_again_by_times_or_ids(pairs: list[Any], is_known: bool) -> None:
    """Without a time and an id in each record, two equal bodies may be different events: both are stored."""
    assert (_decode(_body(*pairs)).batch.batch_id is not None) == is_known


@pytest.mark.parametrize("content", [b'{"index":{}}\n{}\n' * 100_000, b'{"index":{}}\n[' + b"[]," * 1_000_000])
def test_documents_that_need_too_much_memory_are_refused(content: bytes) -> None:
    """The memory is estimated before anything is decoded."""
    with pytest.raises(Problem, match="too much memory"):
        _decode(content, max_weight=8 << 20)


def test_too_many_invalid_documents_are_refused() -> None:
    """A response lists all of them, so there is a limit."""
    with pytest.raises(Problem, match="10,000 records are invalid"):
        _decode(b'{"index":{}}\n{\n' * 10_001)


def test_fields_are_nested_or_have_dots() -> None:
    """Both forms, and their mixtures, fill the same columns; what has no column becomes an attribute."""
    expected = {"level": "warn", "file_path": "a.py", "host": "web-1", "duration_ms": 1.5}
    nested = {
        "log": {"level": "warn", "origin": {"file": {"name": "a.py"}}},
        "host": {"name": "web-1"},
        "event": {"duration": 1_500_000},
    }
    dotted = {"log.level": "warn", "log.origin.file.name": "a.py", "host.name": "web-1", "event.duration": 1_500_000}
    mixed = {**dotted, "host": {"os": {"name": "linux"}}, "customer": {"name": "Ada"}}

    assert record_of(nested) == record_of(dotted) == expected
    assert record_of(mixed) == {**expected, "host.os": {"name": "linux"}, "customer": {"name": "Ada"}}


def test_second_value_of_a_column_is_an_attribute() -> None:
    """No value is lost."""
    assert record_of({"host.name": "a", "host": "b"}) == {"host": "a", "attributes.host": "b"}
    assert record_of({"host": {"hostname": "a", "name": "b"}}) == {"host": "a", "host.name": "b"}
    assert record_of({"service": "shop", "service.name": "till"}) == {"service": "shop", "service.name": "till"}


def test_own_template_of_rsyslog_is_understood() -> None:
    """Its fields have other names than those of ECS; `priority` means something else to others."""
    document = {"message": "m", "fromhost": "web-1", "facility": "user", "priority": "err", "timereported": _TIME}

    assert record_of(document) == {
        "message": "m",
        "host": "web-1",
        "facility": "user",
        "level": "err",
        "created_at": _TIME,
    }
    assert record_of({"priority": "high"}) == {"priority": "high"}


_names = st.sampled_from(["log", "level", "host", "name", "log.level", "host.name", "origin", "file", "other"])
_documents = st.recursive(
    st.integers(), lambda inner: st.dictionaries(_names, inner, max_size=4), max_leaves=12
).filter(lambda found: isinstance(found, dict))


@given(_documents)
def test_no_value_is_lost(document: dict[str, Any]) -> None:
    """Each value of a document is in its record, whatever its names are."""

    def leaves(value: Any) -> list[int]:
        return [leaf for inner in value.values() for leaf in leaves(inner)] if isinstance(value, dict) else [value]

    record = record_of(document)

    assert sorted(leaves(record)) == sorted(leaves(document))

"""P10: every route with every kind of key, on both stores, from the OpenAPI document; and what a limited key sees."""

import asyncio
import contextlib
import dataclasses
import http.client
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from fastapi import Request

from concurrent_log.collector.server.access.rules import authorize
from concurrent_log.collector.server.app import create_app
from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.settings import ServerSettings
from concurrent_log.collector.store.factory import create_store
from concurrent_log.collector.store.keys import Key, KeyTable, new_key
from support.collector_server import Server
from support.deadlines import DEADLINE
from support.processes import wait_until

# What each route needs. A new route fails until it has a line here, and a rule in the server.
NEEDS = {
    ("GET", "/health"): "nothing",
    ("GET", "/session"): "nothing",
    ("POST", "/login"): "nothing",
    ("POST", "/logout"): "nothing",
    ("POST", "/logs"): "send",
    ("POST", "/v1/logs"): "send",
    ("POST", "/loki/api/v1/push"): "send",
    ("POST", "/_bulk"): "send",
    ("PUT", "/_bulk"): "send",
    ("POST", "/{index}/_bulk"): "send",
    ("PUT", "/{index}/_bulk"): "send",
    ("GET", "/logs"): "read",
    ("GET", "/logs/{id}"): "read",
    ("GET", "/logs/{id}/context"): "read",
    ("GET", "/histogram"): "read",
    ("GET", "/values"): "read",
    ("GET", "/groups"): "read",
    ("GET", "/services"): "read",
    ("GET", "/stats"): "read",
    ("GET", "/download"): "read",
    ("GET", "/live"): "read",
    ("GET", "/keys"): "admin",
    ("POST", "/keys"): "admin",
    ("DELETE", "/keys/{id}"): "admin",
    ("GET", "/sessions"): "admin",
    ("DELETE", "/sessions/{id}"): "admin",
    ("GET", "/deletion"): "admin",
    ("DELETE", "/logs"): "admin",
}
# Paths that the document does not list: files that are the same for everyone.
_FILES = {"/", "/static", "/client.js", "/client", "/docs", "/docs/static", "/openapi.json"}
_BODIES = {("POST", "/logs"): b'{"logs": []}', ("POST", "/v1/logs"): b"{}", ("POST", "/login"): b'{"token": 3}'}
_BODIES["POST", "/loki/api/v1/push"] = b'{"streams": []}'
_QUERIES = {("GET", "/values"): "?field=host"}

_GRANTED = {"send": {"send"}, "read": {"read"}, "read one service": {"read"}, "admin": {"send", "read", "admin"}}
_SESSIONS = {"session of read": {"read"}, "session of admin": {"read", "admin"}}
_INVALID = ("none", "empty", "wrong", "revoked", "expired")
_KINDS = (*_INVALID, *_GRANTED, *_SESSIONS)

Routes = dict[tuple[str, str], Any]


@dataclasses.dataclass
class Guarded:
    """A server with keys, and the headers of a request with each kind of key."""

    server: Server
    headers: dict[str, dict[str, str]]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def guarded(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    new_database: Callable[[], AbstractContextManager[str]],
) -> Iterator[Guarded]:
    """Return a server with a key of each kind."""
    folder = tmp_path_factory.mktemp("access")
    with contextlib.ExitStack() as stack:
        is_sqlite = request.param == "sqlite"
        database = str(folder / "logs.sqlite3") if is_sqlite else stack.enter_context(new_database())
        secrets = asyncio.run(create_keys(database))
        server = stack.enter_context(Server(folder, database))
        headers = {name: {"Authorization": f"Bearer {secret}"} for name, secret in secrets.items()}
        headers |= {"none": {}, "empty": {"Authorization": "Bearer "}, "wrong": {"Authorization": "Bearer wrong"}}
        for kind in ("read", "admin"):
            headers[f"session of {kind}"] = {"Cookie": log_in(server, secrets[kind])}
        yield Guarded(server, headers)


async def create_keys(database: str) -> dict[str, str]:
    """Create a key of each kind, and return their secrets."""
    past = time.time_ns() // 1000 - 1_000_000
    keys = {
        "send": new_key("send", "send", services=("shop",), environment="live"),
        "read": new_key("read", "read"),
        "read one service": new_key("read", "read one service", services=("shop", "empty")),
        "admin": new_key("admin", "admin"),
        "revoked": dataclasses.replace(new_key("admin", "revoked"), revoked_at=past),
        "expired": Key("expired", "admin", "expired", past - 1, expires_at=past),
    }
    store = create_store(database)
    await store.open()
    try:
        return {name: await KeyTable(store).add(key) for name, key in keys.items()}
    finally:
        await store.close()


def log_in(server: Server, secret: str) -> str:
    """Begin a session, and return its cookie."""
    body = json.dumps({"token": secret}).encode()
    status, answer, headers = server.ask("POST", "/login", body, Content_Type="application/json")
    assert status == 204, answer
    return headers["set-cookie"].partition(";")[0]


def operations(server: Server) -> Routes:
    """Return the operations of the server's OpenAPI document, by method and path."""
    paths = server.get("/openapi.json")["paths"]
    return {(method.upper(), path): found for path, methods in paths.items() for method, found in methods.items()}


def status_of(server: Server, method: str, path: str, headers: dict[str, str]) -> int:
    """Return the status of a response, without reading it: the live tail has no end."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
    with contextlib.closing(connection):
        target = re.sub(r"\{\w+\}", "1-1", path) + _QUERIES.get((method, path), "")
        connection.request(method, target, _BODIES.get((method, path)), {"Content-Type": "application/json", **headers})
        return connection.getresponse().status


def test_every_route_has_a_rule(guarded: Guarded) -> None:
    """The document lists the routes of this table, and no others; what it does not list is files."""
    app = create_app(ServerSettings("unused.sqlite3"))
    document = operations(guarded.server)
    listed = {path for _, path in document}

    assert document.keys() == NEEDS.keys()
    assert {getattr(route, "path", "") for route in all_routes(app)} - listed == _FILES


def all_routes(app: Any) -> Iterator[Any]:
    """Yield the routes of an application, also those of included routers."""
    pending = list(app.routes)
    while pending:
        route = pending.pop()
        inner = getattr(route, "original_router", None) or getattr(route, "router", None)
        if inner is not None and not getattr(route, "path", ""):
            pending += inner.routes
        else:
            yield route


@pytest.mark.parametrize("kind", _KINDS)
def test_route_accepts_only_the_right_keys(guarded: Guarded, kind: str) -> None:
    """A request without a valid key gets 401, one with a key of another kind 403; all others are handled."""
    rights = {**_GRANTED, **_SESSIONS}.get(kind, set())
    wrong = {}
    for (method, path), needed in NEEDS.items():
        if path == "/logout":
            continue  # It would end the session.
        status = status_of(guarded.server, method, path, guarded.headers[kind])
        is_nobody = kind in _INVALID or (needed == "send" and kind in _SESSIONS)
        if needed != "nothing" and needed not in rights:
            expected = status == (401 if is_nobody else 403)
        else:
            expected = status in (200, 204, 404, 422)
        if not expected:
            wrong[method, path] = status

    assert wrong == {}


def test_route_without_a_rule_is_refused(tmp_path: Path) -> None:
    """Access is denied by default: a route that nobody thought of answers 403, also with an admin key."""
    app = create_app(ServerSettings(str(tmp_path / "logs.sqlite3")))
    scope = {"type": "http", "method": "GET", "headers": [], "app": app, "route": SimpleNamespace(path="/new")}

    with pytest.raises(Problem, match="no rule"):
        asyncio.run(authorize(Request(scope)))


def fill(guarded: Guarded) -> None:
    """Store records of two services that differ in every column, and a loss of each."""
    guarded.server.clear()
    for service, word in (("shop", "own"), ("other", "foreign")):
        records = [
            {
                "message": f"{word} message",
                "level": "ERROR",
                "logger": "concurrent_log.health" if number == 0 else f"{word}.logger",
                "error_type": f"{word}Error",
                "stack_trace": f"{word} trace",
                "trace_id": "one-trace",
                "host": f"{word}-host",
                "environment": f"{word}-environment",
                "attributes": {"health": {"service": f"{word}-database", "status": "healthy"}, word: word},
            }
            for number in range(2)
        ]
        guarded.server.send(
            records,
            headers=guarded.headers["admin"],
            common={"service": service, "process_id": 7},
            client={"id": f"{word}-client", "name": f"{word} name"},
            dropped=[{"reason": f"{word} reason", "records": 3, "since": 1}],
        )


def test_limited_reader_sees_its_services_only(guarded: Guarded) -> None:
    """Nothing of another service is in any response: records, counts, values, groups, losses, downloads, context."""
    fill(guarded)
    server, headers = guarded.server, guarded.headers["read one service"]
    # The figures are cached for some seconds.
    wait_until(lambda: server.get("/stats", **headers)["total_logs"] == 2)
    everything = server.get("/logs?limit=1000", **guarded.headers["admin"])["logs"]
    ids = {record["service"]: record["id"] for record in everything if record.get("service") in ("shop", "other")}
    paths = [
        *("/logs", "/logs?service=other", "/logs?service=other&service=shop", "/logs?trace_id=one-trace"),
        *("/logs?q=foreign", "/logs?level=ERROR", "/logs?where=service%3Dother", "/logs?where=logger%3Dx"),
        *(f"/values?field={name}" for name in ("service", "host", "environment", "logger", "error_type")),
        *("/groups", "/groups?service=other", "/services", "/services?service=other", "/stats", "/histogram"),
        *("/download", "/download?format=csv", "/download?service=other", f"/logs/{ids['shop']}"),
        f"/logs/{ids['shop']}/context",
    ]
    answers = {path: server.ask("GET", path, **headers) for path in paths}

    assert {path: answer[0] for path, answer in answers.items() if answer[0] != 200} == {}
    assert {path for path, answer in answers.items() if re.search(r"foreign|\bother\b", json.dumps(answer[1]))} == set()
    assert server.ask("GET", f"/logs/{ids['other']}", **headers)[0] == 404
    assert server.ask("GET", f"/logs/{ids['other']}/context", **headers)[0] == 404
    assert len(answers["/logs"][1]["logs"]) == 2
    assert answers["/logs?service=other"][1]["logs"] == []
    assert len(answers["/logs?service=other&service=shop"][1]["logs"]) == 2
    stats = answers["/stats"][1]
    assert (stats["total_logs"], stats["recent_errors_1h"], stats["size_bytes"], stats["partitions"]) == (2, 2, 0, [])
    assert [drop["service"] for drop in stats["drops"]] == ["shop"]
    assert {sender["service"] for sender in stats["senders"]} == {"shop"}
    assert sum(sum(bucket["counts"].values()) for bucket in answers["/histogram"][1]["buckets"]) == 2


def test_limited_listener_hears_its_services_only(guarded: Guarded) -> None:
    """The live tail of a limited key has no event for a record of another service."""
    guarded.server.clear()
    connection = http.client.HTTPConnection("127.0.0.1", guarded.server.port, timeout=DEADLINE)
    with contextlib.closing(connection):
        connection.request("GET", "/live?service=shop&service=other", headers=guarded.headers["read one service"])
        response = connection.getresponse()
        send = guarded.headers["admin"]
        guarded.server.send([{"service": "other", "message": "foreign"}], headers=send)
        guarded.server.send([{"service": "shop", "message": "own"}], headers=send)
        heard = next(line for line in iter(response.readline, b"") if b"message" in line)

    assert b'"own"' in heard
    assert b"foreign" not in heard


def test_limited_sender_writes_for_its_service_only(guarded: Guarded) -> None:
    """A record for another service or environment is refused by itself; one without either gets those of the key."""
    guarded.server.clear()
    records = [
        {"message": "a", "service": "shop", "environment": "live"},
        {"message": "b"},
        {"message": "c", "service": "other"},
        {"message": "d", "environment": "test"},
        {"message": "e", "service": ""},
        {"message": "f", "logger": "concurrent_log.audit"},
        7,
    ]
    answer = guarded.server.send(records, headers=guarded.headers["send"])
    stored = guarded.server.select("SELECT message, service, environment FROM logs ORDER BY message")

    assert stored == [(message, "shop", "live") for message in "abe"]
    assert (answer["count"], answer["stored"]) == (7, 3)
    assert [each["index"] for each in answer["rejected"]] == [2, 3, 5, 6]
    assert "'shop' only, not for 'other'" in answer["rejected"][0]["reason"]


def test_limited_sender_cannot_lend_its_service_by_common_values(guarded: Guarded) -> None:
    """Values for all records are checked like those of one; `attributes` and `metadata` fill no column."""
    guarded.server.clear()
    send = guarded.headers["send"]
    refused = guarded.server.send([{"message": "a"}] * 20, headers=send, common={"service": "other"})
    tried = guarded.server.send([{"message": "b", "attributes": {"service": "other"}}], headers=send)

    assert (refused["stored"], len(refused["rejected"])) == (0, 20)
    assert tried["stored"] == 1
    assert guarded.server.select("SELECT service FROM logs") == [("shop",)]


def test_sender_cannot_change_statistics_of_others(guarded: Guarded) -> None:
    """Clients and losses are those of the key and of its service, whatever a batch says."""
    guarded.server.clear()
    victim = {"id": "web-1", "name": "web"}
    guarded.server.send([{}], headers=guarded.headers["admin"], client=victim, common={"service": "other"})
    loss = {"reason": "queue full", "records": 5, "since": 1}
    guarded.server.send([], headers=guarded.headers["send"], client=victim, common={"service": "other"}, dropped=[loss])
    guarded.server.send([], headers=guarded.headers["send"], dropped=[loss])

    assert len(guarded.server.select("SELECT id FROM clients WHERE service = 'other'")) == 1
    assert guarded.server.select("SELECT DISTINCT service FROM drops") == [("shop",)]
    assert guarded.server.select("SELECT count(*) FROM drops WHERE client_id = 'web-1'") == [(0,)]


def test_batch_id_belongs_to_its_key(guarded: Guarded) -> None:
    """Nobody suppresses another's batch by sending its id first, whole or in parts; the same key's is stored once."""
    guarded.server.clear()
    send, admin = guarded.headers["send"], guarded.headers["admin"]
    for headers in (send, admin):
        first = guarded.server.send([{"message": "x"}], headers=headers, batch_id="guessed")
        again = guarded.server.send([{"message": "x"}], headers=headers, batch_id="guessed")
        assert (first["stored"], again["stored"], again["duplicate"]) == (1, 0, True)

    guarded.server.send([{}], headers=send, batch_id="part-1", part_of=["whole"])
    assert guarded.server.send([{}], headers=admin, batch_id="whole")["stored"] == 1
    status, answer, _ = guarded.server.ask("POST", "/logs", b'{"batch_id": "whole", "logs": [{}]}', **send)
    assert (status, "in these parts" in answer["detail"]) == (413, True)


def test_revoked_key_ends_within_seconds(guarded: Guarded) -> None:
    """Another process revokes a key: the running server refuses it, its sessions, and its live tail."""
    secrets = asyncio.run(_add(guarded.server.database, new_key("read", "to be revoked")))
    key_id, secret = secrets
    bearer, cookie = {"Authorization": f"Bearer {secret}"}, {"Cookie": log_in(guarded.server, secret)}
    assert guarded.server.ask("GET", "/logs", **bearer)[0] == guarded.server.ask("GET", "/logs", **cookie)[0] == 200
    connection = http.client.HTTPConnection("127.0.0.1", guarded.server.port, timeout=DEADLINE)
    with contextlib.closing(connection):
        connection.request("GET", "/live", headers=bearer)
        response = connection.getresponse()
        asyncio.run(_revoke(guarded.server.database, key_id))
        response.read()  # until the server ends it

    assert guarded.server.ask("GET", "/logs", **bearer)[0] == 401
    assert guarded.server.ask("GET", "/logs", **cookie)[0] == 401


def test_last_use_is_stored(guarded: Guarded) -> None:
    """The list of keys says when a key was last used."""
    guarded.server.ask("GET", "/logs", **guarded.headers["read"])

    def is_stored() -> bool:
        guarded.server.ask("GET", "/logs", **guarded.headers["read"])
        found = guarded.server.select("SELECT name FROM keys WHERE last_used_at IS NOT NULL")
        return ("read",) in found and ("revoked",) not in found

    wait_until(is_stored)


async def _add(database: str, key: Key) -> tuple[str, str]:
    store = create_store(database)
    await store.open()
    try:
        return key.id, await KeyTable(store).add(key)
    finally:
        await store.close()


async def _revoke(database: str, key_id: str) -> None:
    store = create_store(database)
    await store.open()
    try:
        assert await KeyTable(store).revoke(key_id)
    finally:
        await store.close()

"""Administrators manage keys and sessions over HTTP; each use of their rights is recorded."""

import json
from typing import Any

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from collector.server.conftest import TOKEN
from support.collector_server import Server

_ADMIN = {"Authorization": f"Bearer {TOKEN}"}


def created(server: Server, **limits: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Create a key; return its description, and the headers of a request with it."""
    status, answer, _ = server.ask("POST", "/keys", json.dumps({"name": "one", **limits}).encode(), **_ADMIN)
    assert status == 201, answer
    return answer["key"], {"Authorization": f"Bearer {answer['secret']}"}


def log_in(server: Server, headers: dict[str, str]) -> dict[str, str]:
    """Begin a session with the key in ``headers``; return the headers of a request in it."""
    body = json.dumps({"token": headers["Authorization"].removeprefix("Bearer ")}).encode()
    status, answer, response_headers = server.ask("POST", "/login", body)
    assert status == 204, answer
    return {"Cookie": response_headers["set-cookie"].partition(";")[0]}


def test_key_is_created_listed_and_revoked(guarded_server: Server) -> None:
    """A new key works at once, is listed without its secret, and ends at once on this server."""
    key, headers = created(guarded_server, kind="send", services=["shop"], origins=["https://a.example"], days=3)
    headers["Origin"] = "https://a.example"
    sent = guarded_server.send([{"message": "one"}], headers=headers)
    (listed,) = [each for each in guarded_server.get("/keys", **_ADMIN)["keys"] if each["id"] == key["id"]]
    revoked = guarded_server.ask("DELETE", f"/keys/{key['id']}", **_ADMIN)[0]

    assert sent["stored"] == 1
    assert (listed["services"], listed["origins"], listed["is_valid"]) == (["shop"], ["https://a.example"], True)
    assert listed["records_per_minute"]
    assert headers["Authorization"].partition(" ")[2] not in json.dumps(guarded_server.get("/keys", **_ADMIN))
    assert revoked == 204
    assert guarded_server.ask("POST", "/logs", b'{"logs": []}', **headers)[0] in (401, 403)
    assert guarded_server.ask("DELETE", f"/keys/{key['id']}", **_ADMIN)[0] == 404


def test_key_of_a_page_is_bound_to_its_origins(guarded_server: Server) -> None:
    """Pages of other origins, and programs, cannot send with it; the browser is told so before."""
    _, headers = created(guarded_server, kind="send", services=["shop"], origins=["https://a.example"])
    body = b'{"logs": [{}]}'
    answers = [
        guarded_server.ask("POST", "/logs", body, **headers, Origin=origin)
        for origin in ("https://a.example", "https://b.example", guarded_server.url)
    ]
    asked = [
        guarded_server.ask("OPTIONS", "/logs", Origin=origin, Access_Control_Request_Method="POST")
        for origin in ("https://a.example", "https://b.example")
    ]
    token = headers["Authorization"].partition(" ")[2]
    leaving = json.dumps({"token": token, "logs": [{}]}).encode()

    assert [answer[0] for answer in answers] == [200, 403, 403]
    assert answers[0][2]["access-control-allow-origin"] == "https://a.example"
    assert guarded_server.ask("POST", "/logs", body, **headers)[0] == 403
    assert [answer[0] for answer in asked] == [200, 400]
    assert guarded_server.ask("POST", "/logs", leaving, Origin="https://a.example")[0] == 200
    assert guarded_server.ask("POST", "/logs", leaving, Origin="https://b.example")[0] == 403


def test_rate_of_a_key_is_enforced(guarded_server: Server) -> None:
    """Over its rate, a key gets 429 and the time to wait, or 413 if a batch can never pass; nothing is stored."""
    _, headers = created(guarded_server, kind="send", services=["shop"], records_per_minute=5, bytes_per_minute=2000)
    guarded_server.send([{}] * 5, headers=headers)
    late = guarded_server.ask("POST", "/logs", b'{"logs": [{}]}', **headers)
    many = guarded_server.ask("POST", "/logs", b'{"logs": [{},{},{},{},{},{}]}', **headers)
    large = guarded_server.ask("POST", "/logs", b'{"logs": [{"message": "%b"}]}' % (b"x" * 3000), **headers)

    assert (late[0], int(late[2]["retry-after"]) <= 60) == (429, True)
    assert (many[0], large[0]) == (413, 413)
    assert guarded_server.count() == 6  # five, and the record about the creation


def test_page_that_sends_with_the_token_is_reported_once(guarded_server: Server) -> None:
    """The token in a page lets everybody read, so the server says which key the page should have."""
    for _ in range(3):
        guarded_server.send([{}], headers={**_ADMIN, "Origin": guarded_server.url})

    assert guarded_server.errors.count("send with the server's token, so everybody who opens them can read") == 1


def test_session_of_others_can_be_ended(guarded_server: Server) -> None:
    """An administrator sees who is logged in, and ends one session; the others go on."""
    _, headers = created(guarded_server, kind="read", name="anna")
    first, second = log_in(guarded_server, headers), log_in(guarded_server, headers)
    ids = [each["id"] for each in guarded_server.get("/sessions", **_ADMIN)["sessions"] if each["name"] == "anna"]

    assert len(ids) == 2
    assert guarded_server.ask("DELETE", f"/sessions/{ids[0]}", **_ADMIN)[0] == 204
    assert [guarded_server.ask("GET", "/logs", **each)[0] for each in (first, second)] == [401, 200]
    assert guarded_server.ask("DELETE", f"/sessions/{ids[0]}", **_ADMIN)[0] == 404
    assert guarded_server.get("/session", **second)["name"].endswith("(anna)")


def test_session_is_for_the_page_itself(guarded_server: Server) -> None:
    """Pages of other sites, also of those that may send with a key, cannot use the session of a reader."""
    cookie = log_in(guarded_server, _ADMIN)

    assert guarded_server.ask("POST", "/keys", b"{}", **cookie, Origin=guarded_server.url)[0] == 422
    for origin in ("https://evil.example", "null"):
        assert guarded_server.ask("POST", "/keys", b"{}", **cookie, Origin=origin)[0] == 403
        assert guarded_server.ask("GET", "/logs", **cookie, Origin=origin)[0] == 403


def test_each_use_is_recorded(guarded_server: Server) -> None:
    """A record says who did what from the page; no send key can forge or hide one."""
    key, headers = created(guarded_server, kind="send")
    guarded_server.ask("DELETE", f"/keys/{key['id']}", **_ADMIN)
    found = guarded_server.select("SELECT message FROM logs WHERE logger = 'concurrent_log.audit' ORDER BY id")

    assert [message for (message,) in found] == [
        "the server's token: created a key",
        "the server's token: revoked a key",
    ]
    assert headers["Authorization"].partition(" ")[2] not in repr(guarded_server.select("SELECT * FROM logs"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", "kind is missing"),
        (b"[]", "the body is invalid"),
        (b'{"kind": "root", "name": "x"}', "kind is"),
        (b'{"kind": "admin", "name": "x", "services": ["shop"]}', "an admin key cannot be limited"),
        (b'{"kind": "send", "name": "x", "origins": ["https://a.example"]}', "needs a service"),
        (b'{"kind": "read", "name": "x", "nonsense": 1}', "nonsense"),
        (b'{"kind": "read", "name": "x", "days": 0}', "days is"),
    ],
)
def test_invalid_key_has_a_one_line_message(guarded_server: Server, body: bytes, message: str) -> None:
    """The message names the field, and nothing is created."""
    before = guarded_server.get("/keys", **_ADMIN)
    status, answer, _ = guarded_server.ask("POST", "/keys", body, **_ADMIN)

    assert (status, list(answer)) == (422, ["detail"])
    assert message in answer["detail"]
    assert guarded_server.get("/keys", **_ADMIN) == before

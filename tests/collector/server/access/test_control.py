"""Access by the token, by the session of the page, and by origin."""

import json
from pathlib import Path

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from collector.server.conftest import TOKEN, StartServer
from support.collector_server import Server

_BEARER = {"Authorization": f"Bearer {TOKEN}"}


def test_sending_needs_the_token(guarded_server: Server) -> None:
    """A missing or wrong token gets 401, also with a large body; /health needs no token."""
    body = json.dumps({"logs": [{"message": "x" * 100_000}]}).encode()
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
        status, answer, response_headers = guarded_server.ask("POST", "/logs", body, **headers)
        assert (status, list(answer), response_headers["www-authenticate"]) == (401, ["detail"], "Bearer")

    assert guarded_server.ask("POST", "/logs", body, **_BEARER)[0] == 200
    assert guarded_server.get("/health")["status"] == "ok"
    assert guarded_server.count() == 1


def test_token_may_be_in_the_body(guarded_server: Server) -> None:
    """`sendBeacon` cannot set headers, so a text/plain body may contain the token; it is not stored."""
    for token, expected in ((TOKEN, 200), ("wrong", 401), (None, 401)):
        body = json.dumps({"token": token, "logs": [{"message": "bye"}]}).encode()
        assert guarded_server.ask("POST", "/logs", body, Content_Type="text/plain;charset=UTF-8")[0] == expected

    assert guarded_server.select("SELECT message, attributes FROM logs") == [("bye", None)]


def test_token_is_in_no_output(start: StartServer, tmp_path: Path) -> None:
    """No request, valid or not, makes the server write the token anywhere."""
    server = start(str(tmp_path / "logs.sqlite3"), CONCURRENT_LOG_TOKEN=TOKEN)
    server.send([{"message": "one"}], headers=_BEARER)
    server.ask("POST", "/logs", b"{", **_BEARER)
    server.ask("GET", f"/logs?token={TOKEN}")
    server.ask("POST", "/login", json.dumps({"token": TOKEN}).encode(), Content_Type="application/json")
    assert server.stop() == 0

    assert server.errors == ""
    assert server.process.stdout is not None
    assert TOKEN not in server.output
    assert all(TOKEN.encode() not in file.read_bytes() for file in tmp_path.iterdir())


def test_login_sets_a_session_cookie(guarded_server: Server) -> None:
    """After the login, the page has a cookie that no script and no other site can use."""
    nobody = {"token_needed": True, "logged_in": False, "is_admin": False, "name": "", "services": []}
    assert guarded_server.get("/session") == nobody
    wrong = guarded_server.ask("POST", "/login", b'{"token": "wrong"}', Content_Type="application/json")
    right = guarded_server.ask("POST", "/login", json.dumps({"token": TOKEN}).encode(), Content_Type="application/json")
    cookie, *flags = right[2]["set-cookie"].split("; ")

    assert (wrong[0], "set-cookie" in wrong[2]) == (401, False)
    assert right[0] == 204
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(flags)
    assert TOKEN not in cookie
    somebody = {**nobody, "logged_in": True, "is_admin": True, "name": "the server's token"}
    assert guarded_server.get("/session", Cookie=cookie) == somebody
    assert guarded_server.get("/session", Cookie=f"{cookie[:-1]}") == nobody
    assert guarded_server.ask("GET", "/logs", Cookie=cookie)[0] == 200
    assert guarded_server.ask("POST", "/logs", b'{"logs": []}', Cookie=cookie)[0] == 401
    assert 'concurrent_log_session=""' in guarded_server.ask("POST", "/logout", Cookie=cookie)[2]["set-cookie"]
    assert guarded_server.get("/session", Cookie=cookie) == nobody
    assert guarded_server.ask("GET", "/logs", Cookie=cookie)[0] == 401


def test_login_body_is_limited(guarded_server: Server) -> None:
    """A client without a token cannot fill the memory by a login."""
    too_large = json.dumps({"token": "x" * 10_000}).encode()

    assert guarded_server.ask("POST", "/login", too_large)[0] == 413
    for body in (b"", b"{", b"[]", b'{"token": 3}', b'{"token": "' + b"x" * 2000 + b'"}', b"\xff"):
        status, answer, _ = guarded_server.ask("POST", "/login", body)
        assert (status, list(answer)) == (422, ["detail"])


def test_pages_of_other_sites_are_rejected(sqlite_server: Server) -> None:
    """Browsers send text/plain to any site without CORS, so the server checks the origin."""
    same = {"Origin": sqlite_server.url}
    other = {"Origin": "https://evil.example"}
    status, answer, headers = sqlite_server.ask("POST", "/logs", b'{"logs": []}', **other)

    assert (status, "--cors-origin" in answer["detail"]) == (403, True)
    assert "access-control-allow-origin" not in headers
    assert sqlite_server.ask("POST", "/logs", b'{"logs": []}', **same)[0] == 200
    assert sqlite_server.ask("POST", "/logs", b'{"logs": []}', Host="evil.example")[0] == 403


def test_named_origins_are_allowed(start: StartServer, tmp_path: Path) -> None:
    """The two named origins are allowed, and no other is."""
    server = start(str(tmp_path / "logs.sqlite3"), CONCURRENT_LOG_CORS_ORIGIN="https://a.example https://b.example")
    answers = {
        origin: server.ask("POST", "/logs", b'{"logs": []}', Origin=origin)
        for origin in ("https://a.example", "https://b.example", "https://c.example")
    }

    assert [answer[0] for answer in answers.values()] == [200, 200, 403]
    assert answers["https://b.example"][2]["access-control-allow-origin"] == "https://b.example"
    preflight = server.ask(
        "OPTIONS",
        "/logs",
        Origin="https://a.example",
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="content-type,authorization",
    )
    assert preflight[0] == 200

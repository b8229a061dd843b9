"""A reverse proxy logs people in: nginx in front of the server, and clients that pretend to be the proxy."""

import base64
import contextlib
import http.client
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from fastapi import Request

from concurrent_log.collector.server.access.trusted_proxy import PeerMiddleware, TrustedProxy
from concurrent_log.collector.server.settings import ServerSettings
from support.collector_server import Server
from support.deadlines import DEADLINE
from support.nginx import Nginx
from support.private_services import PASSWORD

_PROXY = "127.0.0.2"
_OPTIONS = ("--user-header", "X-Remote-User", "--admin-user", "anna")
_NOBODY = ("", False, 401, 401)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="connects from several addresses of this machine")


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server that trusts the proxy at `_PROXY`."""
    folder = tmp_path_factory.mktemp("behind")
    with Server(folder, str(folder / "logs.sqlite3"), "--trusted-proxy", _PROXY, *_OPTIONS) as server:
        yield server


@pytest.fixture(scope="module")
def nginx(behind: Server, program: Callable[[str], str]) -> Iterator[Nginx]:
    """Return the nginx at `_PROXY`."""
    with Nginx(program, behind.port, _PROXY, ["anna", "ben"]) as proxy:
        assert isinstance(proxy, Nginx)
        yield proxy


def ask(
    port: int, path: str, headers: list[tuple[str, str]], *, source: str = "127.0.0.1", host: str = "127.0.0.1"
) -> tuple[int, Any]:
    """Send a request from an address, and return the status and the content."""
    connection = http.client.HTTPConnection(host, port, DEADLINE, (source, 0))
    with contextlib.closing(connection):
        connection.putrequest("GET", path)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        content = response.read()
    return response.status, json.loads(content) if response.getheader("Content-Type") == "application/json" else None


def rights(port: int, headers: list[tuple[str, str]], **place: str) -> tuple[str, bool, int, int]:
    """Return who the server thinks the client is, whether it may administer, and the status of two requests."""
    session = ask(port, "/session", headers, **place)[1]
    logs, keys = (
        ask(port, path, [*headers, ("Sec-Fetch-Site", "same-origin")], **place)[0] for path in ("/logs", "/keys")
    )
    return session["name"], session["is_admin"], logs, keys


def basic(user: str, password: str = PASSWORD) -> tuple[str, str]:
    """Return the header of a login at nginx."""
    return "Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_proxy_logs_people_in(nginx: Nginx) -> None:
    """Each user may read, and only the named one may administer; nginx refuses all others."""
    assert rights(nginx.port, [basic("anna")]) == ("user anna", True, 200, 200)
    assert rights(nginx.port, [basic("ben")]) == ("user ben", False, 200, 403)
    assert ask(nginx.port, "/session", [basic("ben", "wrong")])[0] == 401
    assert ask(nginx.port, "/session", [])[0] == 401


@pytest.mark.parametrize(
    "forged",
    [
        [("X-Remote-User", "anna")],
        [("x-remote-user", "anna"), ("X-Remote-User", "anna")],
        [("X_Remote_User", "anna")],
        [("X-Remote-User", "anna"), ("Connection", "close, X-Remote-User")],
        [("X-Forwarded-User", "anna"), ("X-Forwarded-For", _PROXY)],
    ],
    ids=["once", "twice", "underscores", "hop by hop", "other headers"],
)
def test_user_of_the_proxy_cannot_be_another(nginx: Nginx, forged: list[tuple[str, str]]) -> None:
    """The proxy replaces the header that a client sends."""
    assert rights(nginx.port, [basic("ben"), *forged]) == ("user ben", False, 200, 403)


@pytest.mark.parametrize(
    "also", [[], [("X-Forwarded-For", _PROXY)], [("Forwarded", f"for={_PROXY}")], [("X-Real-IP", _PROXY)]], ids=str
)
@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.3", "127.0.0.20"])
def test_client_beside_the_proxy_is_nobody(behind: Server, source: str, also: list[tuple[str, str]]) -> None:
    """The header counts only on connections from the proxy, whatever address the client claims to have."""
    assert rights(behind.port, [("X-Remote-User", "anna"), *also], source=source) == _NOBODY


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("X-Remote-User", "")],
        [("X-Remote-User", "ben"), ("X-Remote-User", "anna")],
        [("X-Remote-User", "anna"), ("x-remote-user", "anna")],
        [("X-Remote-User", "a" * 201)],
    ],
    ids=["none", "empty", "two", "the same twice", "too long"],
)
def test_proxy_that_names_no_single_user_logs_nobody_in(behind: Server, headers: list[tuple[str, str]]) -> None:
    """With two headers, one may be the client's: a proxy that adds its own instead of replacing it."""
    assert rights(behind.port, headers, source=_PROXY) == _NOBODY
    assert rights(behind.port, [("X-Remote-User", "anna")], source=_PROXY) == ("user anna", True, 200, 200)


def test_proxy_may_have_an_address_of_ipv6(tmp_path: Path) -> None:
    """The address is compared, not its spelling."""
    database = str(tmp_path / "logs.sqlite3")
    with Server(tmp_path, database, "--host", "::1", "--trusted-proxy", "0:0:0:0:0:0:0:1", *_OPTIONS) as server:
        found = rights(server.port, [("X-Remote-User", "anna")], source="::1", host="::1")

    assert found == ("user anna", True, 200, 200)


@pytest.mark.parametrize(
    ("peer", "trusted", "is_trusted"),
    [
        ("::ffff:10.0.0.5", "10.0.0.5", True),
        ("::ffff:a00:5", "10.0.0.5", True),
        ("::ffff:10.0.0.6", "10.0.0.5", False),
        ("::ffff:10.1.2.3", "10.0.0.0/8", True),
        ("::10.0.0.5", "10.0.0.5", False),
        ("64:ff9b::a00:5", "10.0.0.5", False),
        ("2001:db8::5", "2001:db8::/64", True),
        ("2001:db8:0:1::5", "2001:db8::/64", False),
        ("10.0.0.5", "::/0", False),
        ("fe80::1%eth0", "fe80::1", True),
        ("", "0.0.0.0/0", False),
        ("10.0.0.5.example", "0.0.0.0/0", False),
    ],
)
def test_mapped_addresses_are_those_of_ipv4(peer: str, trusted: str, is_trusted: bool) -> None:
    """A socket for both protocols shows the proxy's address inside one of IPv6; the interface is not compared."""
    proxy = TrustedProxy(ServerSettings(database="", trusted_proxies=(trusted,), user_header="X-Remote-User"))
    scope: dict[str, Any] = {"type": "http", "client": (peer, 1), "headers": [(b"x-remote-user", b"anna")]}
    users = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        users.append(proxy.user(Request(scope)))

    coroutine = PeerMiddleware(app)(scope, None, None)  # type: ignore[arg-type] - nothing is received or sent
    with pytest.raises(StopIteration):
        coroutine.send(None)

    assert users == ([("anna", "read")] if is_trusted else [None])

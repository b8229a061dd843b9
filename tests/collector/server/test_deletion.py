"""Records are deleted by a query: only what the preview counted, by an administrator, and not without a trace."""

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from collector.server.conftest import TOKEN
from support.collector_server import Server

_ADMIN = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(params=["sqlite", "postgres"])
def admin_server(request: pytest.FixtureRequest, shared_server: Callable[..., Server]) -> Server:
    """Return a shared server with a token and some records of two users: once with SQLite, once with PostgreSQL."""
    server: Server = shared_server(request.param, TOKEN)
    server.send([{"message": f"Ä {n}", "user_id": f"u{n % 2}"} for n in range(100)], headers=_ADMIN)
    return server


def previewed(server: Server, query: str) -> tuple[int, str]:
    """Return the number of records that a preview finds, and the query that deletes them."""
    found = server.get(f"/deletion?{query}", **_ADMIN)
    return found["count"], f"/logs?{query}&count={found['count']}&until={quote(found['until'])}"


@pytest.mark.parametrize("query", ["where=user_id%3Du1", "q=" + quote("ä 1") + "&where=user_id%3Du1"])
def test_what_the_preview_counted_is_deleted(admin_server: Server, query: str) -> None:
    """Exactly the records of the query are deleted, and a record says by whom, how many and which."""
    count, path = previewed(admin_server, query)
    status, answer, _ = admin_server.ask("DELETE", path, **_ADMIN)
    left = admin_server.select("SELECT count(*) FROM logs WHERE user_id = 'u0'")[0][0]
    message, attributes = admin_server.select(
        "SELECT message, attributes FROM logs WHERE logger = 'concurrent_log.audit'"
    )[0]

    assert count > 0
    assert (status, answer) == (200, {"deleted": count})
    assert left == 50
    assert previewed(admin_server, query)[0] == 0
    assert admin_server.count() == 101 - count
    assert message == f"the server's token: deletes {count} records"
    assert json.loads(attributes)["query"].startswith(query)


def test_changed_number_deletes_nothing(admin_server: Server) -> None:
    """If there are other records than the preview counted, the answer is 409."""
    count, path = previewed(admin_server, "where=user_id%3Du1")
    admin_server.send([{"user_id": "u1", "created_at": 1.7e9}], headers=_ADMIN)
    status, answer, _ = admin_server.ask("DELETE", path, **_ADMIN)

    assert (status, f"there are {count + 1}" in answer["detail"]) == (409, True)
    assert admin_server.count() == 101


@pytest.mark.parametrize("query", ["", "until=2100-01-01"])
def test_deletion_needs_a_filter(admin_server: Server, query: str) -> None:
    """A forgotten filter does not delete everything."""
    assert admin_server.ask("GET", f"/deletion?{query}", **_ADMIN)[0] == 422
    assert admin_server.ask("DELETE", f"/logs?{query}&count=100", **_ADMIN)[0] == 422
    assert admin_server.count() == 100


def test_traces_of_deletions_cannot_be_deleted(admin_server: Server) -> None:
    """The records about the use of admin rights are in no preview, and stay."""
    _, path = previewed(admin_server, "where=user_id%3Du1")
    admin_server.ask("DELETE", path, **_ADMIN)
    count, path = previewed(admin_server, "service=concurrent_log")

    assert count == 0
    assert admin_server.ask("DELETE", path, **_ADMIN)[1] == {"deleted": 0}
    assert len(admin_server.select("SELECT id FROM logs WHERE logger = 'concurrent_log.audit'")) == 2


def test_deleted_text_is_overwritten(shared_server: Callable[..., Server]) -> None:
    """In an SQLite file, the place of a deleted record is overwritten, not only marked as free."""
    server = shared_server("sqlite", TOKEN)
    server.send([{"message": "a very private text", "user_id": "u1"}], headers=_ADMIN)
    _, path = previewed(server, "where=user_id%3Du1")
    server.ask("DELETE", path, **_ADMIN)

    assert server.count() == 1
    assert b"a very private text" not in Path(server.database).read_bytes()

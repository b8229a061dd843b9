"""The server's own log has the reason that the database gives, without its address and its password."""

import asyncio
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from collector.server.conftest import StartServer
from concurrent_log.collector.server.store_problems import StoreProblems
from concurrent_log.collector.store.factory import create_store
from concurrent_log.collector.store.interface import StoreUnavailable, StoreUnusable, full_reason
from support.collector_server import execute
from support.postgres_cluster import Cluster, programs
from support.processes import wait_until


def failure(address: str) -> str:
    """Return why a database cannot be opened."""
    with pytest.raises((StoreUnavailable, StoreUnusable)) as error:
        asyncio.run(create_store(address).open())
    return full_reason(error.value)


def test_reasons_are_complete_without_the_address(postgres: str) -> None:
    """An unreachable host, an unknown one, and an unknown database are told apart."""
    assert failure("postgresql://anna:secret@127.0.0.1:1/logs").endswith(": Connection refused")
    assert failure("postgresql://anna:secret@host.invalid/logs").endswith(": the name of its host cannot be resolved")
    assert 'logs_not" does not exist (3D000)' in failure(f"{postgres}_logs_not")
    assert "secret" not in failure("postgresql://anna:secret@[/logs")


@pytest.mark.slow
def test_refused_users_are_told_apart(skip_or_fail: Callable[[str], None]) -> None:
    """PostgreSQL's own text is there, but no host and no password."""
    folder = programs()
    if folder is None:
        skip_or_fail("initdb is not installed: install PostgreSQL")
    assert folder is not None
    rules = "host all anna 127.0.0.1/32 scram-sha-256\nhost all bob 127.0.0.1/32 reject\n"
    with Cluster(folder, rules) as cluster:
        address = cluster.address("postgres")
        execute(address, "CREATE ROLE anna LOGIN PASSWORD 'right'; CREATE ROLE bob LOGIN")
        wrong, rejected = (address.replace("postgres@", f"{user}@") for user in ("anna:secret", "bob"))

        assert 'password authentication failed for user "anna" (28P01)' in failure(wrong)
        assert 'rejects connection for host "…", user "bob"' in failure(rejected)
        assert not {"secret", "127.0.0.1", str(cluster.port)} & set(failure(wrong).split())


@pytest.fixture
def limited_role(postgres: str) -> Any:
    """Provide the name of a role that may have no connection, and the address with it."""
    role = f"role_{urllib.parse.urlsplit(postgres).path.rpartition('_')[2]}"
    execute(
        postgres, f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 0; GRANT CREATE ON DATABASE {_name(postgres)} TO {role}"
    )
    parts = urllib.parse.urlsplit(postgres)
    try:
        yield role, parts._replace(netloc=f"{role}@{parts.hostname}:{parts.port or 5432}").geturl()
    finally:
        execute(postgres, f"ALTER ROLE {role} NOLOGIN")
        execute(postgres, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'")
        execute(postgres, f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


def _name(address: str) -> str:
    return urllib.parse.urlsplit(address).path.strip("/")


def test_too_many_connections_are_said_as_that(
    postgres: str, limited_role: tuple[str, str], start: StartServer
) -> None:
    """The answer names the problem, the log has PostgreSQL's own text once, and the server recovers by itself."""
    role, address = limited_role
    server = start(address)

    assert server.ask("POST", "/logs", b'{"logs": [{}]}')[0] == 503
    reason = f'too many connections for role "{role}" (53300)'
    assert f"the database has too many connections: raise max_connections, or use a pooler: {reason}" in server.errors
    execute(postgres, f"ALTER ROLE {role} CONNECTION LIMIT -1")
    wait_until(lambda: server.ask("POST", "/logs", b'{"logs": [{}]}')[0] == 200)
    assert server.errors.count("53300") == 1
    wait_until(lambda: server.errors.endswith("the database is available\n"))
    server.kill()


def test_each_reason_is_reported_once_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    """A database that fails every second time fills no log; another reason is reported at once."""
    now = [0.0]
    problems = StoreProblems(lambda: now[0])
    for _ in range(3):
        problems.report(StoreUnavailable("one"))
        problems.end()
    problems.report(StoreUnavailable("two"))
    problems.end()
    now[0] = 60.0
    problems.report(StoreUnavailable("one"))

    lines = [line.partition(": ")[2] for line in capsys.readouterr().err.splitlines()]
    assert lines == ["one", "the database is available", "two", "the database is available", "one"]

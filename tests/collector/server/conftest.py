"""Servers that the tests of this folder share, because starting one takes seconds."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from support.collector_server import Server

TOKEN = "a-secret-of-the-tests"

StartServer = Callable[..., Server]


@pytest.fixture(scope="session")
def shared_server(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], AbstractContextManager[str]]
) -> Iterator[Callable[..., Server]]:
    """Return a function that returns the session's server for some settings, without any records."""
    servers: dict[tuple[str, str], Server] = {}
    with contextlib.ExitStack() as stack:

        def empty_server(kind: str, token: str = "") -> Server:
            if (kind, token) not in servers:
                folder = tmp_path_factory.mktemp(kind)
                is_sqlite = kind == "sqlite"
                database = str(folder / "logs.sqlite3") if is_sqlite else stack.enter_context(new_database())
                variables = {"CONCURRENT_LOG_TOKEN": token} if token else {}
                servers[kind, token] = stack.enter_context(Server(folder, database, variables=variables))
            servers[kind, token].clear()
            return servers[kind, token]

        yield empty_server


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, shared_server: Callable[..., Server]) -> Server:
    """Return a shared server without records: once with SQLite, once with PostgreSQL."""
    return shared_server(request.param)


@pytest.fixture
def sqlite_server(shared_server: Callable[..., Server]) -> Server:
    """Return a shared server without records on SQLite, for tests that do not depend on the database."""
    return shared_server("sqlite")


@pytest.fixture
def guarded_server(shared_server: Callable[..., Server]) -> Server:
    """Return a shared server without records that has the token `TOKEN`."""
    return shared_server("sqlite", TOKEN)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server of the test's own; it is killed after the test."""
    with contextlib.ExitStack() as servers:

        def started(database: str, *options: str, **variables: str) -> Server:
            return servers.enter_context(Server(tmp_path, database, *options, variables=variables))

        yield started


@pytest.fixture
def new_server(start: Callable[..., Server], database: str) -> Server:
    """Return a server of the test's own: once with SQLite, once with PostgreSQL."""
    return start(database)


@pytest.fixture
def new_sqlite_server(start: Callable[..., Server], tmp_path: Path) -> Server:
    """Return a server of the test's own on SQLite."""
    return start(str(tmp_path / "logs.sqlite3"))

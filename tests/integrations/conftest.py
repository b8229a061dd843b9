"""A collector for the programs that send to it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.collector_server import Server


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, new_database: Callable[[], Any], tmp_path: Path) -> Iterator[Server]:
    """Start a server on each database."""
    if request.param == "sqlite":
        with Server(tmp_path, str(tmp_path / "logs.sqlite3")) as started:
            yield started
    else:
        with new_database() as database, Server(tmp_path, database) as started:
            yield started

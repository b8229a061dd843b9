"""Each exception of a route becomes a response with a status and one line."""

import http.client
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from concurrent_log.collector.store.interface import QueryTimeout, StoreUnavailable, TooManyQueries
from support.deadlines import DEADLINE
from support.in_process_server import serve_in_thread


@pytest.mark.parametrize(
    ("error", "status", "detail", "retry_after"),
    [
        (QueryTimeout("it takes too long"), 504, "it takes too long", None),
        (TooManyQueries("too many queries"), 503, "too many queries", "2"),
        (StoreUnavailable("the database is unavailable"), 503, "the database is unavailable: try again", "2"),
        (RuntimeError("a secret"), 500, "internal error: the server printed the traceback", None),
    ],
)
def test_exception_becomes_a_response(
    tmp_path: Path, error: Exception, status: int, detail: str, retry_after: str | None
) -> None:
    """The client gets a status, one line, and Retry-After if it may try again; a defect reveals nothing."""

    async def fail(*_: Any, **__: Any) -> None:
        raise error

    with serve_in_thread(tmp_path) as (port, state):
        state.reader.find = fail
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        connection.request("GET", "/logs")
        response = connection.getresponse()
        content = json.load(response)
        connection.close()

    assert (response.status, response.getheader("retry-after")) == (status, retry_after)
    assert content == {"detail": detail}

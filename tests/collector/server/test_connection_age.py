"""Connections to the server have a largest age, so that a balancer's new server gets its share."""

import http.client
import pathlib

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from concurrent_log.collector.server.connection_limits import LimitedProtocol
from support.deadlines import DEADLINE
from support.in_process_server import serve_in_thread


def test_old_connection_ends_with_its_next_answer(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is complete, stores the batch, and says that the connection ends; younger connections stay open."""
    now = [0.0]
    monkeypatch.setattr(LimitedProtocol, "clock", staticmethod(lambda: now[0]))
    with serve_in_thread(tmp_path) as (port, _):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        ends = []
        for now[0] in (0.0, 299.0, 300.0):
            connection.request("POST", "/logs", b'{"logs": [{}]}')
            response = connection.getresponse()
            assert (response.status, response.read()[:1]) == (200, b"{")
            ends.append(response.getheader("connection"))
        connection.close()

    assert ends == [None, None, "close"]

"""Senders of Elasticsearch, Loki and NDJSON send to the collector by a change of their address.

A proxy loses responses and refuses requests, as far as a sender repeats them: each record is stored once.
"""

import contextlib
import datetime
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.collector_server import Server
from support.deadlines import DEADLINE
from support.node import TOOLS
from support.paths import PROGRAMS
from support.processes import wait_until
from support.senders import run_sender, stored_numbers
from support.unreliable_proxy import UnreliableProxy

_STORES = pytest.mark.parametrize("server", ["sqlite", pytest.param("postgres", marks=pytest.mark.long)], indirect=True)
_COUNTS = pytest.mark.parametrize(
    "count", [pytest.param(2000, marks=pytest.mark.slow), pytest.param(10_000, marks=pytest.mark.long)]
)


@pytest.fixture(autouse=True)
def _packages(require: Callable[[str], None]) -> None:
    for name in ("asyncpg", "cramjam", "fastapi"):
        require(name)


def _assert_stored_once(server: Server, count: int) -> None:
    assert stored_numbers(server) == list(range(count))
    assert server.select("SELECT DISTINCT service, logger, level FROM logs") == [("shop", "shop.orders", "INFO")]


@_STORES
@_COUNTS
def test_bulk_helper_of_elasticsearch(server: Server, require: Callable[[str], None], count: int) -> None:
    """It repeats requests that were refused, and those without a response."""
    require("elasticsearch")
    with UnreliableProxy(server.port) as proxy:
        run_sender([sys.executable, str(PROGRAMS / "elasticsearch_sender.py"), proxy.url, str(count)])

        _assert_stored_once(server, count)
        assert min(proxy.counts["busy"], proxy.counts["drop"]) > 0


@_STORES
@pytest.mark.parametrize(
    "count", [pytest.param(200, marks=pytest.mark.slow), pytest.param(2000, marks=pytest.mark.long)]
)
def test_python_logging_loki(server: Server, require: Callable[[str], None], count: int) -> None:
    """It sends each record by itself, and repeats no request."""
    require("logging_loki")
    run_sender([sys.executable, str(PROGRAMS / "loki_sender.py"), server.url, str(count)])

    _assert_stored_once(server, count)
    [attributes] = server.select("SELECT DISTINCT attributes FROM logs")
    assert json.loads(attributes[0])["customer"] == "Ada"


@_STORES
@_COUNTS
def test_pino_loki(server: Server, program: Callable[[str], str], tools: Path, count: int) -> None:
    """It repeats no request. The fields of its lines are those of the records."""
    run_sender([program("node"), str(tools / "pino_loki_sender.mjs"), server.url, str(count)], TOOLS)

    _assert_stored_once(server, count)
    [attributes] = server.select("SELECT attributes FROM logs WHERE message = 'order 17 accepted'")
    assert json.loads(attributes[0])["number"] == 17


@_STORES
@_COUNTS
@pytest.mark.parametrize("form", ["protobuf", "json"])
@pytest.mark.parametrize("fault", ["busy", "drop"])
def test_winston_loki(
    server: Server, program: Callable[[str], str], tools: Path, form: str, fault: str, count: int
) -> None:
    """It repeats a request that failed after a minute, or at its end."""
    with UnreliableProxy(server.port, (fault, "pass")) as proxy:
        command = [program("node"), str(tools / "winston_loki_sender.mjs"), proxy.url, form, str(count)]
        run_sender(command, TOOLS)

        _assert_stored_once(server, count)
        assert proxy.counts[fault] == 1


@_STORES
@_COUNTS
def test_curl(server: Server, program: Callable[[str], str], tmp_path: Path, count: int) -> None:
    """Lines of JSON by curl, which repeats requests if it is told to."""
    time = datetime.datetime.now(datetime.timezone.utc).isoformat()
    record = {"timestamp": time, "service": "shop", "logger": "shop.orders"}
    lines = [json.dumps({**record, "message": f"order {number} accepted"}) for number in range(count)]
    (tmp_path / "lines.ndjson").write_text("\n".join(lines), encoding="utf-8")
    with UnreliableProxy(server.port, ("busy", "drop", "pass")) as proxy:
        retries = ["--fail", "--retry", "5", "--retry-all-errors", "--retry-delay", "1"]
        content = ["-H", "Content-Type: application/x-ndjson", "--data-binary", "@lines.ndjson"]
        run_sender([program("curl"), "--silent", *retries, *content, f"{proxy.url}/logs"], tmp_path)

        _assert_stored_once(server, count)
        assert proxy.counts == {"busy": 1, "drop": 1, "pass": 1}


_RSYSLOG = """
global(workDirectory="{folder}")
module(load="imptcp")
module(load="omelasticsearch")
template(name="ecs" type="list" option.jsonf="on") {{
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="log.level" name="syslogseverity-text" format="jsonf")
  property(outname="log.logger" name="app-name" format="jsonf")
  property(outname="host.name" name="hostname" format="jsonf")
  property(outname="service.name" name="programname" format="jsonf")
  property(outname="process.pid" name="procid" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
}}
template(name="id" type="string" string="%uuid%")
input(type="imptcp" path="{folder}/socket")
action(type="omelasticsearch" server="127.0.0.1" serverport="{port}" searchType="" bulkmode="on"
  {options} action.resumeRetryCount="-1" action.resumeInterval="1"
  queue.type="LinkedList" queue.dequeueBatchSize="500")
"""
_OWN_OPTIONS = 'template="ecs" bulkid="id" dynbulkid="on"'


@pytest.fixture
def rsyslog(program: Callable[[str], str], skip_or_fail: Callable[[str], None]) -> str:
    """Return the path of rsyslog; skip the test without its module for Elasticsearch."""
    if not list(Path("/usr/lib").glob("*/rsyslog/omelasticsearch.so")):
        skip_or_fail("omelasticsearch is not installed: apt-get install rsyslog-elasticsearch")
    return program("rsyslogd")


@contextlib.contextmanager
def _run_rsyslog(path: str, folder: Path, port: int, options: str) -> Iterator[socket.socket]:
    """Run rsyslog until the end of the block, with a connection to it."""
    config = folder / "rsyslog.conf"
    config.write_text(_RSYSLOG.format(folder=folder, port=port, options=options), encoding="utf-8")
    process = subprocess.Popen([path, "-n", "-f", str(config), "-i", str(folder / "pid")])
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(DEADLINE)
            wait_until(lambda: connection.connect_ex(str(folder / "socket")) == 0)
            yield connection
    finally:
        process.terminate()
        process.wait(DEADLINE)


@_STORES
@_COUNTS
@pytest.mark.parametrize("options", [_OWN_OPTIONS, ""], ids=["ECS", "template of rsyslog"])
def test_rsyslog(server: Server, rsyslog: str, tmp_path: Path, options: str, count: int) -> None:
    """It repeats requests without a response, not those that were refused.

    After five on one connection it gives up, and sends each record by itself: as these are other requests, there are
    fewer here.
    """
    begin = datetime.datetime.now(datetime.timezone.utc)
    times = [(begin + datetime.timedelta(microseconds=number)).isoformat() for number in range(count)]
    lines = [f"<14>{time} web-1 shop[17]: order {number} accepted\n" for number, time in enumerate(times)]
    with UnreliableProxy(server.port, ("pass", "drop", *["pass"] * 8)) as proxy:
        with _run_rsyslog(rsyslog, tmp_path, int(proxy.url.rpartition(":")[2]), options) as connection:
            connection.sendall("".join(lines).encode())
            wait_until(lambda: server.count() >= count)

        assert stored_numbers(server) == list(range(count))
        assert proxy.counts["drop"] > 0
    assert server.select("SELECT DISTINCT level, host FROM logs") == [("INFO", "web-1")]

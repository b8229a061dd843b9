"""Client and server together, in separate processes: each logged record is in the database once."""

import json
import logging
import math
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from support.fake_collector import DEADLINE, is_half_written
from support.processes import environment

pytest.importorskip("msgspec", reason="msgspec is not installed: pip install msgspec")
pytest.importorskip("urllib3", reason="urllib3 is not installed: pip install urllib3")
pytest.importorskip("tenacity", reason="tenacity is not installed: pip install tenacity")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from concurrent_log.collector import CollectorHandler
from concurrent_log.collector.client.batch import OutgoingBatch
from concurrent_log.collector.client.losses import Losses
from concurrent_log.collector.client.sender import Sender
from concurrent_log.collector.client.settings import ClientSettings
from concurrent_log.collector.client.wire.collector import CollectorFormat
from concurrent_log.collector.client.worker import SendWorker
from support.collector_server import Server

_TOKEN = "a-secret-of-the-tests"


@pytest.fixture
def logger() -> logging.Logger:
    """Return a new logger."""
    return logging.Logger("shop.orders", logging.DEBUG)


def test_record_arrives_with_all_fields(tmp_path: Path, database: str, logger: logging.Logger) -> None:
    """A query returns all fields of the logging call."""
    with Server(tmp_path, database, variables={"CONCURRENT_LOG_TOKEN": _TOKEN}) as server:
        handler = CollectorHandler(
            server.url, service="shop", environment="production", service_version="1.2", token=_TOKEN
        )
        logger.addHandler(handler)
        values = {"customer": "Ada", "amount": Decimal("1.10"), "ratio": math.nan, "tags": {"new"}, "half": "\ud800"}
        try:
            raise LookupError("no such order")
        except LookupError:
            logger.exception("order %d", 17, extra={**values, "trace_id": "t1", "user_id": 5})
        assert handler.flush(DEADLINE)
        handler.close()
        headers = {"Authorization": f"Bearer {_TOKEN}"}
        (summary,) = server.get("/logs", **headers)["logs"]
        record = server.get(f"/logs/{summary['id']}", **headers)

    known = ("level", "message", "service", "environment", "service_version", "logger", "error_type", "trace_id")
    expected = ["ERROR", "order 17", "shop", "production", "1.2", "shop.orders", "LookupError", "t1"]
    assert [record[name] for name in known] == expected
    assert record["user_id"] == "5"
    assert record["stack_trace"].endswith("LookupError: no such order")
    assert record["function_name"] == "test_record_arrives_with_all_fields"
    assert record["attributes"] == {
        "customer": "Ada",
        "amount": "1.10",
        "ratio": "nan",
        "tags": ["new"],
        "half": "\\ud800",
    }


@pytest.mark.slow
def test_all_records_of_a_large_burst_are_stored(tmp_path: Path, database: str, logger: logging.Logger) -> None:
    """50,000 records, logged as fast as possible; log-collector-async loses almost half of them."""
    count = 50_000
    with Server(tmp_path, database) as server:
        handler = CollectorHandler(server.url)
        logger.addHandler(handler)
        for number in range(count):
            logger.info("record %d", number)
        assert handler.flush(DEADLINE)
        handler.close()

        assert handler.stats().dropped == {}
        assert server.select("SELECT count(*), count(DISTINCT message) FROM logs") == [(count, count)]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by signals")
@pytest.mark.parametrize("rounds", [3, pytest.param(60, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
def test_kills_of_client_and_server_lose_nothing_and_store_nothing_twice(
    tmp_path: Path, database: str, rounds: int
) -> None:
    """Both are killed at random moments under load; no logged record is missing, and none is stored twice."""
    chance = random.Random(rounds)
    program = """
import logging, os, sys, time
from concurrent_log.collector import CollectorHandler
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)
logger.addHandler(CollectorHandler(sys.argv[1], spool_directory="spool", flush_interval=0.02, batch_size=50))
for number in range(int(sys.argv[3])):
    logger.info("%s %d", sys.argv[2], number)
    os.write(1, b"%d\\n" % number)
    time.sleep(0.0005)
logger.handlers[0].flush(100)
"""
    logged: Counter[str] = Counter()
    with Server(tmp_path, database) as server:
        for turn in range(rounds):
            command = [sys.executable, "-c", program, server.url, f"round{turn}", "1000000"]
            client = subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE)
            assert client.stdout is not None
            client.stdout.readline()
            time.sleep(chance.uniform(0, 0.5))
            server.kill()
            time.sleep(chance.uniform(0, 0.2))
            server.start()
            time.sleep(chance.uniform(0, 0.5))
            client.send_signal(signal.SIGKILL)
            lines = client.communicate(timeout=DEADLINE)[0].splitlines()
            logged[f"round{turn}"] = int(lines[-1]) if lines else 0
        last = [sys.executable, "-c", program, server.url, "last", "1"]
        subprocess.run(last, cwd=tmp_path, env=environment(), check=True, timeout=DEADLINE, stdout=subprocess.DEVNULL)
        stored = Counter(message for (message,) in server.select("SELECT message FROM logs"))

    assert [text for text, times in stored.items() if times > 1] == []
    assert {f"{source} {n}" for source, end in logged.items() for n in range(end + 1)} - stored.keys() == set()
    assert stored["last 0"] == 1
    assert [path for path in (tmp_path / "spool").iterdir() if not is_half_written(path)] == []


@pytest.mark.slow
def test_stored_batch_is_stored_once_after_the_limit_decreased(tmp_path: Path, database: str) -> None:
    """The response is lost when the server stops; restarted with a lower limit, it refuses the batch."""
    records = [b'{"message":"record %d"}' % number for number in range(200)]
    batch = OutgoingBatch("batch-1", b"{}", records)
    with Server(tmp_path, database) as server:
        server.send([json.loads(record) for record in records], batch_id="batch-1")
    with Server(tmp_path, database, "--max-body", "2000") as server:
        losses = Losses(lambda: None)
        worker = SendWorker(ClientSettings(url=server.url))
        sender = Sender(ClientSettings(url=server.url, compress_from=None), CollectorFormat("c"), losses, worker)
        assert sender.deliver(batch)
        sender.close()

        assert sender.acknowledged == 200
        assert losses.totals() == {}
        assert server.select("SELECT count(*), count(DISTINCT message) FROM logs") == [(200, 200)]


@pytest.mark.slow
def test_server_started_after_the_client_gets_everything(
    tmp_path: Path, database: str, logger: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    """An outage within the limits of the queue loses nothing."""
    with Server(tmp_path, database) as server:
        server.stop()
        handler = CollectorHandler(server.url)
        logger.addHandler(handler)
        for number in range(2000):
            logger.info("record %d", number)
        assert not handler.flush(0.5)
        server.start()
        assert handler.flush(DEADLINE)
        handler.close()

        assert server.select("SELECT count(*), count(DISTINCT message) FROM logs") == [(2000, 2000)]

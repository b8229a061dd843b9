"""Reconfigurations while records wait for the collector: none waits for the network, and nothing is lost."""

import sys
import textwrap
import time
from collections import Counter
from pathlib import Path
from subprocess import run

import pytest

from support.deadlines import DEADLINE
from support.fake_collector import Collector
from support.processes import environment

pytest.importorskip("msgspec")
pytest.importorskip("urllib3")
pytest.importorskip("tenacity")

_PROGRAM = """
import logging, logging.config, os, sys, time
from concurrent_log.collector import CollectorHandler

options = {"flush_interval": 0.01, "batch_size": 10, "stop_timeout": 30.0}
if sys.argv[1] == "spool":
    options["spool_directory"] = "spool"
handler = CollectorHandler(os.environ["COLLECTOR_URL"], **options)
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)
logger.propagate = False
logger.addHandler(handler)
for number in range(50):
    logger.info("main %d", number)
began = time.monotonic()
CLOSE
print(time.monotonic() - began)
"""
_WAYS = {
    "dictConfig": "logging.config.dictConfig({'version': 1})",
    "close and flush under the lock": "with logging._lock: handler.flush(); handler.close()",
    "basicConfig": "logging.root.addHandler(handler); logging.basicConfig(force=True, handlers=[])",
}


def reconfigure(folder: Path, mode: str, way: str) -> tuple[float, str]:
    """Run a program that closes its handler and ends; return the seconds of the closing, and what it prints."""
    program = textwrap.dedent(_PROGRAM).replace("CLOSE", _WAYS[way])
    done = run(
        [sys.executable, "-c", program, mode],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=DEADLINE, check=True,
    )  # fmt: skip
    return float(done.stdout), done.stderr


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize("mode", ["memory", "spool"])
def test_healthy_server_gets_everything(tmp_path: Path, collector: Collector, mode: str, way: str) -> None:
    """The thread goes on after the reconfiguration, and the exit waits for it."""
    _, errors = reconfigure(tmp_path, mode, way)

    assert Counter(collector.messages) == Counter(f"main {number}" for number in range(50))
    assert errors == ""


@pytest.mark.parametrize("mode", ["memory", "spool"])
def test_slow_server_gets_everything_and_stalls_nothing(tmp_path: Path, collector: Collector, mode: str) -> None:
    """P8: each of the batches takes a while; the reconfiguration does not wait for one of them."""

    def behave(_: object) -> None:
        time.sleep(0.5)

    collector.behave = behave
    seconds, errors = reconfigure(tmp_path, mode, "dictConfig")

    assert Counter(collector.messages) == Counter(f"main {number}" for number in range(50))
    assert errors == ""
    assert seconds < 2  # All batches take at least 2.5 seconds.


@pytest.mark.parametrize("mode", ["memory", "spool"])
def test_unreachable_server_stalls_nothing(tmp_path: Path, collector: Collector, mode: str) -> None:
    """P8: the exit makes the last attempt, and reports once how many records are not sent."""
    collector.stop()
    seconds, errors = reconfigure(tmp_path, mode, "dictConfig")

    assert errors.count("50 records") == 1
    assert seconds < 10  # `stop_timeout` is 30 seconds.

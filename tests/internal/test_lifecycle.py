"""Forks: no thread of this package runs while its process forks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.background_programs import DEADLINE
from support.processes import environment

# Python 3.12 and later warn of a fork beside threads. Before 3.15 such a warning never becomes an exception, so it is
# collected and printed.
_PROGRAM = """
import logging, os, sys, threading, warnings

from concurrent_log import ConcurrentRotatingFileHandler
from concurrent_log.background import BackgroundHandler
from concurrent_log.internal import lifecycle

lifecycle._PARK_TIMEOUT = 30  # seconds, for a busy machine
seen = []
warnings.simplefilter("always")
warnings.showwarning = lambda message, *rest: seen.append(str(message))
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)

def attach():
    if sys.argv[1] == "gzip":
        return ConcurrentRotatingFileHandler("app.log", maxBytes=20_000_000, backupCount=3, use_gzip=True)
    if sys.argv[1] == "collector":
        from concurrent_log.collector import CollectorHandler
        from concurrent_log.collector.client import worker
        worker.SendWorker.park_timeout = 30
        return CollectorHandler("http://127.0.0.1:9", spool_directory="spool")
    return BackgroundHandler([ConcurrentRotatingFileHandler("app.log")], worker=sys.argv[1])

handler = attach()
logger.addHandler(handler)
begun = 0
for number in range(30):
    logger.info("%d %s", number, "x" * (19_000_000 if number < 2 and sys.argv[1] == "gzip" else 10))
    begun += threading.active_count() > 1
    child = os.fork()
    if child == 0:
        os._exit(threading.active_count() > 1)
    assert os.waitpid(child, 0)[1] == 0
assert begun, "no thread was running before any of the forks"
print(seen)
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
@pytest.mark.parametrize("way", ["gzip", "thread", "process", "collector"])
def test_fork_meets_no_thread_of_a_handler(way: str, tmp_path: Path) -> None:
    """P8: a program that forks while a handler works in the background is not warned of several threads."""
    if way == "collector":
        for module in ("msgspec", "tenacity", "urllib3"):
            pytest.importorskip(module)
    run = subprocess.run(
        [sys.executable, "-c", _PROGRAM, way],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=DEADLINE,
    )  # fmt: skip

    assert run.stdout == "[]\n", run.stderr
    assert run.returncode == 0

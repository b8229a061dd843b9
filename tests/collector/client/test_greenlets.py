"""`CollectorHandler` and `AsyncLogClient` in processes that gevent or eventlet has patched."""

import importlib.util
from collections import Counter
from pathlib import Path

import pytest

from support.fake_collector import Collector
from support.processes import run
from support.programs.runtimes import WAYS

pytest.importorskip("msgspec")
pytest.importorskip("urllib3")
pytest.importorskip("tenacity")

_START = """
import sys
from runtimes import count_turns, enter

library, when, url = sys.argv[1:]
enter(library, when)
import logging, os
from concurrent_log.collector import AsyncLogClient, CollectorHandler
green = sys.modules[library]
handler = CollectorHandler(url, service="shop", flush_interval=0.05, stop_timeout=60)
client = AsyncLogClient(url, "shop", flush_interval=0.05, env_file=None, stop_timeout=60)
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)
logger.addHandler(handler)

def log(source, count):
    for number in range(count):
        logger.info("%s %d", source, number)
        client.info(f"{source} {number}")
        green.sleep(0.001)

def wait_for(greenlets):
    for greenlet in greenlets:
        greenlet.get() if library == "gevent" else greenlet.wait()
"""


def _run(folder: Path, program: str, library: str, when: str, collector: Collector) -> str:
    if importlib.util.find_spec(library) is None:  # An import of eventlet makes each later fork warn.
        pytest.skip(f"{library} is not installed: pip install {library}")
    return run(folder, "-c", _START + program, library, when, collector.url)


@pytest.mark.parametrize(("library", "when"), WAYS)
def test_records_of_greenlets_arrive_once(library: str, when: str, slow_collector: Collector, tmp_path: Path) -> None:
    """P1, P8: however the process was patched; a flush and a close stop no other greenlet."""
    output = _run(
        tmp_path,
        """
wait_for([green.spawn(log, source, 50) for source in "abcd"])
print(count_turns(lambda: handler.flush() and client.flush(), library) > 10)
log("last", 1)
print(count_turns(lambda: (handler.close(), client.close()), library) > 10)
log("late", 1)
        """,
        library,
        when,
        slow_collector,
    )
    expected = [f"{source} {number}" for source in "abcd" for number in range(50)] + ["last 0", "late 0"]

    assert output == "True\nTrue\n"
    assert Counter(slow_collector.messages) == dict.fromkeys(expected, 2)


@pytest.mark.parametrize(("library", "when"), WAYS)
def test_fork_of_patched_process_loses_no_record(
    library: str, when: str, slow_collector: Collector, tmp_path: Path
) -> None:
    """P1, P8: each thread has a connection of its own, and leaves no descriptor when it ends."""
    output = _run(
        tmp_path,
        """
log("start", 1)
handler.flush(), client.flush()
opened = len(os.listdir("/proc/self/fd"))
for turn in range(4):
    log(f"parent-{turn}", 5)
    handler.flush(), client.flush()
    log(f"parent-{turn}-queued", 5)
    child = os.fork()
    if child == 0:
        log(f"child-{turn}", 5)
        handler.close(), client.close()
        os._exit(0)
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        green.sleep(0.01)
handler.flush(), client.flush()
print(len(os.listdir("/proc/self/fd")) <= opened + 4)
handler.close(), client.close()
        """,
        library,
        when,
        slow_collector,
    )
    sources = [f"{source}-{turn}" for turn in range(4) for source in ("parent", "child")]
    sources += [f"parent-{turn}-queued" for turn in range(4)]
    expected = [f"{source} {number}" for source in sources for number in range(5)]

    assert output == "True\n"
    assert Counter(slow_collector.messages) == dict.fromkeys(["start 0", *expected], 2)

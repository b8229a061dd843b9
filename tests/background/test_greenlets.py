"""`BackgroundHandler` in processes that gevent or eventlet has patched."""

import importlib.util
from pathlib import Path

import pytest

from support.processes import run
from support.programs.runtimes import WAYS
from support.records import lines

_START = """
import sys
from runtimes import block_thread, count_turns, enter

library, when = sys.argv[1:]
enter(library, when)
import logging, os, time
from concurrent_log import ConcurrentRotatingFileHandler
from concurrent_log.background import BackgroundHandler
green = sys.modules[library]
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)

class Slow(logging.FileHandler):
    def emit(self, record):
        block_thread(0.02)  # a slow disk
        logging.getLogger(f"library.{record.created}").debug("looks up a logger")
        super().emit(record)

def attach(*handlers, **options):
    handler = BackgroundHandler(handlers, stop_timeout=60, **options)
    logger.handlers = [handler]
    return handler

def log(source, count):
    for number in range(count):
        logger.info("%s %d", source, number)
        green.sleep(0)

def wait_for(greenlets):
    for greenlet in greenlets:
        greenlet.get() if library == "gevent" else greenlet.wait()
"""

_parametrize = pytest.mark.parametrize(("library", "when"), WAYS)


def _run(folder: Path, program: str, library: str, when: str) -> str:
    if importlib.util.find_spec(library) is None:  # An import of eventlet makes each later fork warn.
        pytest.skip(f"{library} is not installed: pip install {library}")
    return run(folder, "-c", _START + program, library, when)


@pytest.mark.parametrize("worker", ["thread", "process"])
@_parametrize
def test_records_of_greenlets_are_written_once(library: str, when: str, worker: str, tmp_path: Path) -> None:
    """P1, P8: however the process was patched, also if greenlets write the same file directly."""
    _run(
        tmp_path,
        f"""
file = ConcurrentRotatingFileHandler("app.log")
handler = attach(file, worker="{worker}")
logging.getLogger("direct").addHandler(file)

def log_both(source):
    for number in range(50):
        logger.info("%s %d", source, number)
        logging.getLogger("direct").warning("direct %s %d", source, number)
        green.sleep(0.001)

wait_for([green.spawn(log_both, source) for source in "abcd"])
handler.close()
logger.info("after the end 0")
        """,
        library,
        when,
    )

    expected = [f"{way}{source} {number}" for way in ("", "direct ") for source in "abcd" for number in range(50)]
    assert sorted(lines(tmp_path / "app.log")) == sorted([*expected, "after the end 0"])


@_parametrize
def test_waiting_for_slow_disk_lets_greenlets_run(library: str, when: str, tmp_path: Path) -> None:
    """P8: a full queue, a flush and a close stop the greenlet that waits, and no other."""
    output = _run(
        tmp_path,
        """
handler = attach(Slow("app.log"), capacity=5)
print("full", count_turns(lambda: log("a", 20), library) > 30)
print("flush", count_turns(lambda: handler.flush(), library) > 10)
log("b", 5)
print("close", count_turns(lambda: handler.close(), library) > 10)
        """,
        library,
        when,
    )

    assert output == "full True\nflush True\nclose True\n"
    assert lines(tmp_path / "app.log") == [f"a {n}" for n in range(20)] + [f"b {n}" for n in range(5)]


@_parametrize
def test_thread_and_greenlets_that_want_the_same_locks_do_not_hang(library: str, when: str, tmp_path: Path) -> None:
    """P8: the thread looks up loggers and writes; greenlets look up loggers, write through its handler, reconfigure."""
    _run(
        tmp_path,
        """
import logging.config

class Lookup(logging.FileHandler):
    def emit(self, record):
        logging.getLogger(f"library.{record.created}").isEnabledFor(logging.DEBUG)
        super().emit(record)

file = Lookup("app.log")
attach(file)
logging.getLogger("direct").addHandler(file)

def work(source):
    for number in range(100):
        logger.info("%s %d", source, number)
        logging.getLogger("direct").warning("direct %s %d", source, number)
        logging.getLogger(f"other.{source}.{number}").isEnabledFor(logging.INFO)
        if number % 20 == 0:
            logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "incremental": True})
        green.sleep(0)

wait_for([green.spawn(work, source) for source in "abcdef"])
logging.shutdown()
        """,
        library,
        when,
    )

    assert len(set(lines(tmp_path / "app.log"))) == len(lines(tmp_path / "app.log")) == 1200


@_parametrize
def test_fork_of_patched_process_loses_no_record(library: str, when: str, tmp_path: Path) -> None:
    """P1, P8: parent and child go on, each with a thread of its own."""
    _run(
        tmp_path,
        """
file = ConcurrentRotatingFileHandler("app.log")
handler = attach(file)
for turn in range(5):
    log(f"parent-{turn}", 10)
    child = os.fork()
    if child == 0:
        log(f"child-{turn}", 10)
        handler.close()
        os._exit(0)
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        green.sleep(0.01)
handler.close()
        """,
        library,
        when,
    )

    expected = [f"{who}-{turn} {number}" for who in ("parent", "child") for turn in range(5) for number in range(10)]
    assert sorted(lines(tmp_path / "app.log")) == sorted(expected)


@_parametrize
def test_process_that_is_patched_while_its_thread_works(library: str, when: str, tmp_path: Path) -> None:
    """P1, P8: a worker of gunicorn logs that it boots, and then patches."""
    if when == "before":
        pytest.skip("the process is patched already")
    if importlib.util.find_spec(library) is None:  # An import of eventlet makes each later fork warn.
        pytest.skip(f"{library} is not installed: pip install {library}")
    run(
        tmp_path,
        "-c",
        f"""
import sys
from runtimes import block_thread, enter, patch
enter("none", "{when}")
{_START.partition("enter(library, when)")[2].replace("green = sys.modules[library]", "")}
library = "{library}"
handler = attach(Slow("app.log"))
for number in range(5):
    logger.info("early %d", number)
block_thread(0.02)
patch(library)
green = sys.modules[library]
wait_for([green.spawn(log, source, 10) for source in "ab"])
handler.close()
        """,
    )

    expected = [f"early {n}" for n in range(5)] + [f"{source} {n}" for source in "ab" for n in range(10)]
    assert sorted(lines(tmp_path / "app.log")) == sorted(expected)

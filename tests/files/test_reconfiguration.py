"""Programs that configure logging again and again: descriptors, threads and handlers stay as many as they were."""

from pathlib import Path
from typing import Any

import pytest

from support.deadlines import DEADLINE
from support.processes import run
from support.records import files

pytestmark = [
    pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="this platform does not list open descriptors"),
    pytest.mark.parametrize("times", [100, pytest.param(10_000, marks=pytest.mark.long)]),
]

# Counts after the first configuration and after the last one, when all records are written.
_PROGRAM = """
import gc, logging, logging.config, os, sys, threading, time
from concurrent_log import BackgroundHandler, ConcurrentRotatingFileHandler, ConcurrentTimedRotatingFileHandler
from concurrent_log.files.lock_file import _registry
logger = logging.getLogger("shop")
logger.setLevel("INFO")
def counts():
    gc.collect()
    return {{
        "descriptors": len(os.listdir("/dev/fd")),
        "threads": threading.active_count(),
        "registered handlers": len(logging._handlerList),
        "named handlers": len(logging._handlers),
        "lock files": len(_registry),
    }}
{configure}
def flush():
    for handler in logger.handlers:
        handler.flush()
configure()
logger.info("0")
flush()
before = counts()
for number in range(1, int(sys.argv[1])):
    configure()
    logger.info("%d", number)
flush()
# A thread that wrote the last records of its handler ends by itself, a moment later.
give_up_at = time.monotonic() + {deadline}
while (after := counts()) != before and time.monotonic() < give_up_at:
    time.sleep(0.01)
logging.shutdown()
assert after == before, (before, after)
"""


def _assert_counts_stay(folder: Path, configure: str, times: int) -> None:
    run(folder, "-c", _PROGRAM.format(configure=configure, deadline=DEADLINE / 2), str(times))

    # A closed background handler and its successor write at the same time if the former takes longer than a second.
    found = {name: sorted(lines, key=int) for name, lines in files(folder).items()}
    assert found == {f"{name}.log": [str(number) for number in range(times)] for name in ("time", "size")}


def _with_dict(handlers: dict[str, Any], used: list[str]) -> str:
    logger = {"handlers": used, "level": "INFO", "propagate": False}
    configuration = {"version": 1, "disable_existing_loggers": False, "handlers": handlers, "loggers": {"shop": logger}}
    return f"def configure():\n    logging.config.dictConfig({configuration!r})\n"


_TIME = {"class": "concurrent_log.ConcurrentTimedRotatingFileHandler", "filename": "time.log", "use_gzip": True}
_SIZE = {"class": "concurrent_log.ConcurrentRotatingFileHandler", "filename": "size.log", "maxBytes": 10**7}
_BACKGROUND = {"class": "concurrent_log.BackgroundHandler", "handlers": ["time", "size"]}


def test_file_handlers(tmp_path: Path, times: int) -> None:
    """``dictConfig`` closes the handlers of the configuration before."""
    _assert_counts_stay(tmp_path, _with_dict({"time": _TIME, "size": _SIZE}, ["time", "size"]), times)


def test_background_handler(tmp_path: Path, times: int) -> None:
    """The thread ends with the configuration, after it has written all of its records."""
    configure = _with_dict({"time": _TIME, "size": _SIZE, "zz": _BACKGROUND}, ["zz"])
    _assert_counts_stay(tmp_path, configure, times)


def test_handlers_that_are_replaced_without_a_close(tmp_path: Path, times: int) -> None:
    """``logger.handlers = [...]``, as test suites and notebooks do: the old ones are dropped, not closed."""
    configure = """
def configure():
    logger.handlers = [
        ConcurrentTimedRotatingFileHandler("time.log", use_gzip=True),
        ConcurrentRotatingFileHandler("size.log", maxBytes=10**7),
    ]
"""
    _assert_counts_stay(tmp_path, configure, times)


def test_basic_config_with_force(tmp_path: Path, times: int) -> None:
    """``basicConfig(force=True)`` closes the handlers of the root logger."""
    configure = """
def configure():
    by_time, by_size = ConcurrentTimedRotatingFileHandler("time.log"), ConcurrentRotatingFileHandler("size.log")
    logging.basicConfig(force=True, handlers=[by_time, by_size], format="%(message)s")
"""
    _assert_counts_stay(tmp_path, configure, times)

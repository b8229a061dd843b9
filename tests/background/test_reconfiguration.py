"""Reconfigurations while records are queued: none waits for the worker, nothing is lost, nothing is leaked."""

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from support.background_programs import numbered, read_log, run

# Handlers whose ``emit`` needs the lock of `logging`, which a reconfiguration holds, or takes long.
_TARGETS = {
    "looks up a logger": 'logging.getLogger(f"library.{next(numbers)}").debug("connecting")',
    "logs to a new logger": 'logging.getLogger(f"library.{next(numbers)}").warning("connecting")',
    "imports a module": 'open(f"lazy{next(numbers)}.py", "w").write(LAZY); importlib.invalidate_caches(); '
    'importlib.import_module(f"lazy{next(numbers) - 1}")',
    "sleeps": 'time.sleep(0.01); logging.getLogger(f"library.{next(numbers)}")',
    "creates a handler": "logging.StreamHandler()",
}
_QUICK = ("looks up a logger", "sleeps")  # the full selection has all
_needs_lock = pytest.mark.parametrize(
    "target", [pytest.param(each, marks=() if each in _QUICK else pytest.mark.slow) for each in _TARGETS]
)

_BEGINNING = """
import importlib, itertools, faulthandler
sys.path.insert(0, "")
faulthandler.dump_traceback_later(100, exit=True)
numbers = itertools.count()
LAZY = "import logging; logger = logging.getLogger(__name__); logger.debug('imported')"

class Needy(ConcurrentTimedRotatingFileHandler):
    emit_batch = None
    def emit(self, record):
        EMIT
        super().emit(record)

class NeedyPlain(logging.FileHandler):
    def emit(self, record):
        EMIT
        super().emit(record)

def configuration(kind="Needy", **options):
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {
            "background": {"class": "concurrent_log.BackgroundHandler", "handlers": ["file"], **options},
            "file": {"()": {"Needy": Needy, "NeedyPlain": NeedyPlain}[kind], "filename": "app.log"},
        },
        "loggers": {"app": {"level": "INFO", "handlers": ["background"], "propagate": False}},
    }

def wait_for(condition):
    give_up_at = time.monotonic() + 90
    while not condition() and time.monotonic() < give_up_at:
        time.sleep(0.01)
    return condition()

def descriptors():
    names = os.listdir("/proc/self/fd") if sys.platform == "linux" else []
    links = [os.path.realpath(f"/proc/self/fd/{name}") for name in names]
    return sum(link.endswith("app.log") for link in links)

def is_quiet():
    logging.getLogger("app").handlers.clear()
    gc.collect()
    return threading.active_count() == 1 and descriptors() == 0
"""


def reconfigure(folder: Path, target: str, text: str) -> list[str]:
    """Run a program whose handlers write ``app.log``; return what it prints. It must print no error."""
    done = run(folder, _BEGINNING.replace("EMIT", _TARGETS[target]) + text)

    assert "records were not" not in done.stderr
    assert "Logging error" not in done.stderr
    return done.stdout.splitlines()


_WAYS = {
    "dictConfig": "logging.config.dictConfig({'version': 1, 'disable_existing_loggers': False})",
    "dictConfig of the same file": "logging.config.dictConfig(configuration())",
    "basicConfig": "logging.root.handlers = logger.handlers; logging.basicConfig(force=True, handlers=[])",
    "shutdown": "logging.shutdown()",
    "shutdown under the lock": "with logging._lock: logging.shutdown()",
    "removeHandler and close": "handler = logger.handlers[0]; logger.removeHandler(handler); handler.close()",
    "close under the lock": "\nwith logging._lock: logger.handlers[0].flush(); logger.handlers[0].close()",
    "close in a thread that holds the lock of the handler that writes": (
        "\nhandler = logger.handlers[0]\nwith handler._handlers[0].lock: handler.close()"
    ),
}


@pytest.mark.parametrize("way", _WAYS)
@_needs_lock
def test_queued_records_are_written_whatever_the_handler_needs(tmp_path: Path, target: str, way: str) -> None:
    """P1, P8: the worker of a handler that was closed with logging's lock held goes on, and closes its files."""
    text = f"""
logging.config.dictConfig(configuration())
log("main", 20)
{_WAYS[way]}
print(wait_for(lambda: len(open("app.log").readlines()) == 20), flush=True)
logging.config.dictConfig({{"version": 1, "disable_existing_loggers": False}})
logger = None
print(wait_for(is_quiet) or [threading.enumerate(), descriptors()])
"""
    result = reconfigure(tmp_path, target, text)

    assert result[0] == "True"
    assert read_log(tmp_path) == numbered("main", 20)
    if way != "basicConfig":  # It closes the background handler only, so that the program may use its file further.
        assert result[1] == "True"


@pytest.mark.parametrize("kind", ["Needy", "NeedyPlain"])
@pytest.mark.parametrize("target", ["looks up a logger", "sleeps"])
def test_reconfigurations_in_a_loop_under_load_lose_nothing(tmp_path: Path, target: str, kind: str) -> None:
    """P1, P8: four threads log meanwhile, and two threads reconfigure at once."""
    text = f"""
class Unhandled(logging.Handler):
    def emit(self, record):
        missed.append(record.getMessage())

def work(source):
    number = 0
    while not stopped.is_set() and number < 2000:
        logging.getLogger("app").info("%s %d", source, number)
        number += 1
        time.sleep(0.002)
    print(f"{{source}} {{number}}\\n", end="")  # in one piece: other threads print, too

def reconfigure():
    for _ in range(15):
        logging.config.dictConfig(configuration({kind!r}, capacity=20))
        time.sleep(0.01)

logging.lastResort = Unhandled()
stopped, missed = threading.Event(), []
logging.config.dictConfig(configuration({kind!r}))
workers = [threading.Thread(target=work, args=(source,)) for source in "abcd"]
reconfigurers = [threading.Thread(target=reconfigure) for _ in "xy"]
for thread in workers + reconfigurers:
    thread.start()
for thread in reconfigurers:
    thread.join()
stopped.set()
for thread in workers:
    thread.join()
logging.config.dictConfig({{"version": 1, "disable_existing_loggers": False}})
logger = None
print("quiet", wait_for(is_quiet) or [threading.enumerate(), descriptors()])
print("missed", *missed, sep="\\n")
"""
    *state, _ = output = reconfigure(tmp_path, target, text)
    missed = output[output.index("missed") + 1 :]
    counts = dict(line.split(maxsplit=1) for line in output[: output.index("missed")])

    assert counts.pop("quiet") == "True", state
    assert Counter(read_log(tmp_path)) + Counter(missed) == Counter(
        line for source, count in counts.items() for line in numbered(source, int(count))
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
@_needs_lock
def test_reconfiguration_in_a_forked_child_loses_nothing(tmp_path: Path, target: str) -> None:
    """P1, P8: the child of a program with queued records reconfigures, logs, and reconfigures again."""
    text = """
logging.config.dictConfig(configuration())
log("parent", 20)
faulthandler.cancel_dump_traceback_later()  # The exit of the child would wait for its thread.
child = os.fork()
if child == 0:
    logging.config.dictConfig(configuration())
    log("child", 20)
    logging.config.dictConfig(configuration())
    log("later", 20)
    sys.exit()  # This runs the exit callbacks.
os.waitpid(child, 0)
"""
    reconfigure(tmp_path, target, text)

    expected = [*numbered("parent", 20), *numbered("child", 20), *numbered("later", 20)]
    assert Counter(read_log(tmp_path)) == Counter(expected)


def test_records_after_logging_shutdown_are_written_and_leak_nothing(tmp_path: Path) -> None:
    """P1, P8: the file is opened for such a record, and closed again."""
    text = """
logging.config.dictConfig(configuration())
log("before", 20)
logging.shutdown()
log("after", 20)
print(len(open("app.log").readlines()), descriptors())
with logging._lock:
    log("inside", 5)
print(wait_for(lambda: len(open("app.log").readlines()) == 45 and descriptors() == 0))
"""
    result = reconfigure(tmp_path, "looks up a logger", text)

    assert result == ["40 0", "True"]
    assert read_log(tmp_path) == numbered("before", 20) + numbered("after", 20) + numbered("inside", 5)


def test_exit_waits_for_the_worker_of_a_closed_handler(tmp_path: Path) -> None:
    """P1: the program ends right after the reconfiguration."""
    text = """
logging.config.dictConfig(configuration())
log("main", 50)
logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
"""
    reconfigure(tmp_path, "sleeps", text)

    assert read_log(tmp_path) == numbered("main", 50)


def test_full_queue_does_not_block_a_thread_that_holds_the_lock_of_logging(tmp_path: Path) -> None:
    """P8: the worker needs that lock to make room: a handler's constructor logs inside dictConfig, for example."""
    text = """
logging.config.dictConfig(configuration(capacity=5))
with logging._lock:
    log("main", 50)
logger.handlers[0].flush()
"""
    reconfigure(tmp_path, "looks up a logger", text)

    assert read_log(tmp_path) == numbered("main", 50)


def test_handler_that_writes_from_the_start_keeps_its_records(tmp_path: Path) -> None:
    """P1: a standard handler with the mode ``w`` writes nothing after it is closed, so the worker closes it."""
    text = """
logging.config.dictConfig({
    "version": 1,
    "handlers": {
        "file": {"class": "logging.FileHandler", "filename": "app.log", "mode": "w"},
        "background": {"class": "concurrent_log.BackgroundHandler", "handlers": ["file"]},
    },
    "loggers": {"app": {"level": "INFO", "handlers": ["background"]}},
})
log("main", 50)
logging.config.dictConfig({"version": 1})
print(wait_for(lambda: len(open("app.log").readlines()) == 50))
"""
    result = reconfigure(tmp_path, "looks up a logger", text)

    assert result == ["True"]
    assert read_log(tmp_path) == numbered("main", 50)


@pytest.mark.skipif(sys.platform == "win32", reason="the listener of logging.config is tested where signals exist")
def test_configuration_from_a_socket_loses_nothing(tmp_path: Path) -> None:
    """P1, P8: `logging.config.listen` configures in a thread of its own."""
    text = """
import json, socket, struct

def send(content):
    data = json.dumps(content).encode()
    for _ in range(500):
        try:
            connection = socket.create_connection(("127.0.0.1", port))
            break
        except OSError:
            time.sleep(0.01)
    with connection:
        connection.sendall(struct.pack(">L", len(data)) + data)

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
server = logging.config.listen(port)
server.start()
logging.config.dictConfig(configuration())
log("main", 20)
first = logger.handlers[0]
send({"version": 1, "disable_existing_loggers": False, "loggers": {"app": {"level": "INFO", "handlers": []}}})
print(wait_for(lambda: logger.handlers == []))
print(wait_for(lambda: len(open("app.log").readlines()) == 20))
logging.config.stopListening()
server.join()
"""
    result = reconfigure(tmp_path, "looks up a logger", text)

    assert result == ["True", "True"]

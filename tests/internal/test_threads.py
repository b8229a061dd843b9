"""Threads and waiting in processes that gevent or eventlet has patched, and in sub-interpreters."""

import importlib.util
import sys
from pathlib import Path

import pytest

from support.processes import run
from support.programs.runtimes import WAYS

_START = """
import sys
from runtimes import block_thread, count_turns, enter

library, when = sys.argv[1:]
enter(library, when)
import queue, threading, time
from concurrent_log.internal import greenlets, shared_lock, threads
green = sys.modules[library]
"""


def _run(folder: Path, program: str, library: str, when: str) -> str:
    if importlib.util.find_spec(library) is None:  # An import of eventlet makes each later fork warn.
        pytest.skip(f"{library} is not installed: pip install {library}")
    return run(folder, "-c", _START + program, library, when)


@pytest.mark.parametrize(("library", "when"), WAYS)
def test_thread_that_blocks_stops_no_greenlet(library: str, when: str, tmp_path: Path) -> None:
    """P8: a worker thread is a real one, however the process was patched."""
    output = _run(
        tmp_path,
        """
thread = threads.WorkerThread(lambda: block_thread(0.3), "worker")
thread.start()
print(count_turns(lambda: green.sleep(0.2), library) > 20, thread.is_alive(), thread.join(), thread.is_alive())
        """,
        library,
        when,
    )

    assert output == "True True True False\n"


@pytest.mark.parametrize(("library", "when"), WAYS)
def test_greenlet_that_waits_for_thread_lets_others_run(library: str, when: str, tmp_path: Path) -> None:
    """P8: whatever a greenlet waits for, the other greenlets run meanwhile."""
    output = _run(
        tmp_path,
        """
waits = {
    "event": lambda: event.wait(),
    "event with a timeout": lambda: event.wait(0.1),
    "queue": lambda: threads.take(items),
    "thread": lambda: thread.join(),
    "sleep": lambda: greenlets.sleep(0.1),
    "lock": lambda: lock.acquire(),
}

def work():
    lock.acquire()
    is_ready.set()
    block_thread(0.2)
    items.put("item")
    event.set()
    lock.release()

for name, wait in waits.items():
    event, items, lock, is_ready = threads.Event(), threads.make_queue(), shared_lock.SharedLock(), threads.Event()
    thread = threads.WorkerThread(work, "worker")
    thread.start()
    is_ready.wait()
    if count_turns(wait, library) <= 10:
        print(name)
    thread.join()
        """,
        library,
        when,
    )

    assert output == ""


@pytest.mark.parametrize(("library", "when"), WAYS)
def test_shared_lock_excludes_threads_and_greenlets(library: str, when: str, tmp_path: Path) -> None:
    """P8: a lock that was shared is held by one thread or greenlet at a time, and none waits for it indefinitely."""
    output = _run(
        tmp_path,
        """
import logging

def work(lock, turns, rest):
    for _ in range(100):
        with lock, lock:
            turns.append("in")
            rest()
            turns.append("out")

for lock in (threading.RLock(), logging._lock, logging.StreamHandler().lock):
    assert shared_lock.share(lock) and shared_lock.share(lock)
    turns = []
    rests = [lambda: block_thread(0.0001)] * 2, [lambda: green.sleep(0.0001)] * 3
    others = [threads.WorkerThread(lambda rest=rest: work(lock, turns, rest), "worker") for rest in rests[0]]
    for thread in others:
        thread.start()
    greens = [green.spawn(work, lock, turns, rest) for rest in rests[1]]
    for greenlet in greens:
        greenlet.get() if library == "gevent" else greenlet.wait()
    for thread in others:
        thread.join()
    print(turns == ["in", "out"] * 500)
        """,
        library,
        when,
    )

    assert output == "True\n" * 3


@pytest.mark.parametrize(("library", "when"), WAYS)
def test_lock_that_is_held_is_shared_later(library: str, when: str, tmp_path: Path) -> None:
    """A lock is not replaced under the feet of the greenlet that holds it."""
    output = _run(
        tmp_path,
        """
lock = threading.RLock()
with lock:
    first = shared_lock.share(lock)
print(first, shared_lock.share(lock), lock.acquire(), lock.release())
        """,
        library,
        when,
    )

    assert output == "False True True None\n"


def test_waits_without_a_library(tmp_path: Path) -> None:
    """Without gevent and eventlet, the same functions wait in C code, and time out."""
    output = run(
        tmp_path,
        "-c",
        """
import queue, threading, time
from concurrent_log.internal import greenlets, threads
items, event = threads.make_queue(), threads.Event()
try:
    threads.take(items, 0.01)
except queue.Empty:
    print("empty", event.wait(0.01), greenlets.is_patched())
thread = threads.WorkerThread(lambda: items.put(threading.current_thread().name) or event.wait(), "worker")
print(thread.is_alive(), thread.join(), thread.is_current())
thread.start()
print(threads.take(items), thread.is_alive(), thread.join(0.01), event.set(), event.set(), event.wait(), thread.join())
print(thread.is_alive())
        """,
    )

    assert output == ("empty False False\nFalse False False\nworker True False None None True True\nFalse\n")


_IN_SUB_INTERPRETER = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
code = '''
import sys
sys.path[:] = PATH
from concurrent_log.internal import threads
thread = threads.WorkerThread(print, "worker")
try:
    thread.start()
except RuntimeError:
    print("no thread", thread.is_alive(), thread.join(), flush=True)
'''
interpreters.run_string(interpreters.create(), code.replace("PATH", repr(sys.path)))
"""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="isolated sub-interpreters exist since Python 3.12")
def test_sub_interpreter_starts_no_thread(tmp_path: Path) -> None:
    """P8: where daemon threads are forbidden, the caller knows it, and does the work itself."""
    assert run(tmp_path, "-c", _IN_SUB_INTERPRETER) == "no thread False False\n"

"""Waiting that lets greenlets run, in a process whose threads gevent or eventlet has replaced.

Both libraries replace the primitives of the standard library, often after this package was imported: in a worker of
gunicorn, for example. From then on a greenlet that waits in C code stops all others. Whether greenlets exist is
therefore decided at each wait, and the interpreter's own primitives are taken from where the library keeps them.
"""

import importlib.util
import os
import sys
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

_FIRST_NAP, _LONGEST_NAP = 0.0002, 0.01  # seconds between two looks of a greenlet that waits

real_threads: set[int] = set()  # the native ids of threads of this package, which no greenlet shares


def original(module: Any, name: str) -> Any:
    """Return the function ``name`` of the standard library, also if gevent or eventlet has replaced it."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_object_patched(module.__name__, name):
        return gevent.get_original(module.__name__, name)
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and eventlet.already_patched:
        return getattr(eventlet.original(module.__name__), name)
    return getattr(module, name)


def unpatched_copy(module: ModuleType) -> Any:
    """Return ``module`` itself, or in a patched process a copy that works in every thread."""
    if not is_patched():
        return module
    copy = _copies.get(module.__name__)
    if copy is None:
        spec = importlib.util.find_spec(module.__name__)
        assert spec is not None
        assert spec.loader is not None
        copy = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(copy)
        for name, patched in (("os", os), ("time", time)):
            setattr(copy, name, _Unpatched(patched))  # In a thread, gevent closes a pipe later, or never.
        copy = _copies.setdefault(module.__name__, copy)
    return copy


_copies: dict[str, ModuleType] = {}


class _Unpatched:
    """A module with the interpreter's functions."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return original(self._module, name)


native_sleep: Callable[[float], None] = original(time, "sleep")


def is_patched() -> bool:
    """Return whether gevent or eventlet has replaced the threads, or the sleep, of the standard library."""
    return _green_sleep() is not None


def must_let_run() -> bool:
    """Return whether the caller shares its thread with greenlets, which must run while it waits."""
    return _green_sleep() is not None and threading.get_native_id() not in real_threads


def sleep(seconds: float) -> None:
    """Wait for ``seconds``, and let other greenlets run."""
    green_sleep = _green_sleep()
    if green_sleep is None or threading.get_native_id() in real_threads:
        native_sleep(seconds)
        return
    try:
        green_sleep(seconds)
    except AssertionError:
        # The event loop itself is the caller, in a callback or a finalizer. It cannot wait for itself.
        native_sleep(seconds)


def wait_until(is_done: Callable[[], bool], timeout: float | None) -> bool:
    """Wait until ``is_done()``, for at most ``timeout`` seconds, and let other greenlets run; return whether it is."""
    nap, slept = _FIRST_NAP, 0.0
    give_up_at = None if timeout is None else time.monotonic() + timeout
    while not is_done():
        if timeout is not None and give_up_at is not None:
            # The clock may be frozen by a test; sleeping takes time nevertheless.
            left = min(give_up_at - time.monotonic(), timeout - slept)
            if left <= 0:
                return is_done()
            nap = min(nap, left)
        sleep(nap)
        slept += nap
        nap = min(2 * nap, _LONGEST_NAP)
    return True


def leave_thread() -> None:
    """Release the event loops that the libraries have created for the calling thread, which ends."""
    gevent: Any = sys.modules.get("gevent._hub_local")
    hub = gevent.get_hub_if_exists() if gevent is not None else None
    if hub is not None:
        hub.destroy(destroy_loop=True)
    eventlet: Any = sys.modules.get("eventlet.hubs")
    poll = getattr(getattr(eventlet._threadlocal, "hub", None), "poll", None) if eventlet is not None else None
    if poll is not None and hasattr(poll, "close"):
        poll.close()


def _green_sleep() -> Callable[[float], object] | None:
    """Return the function with which a greenlet sleeps; None if no library has replaced the threads or the sleep."""
    green_sleep: Callable[[float], object]
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and (gevent.is_module_patched("time") or gevent.is_module_patched("threading")):
        green_sleep = sys.modules["gevent"].sleep
        return green_sleep
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and (eventlet.is_monkey_patched("time") or eventlet.is_monkey_patched("thread")):
        green_sleep = sys.modules["eventlet"].sleep
        return green_sleep
    return None

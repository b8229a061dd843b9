"""Exits of a process that skip `atexit`: those of multiprocessing, Celery, uWSGI and uvicorn.

Each library that this process has imported gets a callback. None of them is imported here.
"""

import functools
import sys
from collections.abc import Callable
from typing import Any

_LAST = -1000  # multiprocessing runs the finalizers of higher priority first

_has_hooked_uvicorn = False  # A forked child inherits the hook with the class.


def add_exit_hooks(close_all: Callable[..., None]) -> None:
    """Let each library call ``close_all`` when it ends this process. Call it once in each process."""
    _hook_multiprocessing(close_all)
    _hook_celery(close_all)
    _hook_uwsgi(close_all)
    _hook_uvicorn(close_all)


def _hook_multiprocessing(close_all: Callable[..., None]) -> None:
    """Hook the end of a child: before Python 3.13 it skips `atexit`, and that of billiard still does."""
    for name in ("multiprocessing.util", "billiard.util"):
        util = sys.modules.get(name)
        if util is not None:
            util.Finalize(None, close_all, exitpriority=_LAST)


def _hook_celery(close_all: Callable[..., None]) -> None:
    signals = sys.modules.get("celery.signals")
    if signals is not None:
        signals.worker_process_shutdown.connect(close_all, weak=False)


def _hook_uwsgi(close_all: Callable[..., None]) -> None:
    """Hook ``uwsgi.atexit``: with gevent, it is the only Python code that uWSGI calls before it ends a worker."""
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is None:
        return
    earlier: Callable[[], object] | None = getattr(uwsgi, "atexit", None)

    def close_at_exit() -> None:
        try:
            if earlier is not None:
                earlier()
        finally:
            close_all()

    uwsgi.atexit = close_at_exit  # type: ignore[attr-defined]


def _hook_uvicorn(close_all: Callable[..., None]) -> None:
    """Hook the end of a server that a signal has stopped: uvicorn then sends the signal to itself, and dies of it."""
    global _has_hooked_uvicorn
    module: Any = sys.modules.get("uvicorn.server")
    if module is None or _has_hooked_uvicorn:
        return
    _has_hooked_uvicorn = True
    shut_down = module.Server.shutdown

    @functools.wraps(shut_down)
    async def shut_down_and_close(server: Any, *args: Any, **options: Any) -> None:
        try:
            await shut_down(server, *args, **options)
        finally:
            # A server that its program stopped leaves the process alive, and the handlers in use.
            if getattr(server, "_captured_signals", None):
                close_all()

    module.Server.shutdown = shut_down_and_close

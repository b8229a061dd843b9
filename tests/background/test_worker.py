"""The worker: how it is created, and when it is freed."""

import gc
import pathlib
import weakref
from typing import Any

import pytest

from concurrent_log import BackgroundHandler, ConcurrentTimedRotatingFileHandler
from concurrent_log.background import handler as background_handler
from support.records import lines, record


def test_record_logged_while_a_worker_is_created_uses_the_same_worker(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P1: a signal handler logs while the first record creates the worker; there is only one worker."""
    target = ConcurrentTimedRotatingFileHandler(tmp_path / "app.log")
    handler = BackgroundHandler([target])
    create, calls = background_handler.QueueWorker, []

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        calls.append(None)
        if len(calls) == 1:
            handler.handle(record("inner"))
        return create(*args, **kwargs)

    monkeypatch.setattr(background_handler, "QueueWorker", interrupted)
    handler.handle(record("outer"))
    assert handler.flush()
    written = handler.stats().written
    handler.close()
    target.close()

    assert len(calls) == written == 2
    assert lines(tmp_path / "app.log") == ["inner", "outer"]


def test_unreferenced_handler_is_freed_at_once(tmp_path: pathlib.Path) -> None:
    """P4: neither the records nor the worker need a garbage collection."""
    handler = BackgroundHandler([ConcurrentTimedRotatingFileHandler(tmp_path / "app.log")])
    handler.handle(record("first"))
    assert handler.flush()
    handler.close()
    worker = weakref.ref(handler._worker)
    gc.disable()
    try:
        handler._handlers[0].close()
        del handler

        assert worker() is None
    finally:
        gc.enable()

"""Snapshots: a queued record keeps its state from the time of the logging call."""

import copy
import gc
import logging
import pathlib
import sys
import threading
import weakref
from typing import Any

import pytest

from concurrent_log import ConcurrentRotatingFileHandler
from concurrent_log.background.snapshot import take_snapshot
from concurrent_log.background.target_texts import Targets
from support.background_handlers import WORKERS, CollectingHandler, Create, logger_of
from support.record_cases import OneLine, ShortException
from support.records import lines


def test_later_changes_of_the_arguments_have_no_effect(create: Create) -> None:
    """The logging call merges the message, and converts a message that is an object to text."""
    target = CollectingHandler()
    target.gate.clear()
    handler = create(target)
    logger = logger_of(handler)
    order = {"number": 1}
    logger.info("order %s", order)
    logger.info(order)
    order["number"] = 2
    target.gate.set()
    handler.flush()

    assert target.texts == ["order {'number': 1}", "{'number': 1}"]


def test_message_that_is_a_dictionary_stays_one(create: Create) -> None:
    """P6: formatters that write its items, such as those of python-json-logger and structlog, need it."""

    class Items(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return repr(sorted(record.msg.items()))  # type: ignore[attr-defined]

    target = CollectingHandler()
    target.gate.clear()
    target.setFormatter(Items())
    handler = create(target)
    order = {"number": 1}
    logger_of(handler).info(order)
    order["number"] = 2
    target.gate.set()
    handler.flush()

    assert target.texts == ["[('number', 1)]"]


def test_exception_is_formatted_in_the_logging_call(create: Create) -> None:
    """By the formatter of the handler that writes; the queued record keeps no frame of the program alive."""

    class Short(logging.Formatter):
        def formatException(self, ei: Any) -> str:
            return f"{threading.current_thread().name}: {ei[1]!r}"

    class Witness:
        pass

    def fail() -> None:
        witness = Witness()
        witnesses.append(weakref.ref(witness))
        raise ValueError("broken")

    target = CollectingHandler()
    target.gate.clear()
    target.setFormatter(Short())
    handler = create(target)
    witnesses: list[weakref.ref[Witness]] = []
    try:
        fail()
    except ValueError:
        logger_of(handler).exception("failed")
    gc.collect()
    is_frame_freed = witnesses[0]() is None
    target.gate.set()
    handler.flush()

    assert is_frame_freed
    assert target.texts == ["failed\nMainThread: ValueError('broken')"]


def test_record_of_the_program_is_not_changed(create: Create) -> None:
    """Other handlers of the logger still get the unmerged message, its arguments and the exception."""
    seen: list[logging.LogRecord] = []
    last = logging.Handler()
    last.emit = seen.append  # type: ignore[method-assign]
    handler = create(CollectingHandler())
    try:
        raise ValueError
    except ValueError:
        logger_of(handler, last).exception("order %d", 5)
    handler.flush()

    assert (seen[0].msg, seen[0].args) == ("order %d", (5,))
    assert seen[0].exc_info is not None
    assert seen[0].exc_text is None


class _Masking(logging.LogRecord):
    def getMessage(self) -> str:
        return super().getMessage().replace("s3cret", "***")


def _by_class(monkeypatch: pytest.MonkeyPatch) -> Any:
    return _Masking


def _by_function(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a factory that masks the records that it returns, one by one."""

    def create_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = logging.LogRecord(*args, **kwargs)
        masked = record.getMessage().replace("s3cret", "***")
        record.getMessage = lambda: masked  # type: ignore[method-assign]
        return record

    return create_record


def _by_patch(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the standard class, whose method the program replaces."""
    standard = logging.LogRecord.getMessage
    monkeypatch.setattr(logging.LogRecord, "getMessage", lambda self: standard(self).replace("s3cret", "***"))
    return logging.LogRecord


@WORKERS
@pytest.mark.parametrize("make_factory", [_by_class, _by_function, _by_patch])
def test_masked_secret_does_not_reach_the_file(
    create: Create, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, make_factory: Any, worker: str
) -> None:
    """P10: with and without arguments, in a message that is no text, and beside an attribute that is an object."""
    target = ConcurrentRotatingFileHandler(tmp_path / "app.log")
    handler = create(target, worker=worker)
    monkeypatch.setattr(logging, "_logRecordFactory", make_factory(monkeypatch))
    logger = logger_of(handler)
    logger.info("password s3cret")
    logger.info("password %s", "s3cret")
    logger.info({"password": "s3cret"})
    logger.info("password %s", ["s3cret"], extra={"item": object()})
    handler.flush()

    assert lines(tmp_path / "app.log") == [
        "password ***",
        "password ***",
        "{'password': '***'}",
        "password ['***']",
    ]


class _AccessFormatter(logging.Formatter):
    """Unpacks the arguments of a copy of the record, as that of uvicorn does."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        copied = copy.copy(record)
        client, method, path = copied.args  # type: ignore[misc]
        copied.__dict__.update(client=client, request=f"{method} {path}")
        return super().formatMessage(copied)


class _Atoms(dict[str, str]):
    """Arguments by name, with a default, as gunicorn passes them."""

    def __getitem__(self, name: str) -> str:
        return dict.get(self, name, "-")


class _AtomsFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        atoms: Any = record.args
        return f"{record.getMessage()} by {atoms['a']} from {atoms['h']}"


@pytest.mark.parametrize(
    ("formatter", "message", "args", "expected"),
    [
        (_AccessFormatter("%(client)s: %(request)s"), "%s - %s %s", ("127.0.0.1", "GET", "/"), "127.0.0.1: GET /"),
        (_AtomsFormatter(), "%(r)s", (_Atoms(r="GET /", h="127.0.0.1"),), "GET / by - from 127.0.0.1"),
        (_AtomsFormatter(), "%(r)s", ({"r": "GET /", "h": "::1", "a": "curl"},), "GET / by curl from ::1"),
    ],
    ids=["uvicorn", "gunicorn", "dictionary"],
)
@WORKERS
def test_formatter_gets_the_arguments(
    create: Create, tmp_path: pathlib.Path, formatter: Any, message: str, args: Any, expected: str, worker: str
) -> None:
    """P6: the access logs of web servers are formatted from the arguments, not from the message."""
    target = ConcurrentRotatingFileHandler(tmp_path / "app.log")
    target.setFormatter(formatter)
    handler = create(target, worker=worker)
    logger_of(handler).info(message, *args)
    handler.flush()

    assert lines(tmp_path / "app.log") == [expected]


def test_each_handler_formats_an_exception_as_in_the_logging_call(create: Create) -> None:
    """The first that writes caches its text for the next one; the last one ignores the cache."""
    formatters = [ShortException("rejected %(message)s"), ShortException("%(message)s"), None, OneLine("%(message)s")]
    texts = []
    for in_background in (False, True):
        targets = [CollectingHandler() for _ in formatters]
        for target, formatter in zip(targets, formatters, strict=True):
            target.setFormatter(formatter)
        targets[0].setLevel("CRITICAL")
        handlers: list[Any] = [create(*targets)] if in_background else targets
        try:
            raise ValueError("broken")
        except ValueError:
            logger_of(*handlers).exception("failed")
        handlers[0].flush()
        texts.append([target.texts for target in targets])

    assert texts[0] == [
        [],
        ["failed\nshort ValueError"],
        ["failed\nshort ValueError"],
        ["failed | ValueError('broken')"],
    ]
    assert texts[1] == texts[0]


@pytest.mark.skipif(
    not (3, 11) <= sys.version_info < (3, 14), reason="the garbage collector ignores dictionaries from 3.11 to 3.13"
)
def test_garbage_collector_does_not_see_a_plain_record() -> None:
    """P5: thousands of queued records make it interrupt the logging calls for milliseconds."""
    record = logging.LogRecord("shop", 20, "shop.py", 5, "order %d of %s", (int("5"), "Ada"), None)
    args = record.args
    snapshot = take_snapshot(record, Targets([logging.NullHandler()]), has_standard_texts=True)

    assert not gc.is_tracked(snapshot)
    assert record.args is args

"""Snapshots: a queued record keeps its state from the time of the logging call."""

import gc
import logging
import threading
import weakref
from typing import Any

from support.background_handlers import CollectingHandler, Create, logger_of


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

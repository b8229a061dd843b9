"""Which texts may wait for the worker: those that depend on nothing but the attributes of a record."""

import logging
import logging.handlers
import pathlib
from typing import Any

import pytest

from concurrent_log import BackgroundHandler, ConcurrentRotatingFileHandler
from concurrent_log.background.target_texts import Targets, has_standard_text, writes_only_text
from support.background_handlers import CollectingHandler
from support.record_cases import JsonFormatter, NoTime, ShortException


def _handler(formatter: logging.Formatter | None = None, **attributes: Any) -> logging.Handler:
    handler: logging.Handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    vars(handler).update(attributes)
    return handler


def _with(**attributes: Any) -> logging.Formatter:
    formatter = logging.Formatter("%(message)s")
    vars(formatter).update(attributes)
    return formatter


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (_handler(), True),
        (_handler(logging.Formatter("%(asctime)s %(message)s", "%H:%M")), True),
        (_handler(logging.Formatter("{message:>10}", style="{")), True),
        (_handler(logging.Formatter("$message", style="$", defaults={"item": 5})), True),
        (_handler(ShortException()), True),
        (_handler(logging.Formatter("$message", style="$", defaults={"item": []})), False),
        (_handler(logging.Formatter("%(msg)s %(message)s")), False),
        (_handler(logging.Formatter("{args} {message}", style="{")), False),
        (_handler(JsonFormatter()), False),
        (_handler(NoTime()), False),
        (_handler(_with(format=str)), False),
        (_handler(_with(formatTime=str)), False),
        (_handler(_with(_style=logging.PercentStyle.__new__(type("Own", (logging.PercentStyle,), {})))), False),
        (_handler(format=str), False),
        (type("Own", (CollectingHandler,), {"format": str})(), False),
        (logging.handlers.MemoryHandler(1), False),
    ],
)
def test_text_is_standard_if_nothing_is_overridden(handler: logging.Handler, expected: bool) -> None:
    """By a class, an object or a format that names what a queued record may not have."""
    assert has_standard_text(handler) is expected


def test_text_that_names_an_attribute_depends_on_it() -> None:
    """In any style."""
    formats = {"%": "%(item)s", "{": "{item.name}", "$": "$item"}
    handlers = [_handler(logging.Formatter(text, style=style)) for style, text in formats.items()]  # type: ignore[arg-type]

    assert not any(has_standard_text(handler, {"item"}) for handler in handlers)
    assert all(has_standard_text(handler, {"other"}) for handler in handlers)


def test_handlers_of_this_package_have_standard_texts(tmp_path: pathlib.Path) -> None:
    """They render the time once a second, and the text is the same."""
    file = ConcurrentRotatingFileHandler(tmp_path / "app.log")
    own: Any = type("Own", (ConcurrentRotatingFileHandler,), {"format": lambda self, record: "own"})
    other = own(tmp_path / "other.log")

    assert has_standard_text(file)
    assert writes_only_text(file)
    assert not has_standard_text(other)
    file.close()
    other.close()


@pytest.mark.parametrize(
    ("handler", "expected"),
    [(_handler(), True), (_handler(emit=print), False), (CollectingHandler(), False), (logging.NullHandler(), False)],
)
def test_other_handlers_may_use_more_than_the_text(handler: logging.Handler, expected: bool) -> None:
    """Such as one that sends a record's attributes to a service."""
    assert writes_only_text(handler) is expected


def test_new_formatter_is_noticed() -> None:
    """A program may set one at any time."""
    handlers = [_handler(), _handler()]
    targets = Targets(handlers)
    before = targets.have_standard_texts()
    handlers[1].setFormatter(JsonFormatter())
    changed = targets.have_standard_texts()
    handlers[1].setFormatter(None)

    assert (before, changed, targets.have_standard_texts()) == (True, False, True)


def test_background_handler_passes_records_on() -> None:
    """Its own handlers format them."""
    handler = BackgroundHandler([logging.NullHandler()])

    assert not has_standard_text(handler)
    handler.close()

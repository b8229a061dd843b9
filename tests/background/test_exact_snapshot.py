"""What comes out of the background is what the same handlers would have written in the logging call."""

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.record_cases import (
    FILTERS,
    FORMATTERS,
    RECORD_CLASSES,
    Lazy,
    make_target,
    texts_in_background,
    texts_in_front,
)

_CREATED = 1_700_000_000.25

# Values are described by functions, so that both runs get their own ones: what is logged is changed afterwards.
_Make = Callable[[], Any]
_ATOMS: list[_Make] = [
    *(lambda: "text", lambda: "a secret", lambda: 5, lambda: 1.5, lambda: None, lambda: b"bytes", lambda: True),
    lambda: ("tuple", 1),
]
_CHANGING: list[_Make] = [
    *(lambda: ["list"], lambda: {"key": "secret"}, lambda: {"set"}, lambda: Lazy("value"), lambda: ValueError("error")),
    *(lambda: {"deep": [{"list": []}]}, lambda: ([1],), lambda: bytearray(b"array"), lambda: Path("path")),
]
_values = st.sampled_from(_ATOMS + _CHANGING)
_TEMPLATES = ["no arguments", "secret", "%s", "%r and %s", "%d", "{}", "100%"]


def _change(value: Any) -> None:
    """Change ``value`` and everything in it, as a program may do after the logging call."""
    if isinstance(value, (list, tuple)):
        for each in value:
            _change(each)
    if isinstance(value, dict):
        for each in value.values():
            _change(each)
        value["changed"] = True
    elif isinstance(value, list):
        value.append("changed")
    elif isinstance(value, set):
        value.add("changed")
    elif isinstance(value, bytearray):
        value.extend(b"changed")
    elif isinstance(value, Lazy):
        value.value = "changed"
    elif isinstance(value, BaseException):
        value.args = ("changed",)


@st.composite
def _calls(draw: st.DrawFn) -> dict[str, Any]:
    """Return the description of one logging call."""
    template = draw(st.sampled_from(_TEMPLATES))
    return {
        "kind": draw(st.sampled_from(RECORD_CLASSES)),
        "message": draw(st.one_of(st.just(lambda: template), _values)),
        "arguments": draw(st.lists(_values, max_size=2)),
        "extra": draw(st.dictionaries(st.sampled_from(["item", "caller", "other"]), _values, max_size=2)),
        "raises": draw(st.sampled_from([None, None, ValueError, KeyError])),
        "stack_info": draw(st.sampled_from([None, None, "stack"])),
    }


def _log(logger: logging.Logger, call: dict[str, Any]) -> None:
    message, extra = call["message"](), {name: make() for name, make in call["extra"].items()}
    arguments = tuple(make() for make in call["arguments"])
    exc_info: Any = None
    if call["raises"]:
        try:
            raise call["raises"]("secret")
        except Exception as error:
            exc_info = (type(error), error, error.__traceback__)
    record = call["kind"]("shop", 30, "shop.py", 5, message, arguments, exc_info, "main", call["stack_info"])
    record.created, record.msecs = _CREATED, 250.0
    vars(record).update(extra)
    logger.handle(record)
    for value in (message, *arguments, *extra.values()):
        _change(value)


def _compare(calls: list[dict[str, Any]], formatters: list[Any], filters: list[Any], worker: str) -> None:
    def make_targets(folder: Path) -> list[logging.Handler]:
        names = ("1.log", "2-standard.log", "3.log")
        parts = zip(names, formatters, filters, strict=False)
        return [make_target(folder / name, formatter(), own) for name, formatter, own in parts]

    def program(logger: logging.Logger) -> None:
        for call in calls:
            _log(logger, call)

    with tempfile.TemporaryDirectory() as front, tempfile.TemporaryDirectory() as behind:
        expected = texts_in_front(Path(front), make_targets, program)

        assert texts_in_background(Path(behind), make_targets, program, worker) == expected


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages that do not match their arguments are reported on stderr, many times."""
    monkeypatch.setattr(logging, "raiseExceptions", False)


_targets = st.lists(st.tuples(st.sampled_from(FORMATTERS), st.sampled_from(FILTERS)), min_size=1, max_size=3)
_SETTINGS: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=150, **_SETTINGS)
@given(calls=st.lists(_calls(), min_size=1, max_size=3), targets=_targets)
def test_thread_writes_what_the_handlers_would_write_in_front(calls: list[dict[str, Any]], targets: list[Any]) -> None:
    """For all classes of records, messages, arguments, exceptions, formatters and filters; values change afterwards."""
    formatters, filters = map(list, zip(*targets, strict=True))
    _compare(calls, formatters, filters, "thread")


@pytest.mark.slow
@settings(max_examples=20, **_SETTINGS)
@given(calls=st.lists(_calls(), min_size=20, max_size=20), targets=_targets)
def test_process_writes_what_the_handlers_would_write_in_front(calls: list[dict[str, Any]], targets: list[Any]) -> None:
    """The same in another process, which cannot read the objects of the program."""
    formatters, filters = map(list, zip(*targets, strict=True))
    _compare(calls, formatters, filters, "process")

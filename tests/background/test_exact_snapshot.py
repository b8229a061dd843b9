"""What comes out of the background is what the same handlers would have written in the logging call."""

import logging
import tempfile
from collections.abc import Callable
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from concurrent_log import BackgroundHandler
from concurrent_log.internal.record_classes import RecordClass, classify
from support.deadlines import DEADLINE
from support.record_cases import (
    FILTERS,
    FORMATTERS,
    RECORD_CLASSES,
    JsonFormatter,
    Lazy,
    OneLine,
    ReplaceMessage,
    ShortException,
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
@settings(max_examples=10, **_SETTINGS)
@given(calls=st.lists(_calls(), min_size=20, max_size=20), targets=_targets)
def test_process_writes_what_the_handlers_would_write_in_front(calls: list[dict[str, Any]], targets: list[Any]) -> None:
    """The same in another process, which cannot read the objects of the program."""
    formatters, filters = map(list, zip(*targets, strict=True))
    _compare(calls, formatters, filters, "process")


def _in_memory(target: logging.Handler) -> logging.Handler:
    return MemoryHandler(capacity=1_000, target=target)


def _nested(target: logging.Handler) -> logging.Handler:
    return BackgroundHandler([target], stop_timeout=DEADLINE)


class _Chain:
    """File handlers behind a handler that passes records on to them."""

    def __init__(self, pass_on: Any, kind: Any) -> None:
        self._pass_on = pass_on
        self._formatters: list[logging.Formatter] = [ShortException("%(message)s"), OneLine("%(message)s")]
        if classify(kind) is RecordClass.PASSIVE:
            self._formatters.append(JsonFormatter())

    def __call__(self, folder: Path) -> list[logging.Handler]:
        self.files = [make_target(folder / f"{number}.log", each) for number, each in enumerate(self._formatters)]
        return [self._pass_on(each) for each in self.files]


@pytest.mark.parametrize("pass_on", [_in_memory, _nested], ids=["memory", "background"])
@pytest.mark.parametrize("kind", RECORD_CLASSES)
def test_handlers_that_pass_records_on_get_them_whole(tmp_path: Path, pass_on: Any, kind: Any) -> None:
    """With their exception, which the handlers behind them format; and with the message of a class of the program."""
    folders = [tmp_path / "front", tmp_path / "behind"]
    for folder in folders:
        folder.mkdir()

    def program(logger: logging.Logger) -> None:
        for raises in (ValueError, None):
            call = {"kind": kind, "message": lambda: "a secret %s", "arguments": [lambda: "x"], "extra": {}}
            _log(logger, {**call, "raises": raises, "stack_info": None})

    make_targets = _Chain(pass_on, kind)
    expected = texts_in_front(folders[0], make_targets, program)

    assert any(expected)
    assert texts_in_background(folders[1], make_targets, program, "thread") == expected


def test_record_that_a_handler_cannot_format_leaves_no_text(tmp_path: Path) -> None:
    """The next handler, whose filter replaces the message, formats the exception in its own way."""
    call = {"kind": logging.LogRecord, "message": lambda: "none", "arguments": [lambda: "one"], "extra": {}}
    call |= {"raises": ValueError, "stack_info": None}
    formatters = [lambda: ShortException("%(message)s"), lambda: None]
    _compare([call], formatters, [None, ReplaceMessage], "thread")

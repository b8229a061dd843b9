"""On what the text of a record depends, by its class."""

import copy
import logging
import pickle
from typing import Any

import pytest

from concurrent_log.internal.record_classes import RecordClass, classify, is_standard_class_unchanged


def _own(**attributes: Any) -> type:
    return type("Own", (logging.LogRecord,), attributes)


def _derived(**attributes: Any) -> type:
    """Return a class that has the attributes from a mixin of its base class."""
    mixin = type("Mixin", (), attributes)
    return type("Derived", (type("Base", (mixin, logging.LogRecord), {}),), {"__doc__": "Own."})


@pytest.mark.parametrize("make", [_own, _derived])
@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, RecordClass.PASSIVE),
        ({"__init__": lambda *_: None, "__annotations__": {"item": int}}, RecordClass.PASSIVE),
        ({"getMessage": lambda _: "own"}, RecordClass.OWN_MESSAGE),
        ({"getMessage": lambda _: "own", "__str__": lambda _: "own"}, RecordClass.ACTIVE),
        ({"item": property(lambda _: 5)}, RecordClass.ACTIVE),
        ({"__slots__": ("item",)}, RecordClass.ACTIVE),
        ({"__getattr__": lambda *_: 5}, RecordClass.ACTIVE),
        ({"__getattribute__": object.__getattribute__}, RecordClass.ACTIVE),
        ({"item": 5}, RecordClass.ACTIVE),
    ],
)
def test_class_is_judged_by_what_it_overrides(make: Any, attributes: dict[str, Any], expected: RecordClass) -> None:
    """Also by its bases. A class attribute may be changed later, like a method."""
    assert classify(make(**attributes)) is expected


def test_class_that_is_no_record_is_active() -> None:
    """Some programs pass objects of their own to handlers, or classes with a metaclass of their own."""
    kind = type("Meta", (type,), {})("WithMeta", (logging.LogRecord,), {})

    assert classify(object) is classify(kind) is RecordClass.ACTIVE


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("getMessage", lambda _: "masked", RecordClass.OWN_MESSAGE),
        ("request_id", property(lambda _: 5), RecordClass.ACTIVE),
    ],
)
def test_change_of_the_standard_class_is_noticed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: Any, expected: RecordClass
) -> None:
    """Programs replace or add methods of `logging.LogRecord` itself, at any time."""
    derived = _own()
    before = classify(logging.LogRecord), classify(derived)
    monkeypatch.setattr(logging.LogRecord, name, value, raising=False)

    assert before == (RecordClass.PASSIVE, RecordClass.PASSIVE)
    assert classify(logging.LogRecord) is classify(derived) is expected


@pytest.mark.parametrize(
    "copied", [copy.copy, lambda record: pickle.loads(pickle.dumps(record))], ids=["copy", "pickle"]
)
def test_copied_record_changes_no_class(copied: Any) -> None:
    """`copyreg` adds an attribute to the class of the first record that is copied or pickled."""
    copied(logging.makeLogRecord({}))
    copied(Plain("shop", 20, "shop.py", 5, "this", None, None))

    assert is_standard_class_unchanged()
    assert classify(logging.LogRecord) is classify(Plain) is classify(_own()) is RecordClass.PASSIVE


class Plain(logging.LogRecord):
    """A class that only has another name."""

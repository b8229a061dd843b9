"""Copies of values that cannot change after the logging call."""

import datetime
from collections import OrderedDict
from typing import Any

import pytest

from concurrent_log.background.frozen_values import CannotFreezeError, freeze


@pytest.mark.parametrize(
    "value",
    ["text", 5, 1.5, None, b"bytes", datetime.date(2026, 11, 28), (1, "a"), [1, [2]], {"a": {"b": [1]}}, {(1, 2): ()}],
)
def test_copy_has_the_same_text_and_type(value: Any) -> None:
    """It is equal, and of the same types at each level."""
    assert repr(freeze(value)) == repr(value)
    assert type(freeze(value)) is type(value)


def test_copy_does_not_change() -> None:
    """At any level."""
    value: Any = {"a": [{"b": [1]}], "c": ([],)}
    copied = freeze(value)
    value["a"][0]["b"].append(2)
    value["c"][0].append(3)

    assert copied == {"a": [{"b": [1]}], "c": ([],)}


class _Text(str):
    pass


def _endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, bytearray(b"a"), _Text("a"), OrderedDict(a=1), [object()], _endless(), [0] * 100_000],
    ids=["object", "set", "bytearray", "str subclass", "dict subclass", "inner object", "endless", "large"],
)
def test_other_objects_are_rejected(value: Any) -> None:
    """A copy might have another text, or no end."""
    with pytest.raises(CannotFreezeError):
        freeze(value)


def test_shared_containers_do_not_multiply() -> None:
    """Ten levels that each contain the next one twice would be a thousand copies."""
    value: Any = []
    for _ in range(10):
        value = [value, value, value]
    with pytest.raises(CannotFreezeError):
        freeze(value)

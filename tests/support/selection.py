"""Parameters of long tests: the quick selection runs the first, and the full selection runs all of them."""

from collections.abc import Iterable
from typing import Any

import pytest


def first_quick(values: Iterable[Any], count: int = 1) -> list[Any]:
    """Return the parameters in ``values``, of which the ``count`` first are in the quick selection."""
    parameters = list(values)
    return parameters[:count] + [_slow(value) for value in parameters[count:]]


def _slow(value: Any) -> Any:
    if hasattr(value, "marks"):  # the result of pytest.param
        return pytest.param(*value.values, marks=[*value.marks, pytest.mark.slow], id=value.id)
    return pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.slow)


SHARED_FIRST = pytest.mark.parametrize("keep_file_open", first_quick([None, False]), ids=["shared", "exclusive"])
